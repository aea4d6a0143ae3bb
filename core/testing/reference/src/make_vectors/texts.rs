// SPDX-License-Identifier: Apache-2.0
//! Makes partition keys, execution ids and other texts: correct ones in every spelling, and wrong
//! ones, most of which are wrong in one place.

use crate::random::Random;
use uuid::Uuid;

/// Writes an index as the reference writes it.
pub fn index(random: &mut Random) -> String {
    match random.below(4) {
        0 => random
            .pick(&["0", "1", "9", "10", "255", "256", "9999", "10000", "65534", "65535"])
            .into(),
        1 => random.below(256).to_string(),
        _ => random.below(65536).to_string(),
    }
}

/// Writes an index in a spelling that the reference also accepts.
fn index_alias(random: &mut Random) -> String {
    let plain = index(random);
    match random.below(4) {
        0 => format!("+{plain}"),
        1 => format!("{}{plain}", "0".repeat(1 + random.below(3))),
        2 => format!("+{}{plain}", "0".repeat(1 + random.below(2))),
        _ => format!("{}{plain}", "0".repeat(10 + random.below(60))),
    }
}

fn index_wrong(random: &mut Random) -> String {
    let plain = index(random);
    match random.below(10) {
        0 => "65536".into(),
        1 => (65_536 + random.below(1_000_000)).to_string(),
        2 => format!("{plain}{}", "9".repeat(5 + random.below(20))),
        3 => format!("-{plain}"),
        4 => random.pick(&["", "+", "-", "-0", "++7", "+-7", "0x7", "1_0", "1e2", "7.0"]).into(),
        5 => format!(" {plain}"),
        6 => format!("{plain}{}", random.pick(&[" ", "\n", "\t", "\0", ":", "}", "{", "é"])),
        7 => random.pick(&["７", "٣", "²", "Ⅷ", "１２"]).into(),
        8 => format!("{plain}:{}", index(random)),
        _ => inserted(random, &plain),
    }
}

/// Returns the text with one character inserted.
fn inserted(random: &mut Random, text: &str) -> String {
    const CHARACTERS: [&str; 12] =
        ["{", "}", ":", "+", "-", " ", "0", "x", "é", "\u{7f}", "\"", "😀"];
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let at = places[random.below(places.len())];
    format!("{}{}{}", &text[..at], random.pick(&CHARACTERS), &text[at..])
}

/// Inserts, removes, doubles or exchanges one to three characters.
pub fn edited(random: &mut Random, text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..1 + random.below(3) {
        let characters: Vec<char> = text.chars().collect();
        if characters.is_empty() || random.one_in(3) {
            text = inserted(random, &text);
            continue;
        }
        let at = random.below(characters.len());
        let mut characters = characters;
        match random.below(3) {
            0 => drop(characters.remove(at)),
            1 => characters.insert(at, characters[at]),
            _ => {
                let other = random.below(characters.len());
                characters.swap(at, other);
            }
        }
        text = characters.into_iter().collect();
    }
    text
}

pub fn partition_key(random: &mut Random) -> String {
    let family = random.pick(&["fp", "fp", "b", "q"]);
    match random.below(20) {
        0..6 => format!("{{{family}:{}}}", index(random)),
        6..9 => format!("{{{family}:{}}}", index_alias(random)),
        9..12 => format!("{{{family}:{}}}", index_wrong(random)),
        12 | 13 => {
            const PREFIXES: [&str; 13] =
                ["", "FP", "Fp", "f", "p", "fpp", "bb", "flow", "exec", " fp", "{fp", "}b", "é"];
            format!("{{{}:{}}}", random.pick(&PREFIXES), index(random))
        }
        14 => format!("{{{}}}", random.pick(&["", "fp", "7", "fp7", "fp；7", "{", "}", "fp 7"])),
        15 => format!("{family}:{}", index(random)),
        16 => {
            let whole = format!("{{{family}:{}}}", index(random));
            random.pick(&[&whole[1..], &whole[..whole.len() - 1], "{", "}", "}{"]).into()
        }
        _ => {
            let key = format!("{{{family}:{}}}", index(random));
            edited(random, &key)
        }
    }
}

fn uuid_of(random: &mut Random) -> Uuid {
    match random.below(8) {
        0 => Uuid::nil(),
        1 => Uuid::max(),
        _ => Uuid::from_bytes(random.bytes16()),
    }
}

