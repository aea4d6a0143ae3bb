// SPDX-License-Identifier: Apache-2.0
//! Makes claim responses as JSON: correct documents in many spellings, documents with one mistake,
//! and documents in which one or two bytes were changed.

use crate::random::Random;
use crate::texts;

const NAMES: [&str; 4] = ["execution_id", "partition_key", "grant_key", "expires_at_ms"];

fn space(random: &mut Random) -> &'static str {
    random.pick(&["", "", "", "", " ", "\n", "\t", "\r\n  "])
}

/// Writes a string literal, now and then with characters as escapes.
fn spelt(random: &mut Random, text: &str) -> String {
    let one_in = 2 + random.below(200);
    let mut literal = String::from("\"");
    for character in text.chars() {
        let mut units = [0u16; 2];
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '/' if random.one_in(4) => literal.push_str("\\/"),
            '\n' if random.one_in(2) => literal.push_str("\\n"),
            '\t' if random.one_in(2) => literal.push_str("\\t"),
            _ if character < ' ' || random.one_in(one_in) => {
                for unit in character.encode_utf16(&mut units) {
                    literal.push_str(&if random.one_in(2) {
                        format!("\\u{unit:04x}")
                    } else {
                        format!("\\u{unit:04X}")
                    });
                }
            }
            _ => literal.push(character),
        }
    }
    literal + "\""
}

fn member_values(random: &mut Random) -> [String; 4] {
    let id = match random.below(8) {
        0 => texts::execution_id(random),
        1 => texts::good_execution_id(random),
        _ => texts::canonical_execution_id(random),
    };
    let key = match random.below(4) {
        0 => texts::partition_key(random),
        _ => format!("{}}}", id.split('}').next().unwrap_or_default()),
    };
    let grant_key = match random.below(4) {
        0 => texts::mixed(random, 16),
        _ => format!("ff:exec:{key}:{id}:claim_grant"),
    };
    [
        spelt(random, &id),
        spelt(random, &key),
        spelt(random, &grant_key),
        random.number().to_string(),
    ]
}

/// Makes well-formed values of any type.
fn some_value(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 6 } else { 8 }) {
        0 => random.pick(&["null", "true", "false"]).into(),
        1 => random.number().to_string(),
        2 => random.pick(&["-0", "-1", "1.5", "1e3", "0e0", "1.0", "-2.5E-3", "1e308"]).into(),
        3 => "\"\"".into(),
        4 | 5 => {
            let text = texts::mixed(random, 6);
            spelt(random, &text)
        }
        6 => format!("[{},{}]", some_value(random, depth - 1), some_value(random, depth - 1)),
        _ => format!("{{\"a\":{}}}", some_value(random, depth - 1)),
    }
}

/// Makes text that is not allowed where a value is read.
fn broken_value(random: &mut Random) -> Vec<u8> {
    const TEXTS: [&str; 26] = [
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "-",
        "NaN",
        "1e400",
        "0x1",
        "nul",
        "tru",
        "True",
        "'a'",
        "",
        "\"\\x41\"",
        "\"\\uD83D\"",
        "\"\\uDE00\"",
        "\"\\uD83D\\u0041\"",
        "\"\\u12\"",
        "\"\t\"",
        "\"a",
        "[1,]",
        "{\"a\"}",
        "[",
        "]",
        "}",
    ];
    const BYTES: [&[u8]; 4] = [b"\"\xff\"", b"\"\xc0\xaf\"", b"\"\xed\xa0\x80\"", b"\xff"];
    if random.one_in(4) {
        random.pick(&BYTES).to_vec()
    } else {
        random.pick(&TEXTS).as_bytes().to_vec()
    }
}

/// Names and values in an order; methods add the text around them.
struct Builder {
    members: Vec<(String, Vec<u8>)>,
}

impl Builder {
    fn new(random: &mut Random) -> Builder {
        let values = member_values(random);
        let members = NAMES
            .iter()
            .zip(values)
            .map(|(name, value)| (spelt(random, name), value.into_bytes()))
            .collect();
        Builder { members }
    }

    fn object(&self, random: &mut Random) -> Vec<u8> {
        self.written(random, true)
    }

    fn positional(&self, random: &mut Random) -> Vec<u8> {
        self.written(random, false)
    }

