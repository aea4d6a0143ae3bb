// SPDX-License-Identifier: Apache-2.0
//! Tells the kind of an error of serde_json from its text, since serde_json tells it nowhere else.

use serde_json::error::Category;

/// `ffref_json_class`.
pub fn class_of(error: &serde_json::Error) -> u32 {
    match error.classify() {
        Category::Syntax | Category::Io => 1,
        Category::Eof => 2,
        Category::Data => 3,
    }
}

/// The beginning of a text, and the text's `ffref_json_error`.
const BEGINNINGS: [(&str, u32); 28] = [
    ("EOF while parsing", 1),
    ("expected value", 2),
    ("expected ident", 2),
    ("expected `:`", 2),
    ("expected `,` or `]`", 2),
    ("expected `,` or `}`", 2),
    ("expected `\"`", 2),
    ("expected double quote", 2),
    ("key must be a string", 2),
    ("invalid number", 3),
    ("number out of range", 4),
    ("invalid escape", 5),
    ("lone leading surrogate", 6),
    ("unexpected end of hex escape", 6),
    ("control character", 7),
    ("invalid unicode code point", 8),
    ("trailing characters", 9),
    ("trailing comma", 10),
    ("recursion limit exceeded", 11),
    ("invalid type", 12),
    ("invalid value", 13),
    ("invalid length", 14),
    ("missing field", 15),
    ("duplicate field", 16),
    ("unknown variant", 17),
    ("UUID parsing failed", 18),
    ("execution_id ", 19),
    ("unknown field", 0),
];

/// Returns the `ffref_json_error` of a text.
pub fn kind_of(text: &str) -> u32 {
    BEGINNINGS
        .iter()
        .find(|(beginning, _)| text.starts_with(beginning))
        .map_or(0, |(_, kind)| *kind)
}

/// Returns the member that a text names; none if the text names no member.
pub fn named_member(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("missing field `").or(text.strip_prefix("duplicate field `"))?;
    rest.split_once('`').map(|(name, _)| name)
}