fn uuid_alias(random: &mut Random) -> String {
    let uuid = uuid_of(random);
    match random.below(6) {
        0 => uuid.simple().to_string(),
        1 => uuid.braced().to_string(),
        2 => uuid.urn().to_string(),
        3 => uuid.hyphenated().to_string().to_uppercase(),
        4 => uuid.simple().to_string().to_uppercase(),
        _ => format!("urn:uuid:{}", uuid.hyphenated().to_string().to_uppercase()),
    }
}

fn uuid_wrong(random: &mut Random) -> String {
    let text = uuid_of(random).hyphenated().to_string();
    match random.below(8) {
        0 => String::new(),
        1 => format!("URN:UUID:{text}"),
        2 => format!("{{{}}}", text.replace('-', "")),
        3 => format!("urn:uuid:{}", text.replace('-', "")),
        4 => text[..random.below(text.len())].into(),
        5 => text.replacen('-', "", 1) + "-",
        6 => text.replacen(
            |c: char| c.is_ascii_hexdigit(),
            random.pick(&["g", "G", "`", "/", "é"]),
            1,
        ),
        _ => inserted(random, &text),
    }
}

/// Writes an execution id as the reference mints it.
pub fn canonical_execution_id(random: &mut Random) -> String {
    format!("{{fp:{}}}:{}", index(random), uuid_of(random))
}

/// Writes an execution id that parses, in any spelling.
pub fn good_execution_id(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("{{fp:{}}}:{}", index_alias(random), uuid_of(random)),
        1 => format!("{{fp:{}}}:{}", index(random), uuid_alias(random)),
        _ => canonical_execution_id(random),
    }
}

pub fn execution_id(random: &mut Random) -> String {
    match random.below(20) {
        0..5 => canonical_execution_id(random),
        5..9 => good_execution_id(random),
        9..12 => format!("{{fp:{}}}:{}", index_wrong(random), uuid_of(random)),
        12..15 => format!("{{fp:{}}}:{}", index(random), uuid_wrong(random)),
        15 => format!("{{fp:{}}}:{}", index_wrong(random), uuid_wrong(random)),
        16 | 17 => {
            let id = canonical_execution_id(random);
            let (tag, uuid) = id.split_once("}:").expect("a canonical id");
            match random.below(7) {
                0 => uuid.into(),
                1 => format!("{tag}}}"),
                2 => format!("{tag}}} :{uuid}"),
                3 => format!("{tag}{uuid}"),
                4 => id.replace("{fp", random.pick(&["{b", "{q", "{FP", "{{fp", " {fp", "fp"])),
                5 => format!("{tag}}}-{uuid}"),
                _ => random.pick(&["", "{fp:", "}:", "{fp:7", "{fp:7:}"]).into(),
            }
        }
        _ => {
            let id = canonical_execution_id(random);
            edited(random, &id)
        }
    }
}

/// Makes a text of characters that JSON, keys and lanes treat in different ways.
pub fn mixed(random: &mut Random, most: usize) -> String {
    const PARTS: [&str; 20] = [
        "a", "Z", "0", " ", "/", "\\", "\"", ":", "{", "}", "\n", "\t", "\u{8}", "\u{c}", "\u{1f}",
        "\u{7f}", "é", "\u{2028}", "😀", "\0",
    ];
    (0..random.below(most + 1)).map(|_| random.pick(&PARTS)).collect()
}

/// Makes a printable text, as a checked lane is.
pub fn printable(random: &mut Random, most: usize) -> String {
    (0..1 + random.below(most)).map(|_| char::from(0x20 + random.below(0x5f) as u8)).collect()
}

pub fn lane(random: &mut Random) -> String {
    match random.below(4) {
        0 => random.pick(&["default", "main", "gpu", "workers-a", "lane with space"]).into(),
        1 => mixed(random, 12),
        _ => printable(random, 64),
    }
}

/// Makes a key that contains hash tags, or text that looks like them.
pub fn key(random: &mut Random) -> String {
    match random.below(3) {
        0 => format!("ff:exec:{}:core", partition_key(random)),
        1 => {
            let parts: [&str; 9] = ["{", "}", "{}", "{a}", "foo", "bar", "{fp:7}", "é", ":"];
            (0..random.below(7)).map(|_| random.pick(&parts)).collect()
        }
        _ => mixed(random, 20),
    }
}