    fn written(&self, random: &mut Random, named: bool) -> Vec<u8> {
        let spacious = random.one_in(3);
        let mut json = Vec::new();
        let add_space = |json: &mut Vec<u8>, random: &mut Random| {
            if spacious {
                json.extend_from_slice(space(random).as_bytes());
            }
        };
        add_space(&mut json, random);
        json.push(if named { b'{' } else { b'[' });
        for (i, (name, value)) in self.members.iter().enumerate() {
            if i > 0 {
                json.push(b',');
            }
            add_space(&mut json, random);
            if named {
                json.extend_from_slice(name.as_bytes());
                add_space(&mut json, random);
                json.push(b':');
                add_space(&mut json, random);
            }
            json.extend_from_slice(value);
            add_space(&mut json, random);
        }
        json.push(if named { b'}' } else { b']' });
        add_space(&mut json, random);
        json
    }

    fn shuffle(&mut self, random: &mut Random) {
        for i in (1..self.members.len()).rev() {
            let other = random.below(i + 1);
            self.members.swap(i, other);
        }
    }
}

fn accepted(random: &mut Random, builder: &mut Builder) -> Vec<u8> {
    match random.below(6) {
        0 => return builder.positional(random),
        1 => builder.shuffle(random),
        2 | 3 => {
            for _ in 0..1 + random.below(2) {
                let name = random.pick(&["\"x\"", "\"lane_id\"", "\"Execution_id\"", "\"\""]);
                let value = some_value(random, 2);
                builder.members.push((name.into(), value.into_bytes()));
            }
            builder.shuffle(random);
        }
        4 => {
            // These values are skimmed: the reader does not look at them closely.
            let value: &[u8] =
                random.pick(&[&b"1e999"[..], b"\"\\ud800\"", b"\"\xff\"", b"[[[[[[1]]]]]]"]);
            builder.members.push(("\"x\"".into(), value.to_vec()));
        }
        _ => {}
    }
    builder.object(random)
}

fn wrong_in_data(random: &mut Random, builder: &mut Builder) -> Vec<u8> {
    let at = random.below(4);
    match random.below(6) {
        0 => drop(builder.members.remove(at)),
        1 => {
            let twice = builder.members[at].clone();
            let place = random.below(5);
            builder.members.insert(place, (twice.0, twice.1));
        }
        2 => {
            const NUMBERS: [&str; 9] =
                ["-0", "-1", "1.0", "1e3", "0e0", "18446744073709551616", "\"1\"", "null", "true"];
            builder.members[3].1 = random.pick(&NUMBERS).as_bytes().to_vec();
        }
        3 => {
            let text = random.below(3);
            builder.members[text].1 =
                random.pick(&["null", "1", "{}", "[]", "true", "-1.5"]).as_bytes().to_vec();
        }
        4 => {
            builder.members.truncate(random.below(4));
            return builder.positional(random);
        }
        _ => return random.pick(&["null", "1", "\"\"", "{}", "[]", "true"]).as_bytes().to_vec(),
    }
    if random.one_in(4) {
        builder.shuffle(random);
    }
    builder.object(random)
}

fn wrong_in_syntax(random: &mut Random, builder: &mut Builder) -> Vec<u8> {
    match random.below(6) {
        0 | 1 => {
            let at = random.below(4);
            builder.members[at].1 = broken_value(random);
            builder.object(random)
        }
        2 => {
            builder.members.push(("\"x\"".into(), broken_value(random)));
            builder.object(random)
        }
        3 => {
            let json = builder.object(random);
            let size = random.below(json.len());
            json[..size].to_vec()
        }
        4 => {
            let mut json = builder.object(random);
            json.extend_from_slice(random.pick(&["x", ",", "}", "null", "/**/", "\0"]).as_bytes());
            json
        }
        _ => {
            builder.members.push(("\"x\"".into(), b"1".to_vec()));
            builder.positional(random)
        }
    }
}

/// Changes bytes of a document, which may then be correct or not.
fn damaged(random: &mut Random, mut json: Vec<u8>) -> Vec<u8> {
    const BYTES: &[u8] = b"{}[]:,\"\\0e- \n\x01\x80\xff";
    for _ in 0..1 + random.below(2) {
        if json.is_empty() {
            break;
        }
        let at = random.below(json.len());
        let byte = BYTES[random.below(BYTES.len())];
        match random.below(3) {
            0 => json[at] = byte,
            1 => json.insert(at, byte),
            _ => drop(json.remove(at)),
        }
    }
    json
}

pub fn claim_response(random: &mut Random) -> Vec<u8> {
    let mut builder = Builder::new(random);
    match random.below(20) {
        0..3 => builder.object(random),
        3..10 => accepted(random, &mut builder),
        10..14 => wrong_in_data(random, &mut builder),
        14..18 => wrong_in_syntax(random, &mut builder),
        _ => {
            let json = builder.object(random);
            damaged(random, json)
        }
    }
}
