// SPDX-License-Identifier: Apache-2.0
//! Makes the vectors, with one function for each kind: an input, and the reference's answer to it.

use crate::documents;
use crate::random::Random;
use crate::texts;
use ff_core::partition::{PartitionFamily, PartitionKeyParseError, flow_partition, solo_partition};
use ff_core::types::{
    AttemptIndex, ExecutionId, ExecutionIdParseError, FlowId, LaneId, Namespace, WorkerInstanceId,
};
use ffgrant_reference::hashing::hash_slot;
use ffgrant_reference::ids::{config_of, partition_key as key_of};
use ffgrant_reference::key_names::{Subject, key_name};
use ffgrant_reference::shapes::ClaimResponse;
use serde_json::error::Category;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A vector, and a short name of its outcome.
pub struct Vector {
    pub line: Value,
    pub outcome: &'static str,
}

pub struct Kind {
    pub name: &'static str,
    /// The number of vectors of this kind in a hundred vectors.
    pub share: usize,
    pub make: fn(&mut Random) -> Vector,
    /// All outcomes that a vector of this kind can have.
    pub outcomes: &'static [&'static str],
}

pub const KINDS: [Kind; 8] = [
    Kind {
        name: "partition_key",
        share: 24,
        make: partition_key,
        outcomes: &[
            "canonical",
            "other spelling",
            "missing_braces",
            "malformed_body",
            "unknown_family_prefix",
            "invalid_index",
        ],
    },
    Kind {
        name: "execution_id",
        share: 24,
        make: execution_id,
        outcomes: &[
            "canonical",
            "other spelling",
            "missing_tag",
            "invalid_partition_index",
            "invalid_uuid",
        ],
    },
    Kind {
        name: "claim_response",
        share: 24,
        make: claim_response,
        outcomes: &["a grant", "no grant", "data", "syntax"],
    },
    Kind {
        name: "claim_serialize",
        share: 6,
        make: claim_serialize,
        outcomes: &["with escapes", "without"],
    },
    Kind { name: "flow_partition", share: 6, make: flow, outcomes: &["index"] },
    Kind { name: "lane_partition", share: 6, make: lane, outcomes: &["index"] },
    Kind { name: "key_slot", share: 6, make: key_slot, outcomes: &["of a tag", "of all"] },
    Kind { name: "keyspace", share: 4, make: keyspace, outcomes: &["23 keys"] },
];

fn rejected(code: &str, payload: Option<&String>, error: &dyn std::fmt::Display) -> Value {
    json!({ "code": code, "payload": payload, "display": error.to_string() })
}

fn partition_key(random: &mut Random) -> Vector {
    use PartitionKeyParseError as E;
    let input = texts::partition_key(random);
    let (member, answer, outcome) = match key_of(&input).parse() {
        Ok(partition) => {
            let family = match partition.family {
                PartitionFamily::Budget => "budget",
                PartitionFamily::Quota => "quota",
                _ => "flow",
            };
            let tag = partition.hash_tag();
            let canonical = tag == input;
            let ok = json!({
                "family": family, "index": partition.index, "tag": tag, "canonical": canonical,
                "slot": hash_slot(input.as_bytes()),
            });
            ("ok", ok, if canonical { "canonical" } else { "other spelling" })
        }
        Err(error) => {
            let (code, payload) = match &error {
                E::MissingBraces => ("missing_braces", None),
                E::MalformedBody => ("malformed_body", None),
                E::UnknownFamilyPrefix(prefix) => ("unknown_family_prefix", Some(prefix)),
                E::InvalidIndex(index) => ("invalid_index", Some(index)),
            };
            ("err", rejected(code, payload, &error), code)
        }
    };
    Vector { line: json!({ "kind": "partition_key", "input": input, member: answer }), outcome }
}

fn execution_id(random: &mut Random) -> Vector {
    use ExecutionIdParseError as E;
    let input = texts::execution_id(random);
    let (member, answer, outcome) = match ExecutionId::parse(&input) {
        Ok(id) => {
            let tag_end = input.find("}:").expect("an id that parsed");
            let uuid = Uuid::parse_str(&input[tag_end + 2..]).expect("an id that parsed");
            let canonical = input == format!("{{fp:{}}}:{uuid}", id.partition());
            let ok = json!({
                "partition": id.partition(), "uuid": uuid.to_string(), "canonical": canonical,
            });
            ("ok", ok, if canonical { "canonical" } else { "other spelling" })
        }
        Err(error) => {
            let (code, payload) = match &error {
                E::MissingTag(text) => ("missing_tag", text),
                E::InvalidPartitionIndex(index) => ("invalid_partition_index", index),
                E::InvalidUuid(uuid) => ("invalid_uuid", uuid),
            };
            ("err", rejected(code, Some(payload), &error), code)
        }
    };
    Vector { line: json!({ "kind": "execution_id", "input": input, member: answer }), outcome }
}

fn claim_response(random: &mut Random) -> Vector {
    let document = documents::claim_response(random);
    let (member, answer, outcome) = match serde_json::from_slice::<ClaimResponse>(&document) {
        Ok(response) => {
            let converts = ExecutionId::parse(&response.execution_id).is_ok();
            let ok = json!({
                "execution_id": response.execution_id, "partition_key": response.partition_key,
                "grant_key": response.grant_key, "expires_at_ms": response.expires_at_ms,
                "converts": converts,
            });
            ("ok", ok, if converts { "a grant" } else { "no grant" })
        }
        Err(error) => {
            let class = if error.classify() == Category::Data { "data" } else { "syntax" };
            ("err", json!({ "class": class }), class)
        }
    };
    let mut line = json!({ "kind": "claim_response", member: answer });
    let (name, text) = match String::from_utf8(document) {
        Ok(text) => ("doc", text),
        Err(bytes) => {
            let hex = bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            ("doc_hex", hex)
        }
    };
    line[name] = Value::String(text);
    Vector { line, outcome }
}

fn claim_serialize(random: &mut Random) -> Vector {
    let text = |random: &mut Random| match random.below(3) {
        0 => texts::execution_id(random),
        _ => texts::mixed(random, 24),
    };
    let response = ClaimResponse {
        execution_id: text(random),
        partition_key: key_of(&texts::partition_key(random)),
        grant_key: text(random),
        expires_at_ms: random.number(),
    };
    let written = serde_json::to_string(&response).expect("texts are written");
    let grant = json!({
        "execution_id": response.execution_id, "partition_key": response.partition_key,
        "grant_key": response.grant_key, "expires_at_ms": response.expires_at_ms,
    });
    let outcome = if written.contains('\\') { "with escapes" } else { "without" };
    Vector { line: json!({ "kind": "claim_serialize", "grant": grant, "json": written }), outcome }
}

fn count(random: &mut Random) -> u16 {
    const COUNTS: [u16; 9] = [1, 2, 32, 100, 256, 257, 16_384, 65_535, 0];
    match COUNTS[random.below(COUNTS.len())] {
        0 => 1 + random.below(65_535) as u16,
        count => count,
    }
}

fn flow(random: &mut Random) -> Vector {
    let flow = FlowId::from_uuid(Uuid::from_bytes(random.bytes16()));
    let uuid = Uuid::from_bytes(random.bytes16());
    let count = count(random);
    let config = config_of(count);
    let line = json!({
        "kind": "flow_partition", "flow_id": flow, "num_flow_partitions": count, "mint_uuid": uuid,
        "index": flow_partition(&flow, &config).index,
        "execution_id": ExecutionId::deterministic_for_flow(&flow, &config, uuid),
    });
    Vector { line, outcome: "index" }
}

fn lane(random: &mut Random) -> Vector {
    let lane = LaneId::new(texts::lane(random));
    let count = count(random);
    let index = solo_partition(&lane, &config_of(count)).index;
    let line = json!({
        "kind": "lane_partition", "lane": lane, "num_flow_partitions": count, "index": index,
    });
    Vector { line, outcome: "index" }
}

fn key_slot(random: &mut Random) -> Vector {
    let key = texts::key(random);
    let slot = hash_slot(key.as_bytes());
    let tagged = slot != ffgrant_reference::hashing::crc16(key.as_bytes()) & 0x3FFF;
    let outcome = if tagged { "of a tag" } else { "of all" };
    Vector { line: json!({ "kind": "key_slot", "key": key, "slot": slot }), outcome }
}

fn keyspace(random: &mut Random) -> Vector {
    // A role, and its number in ffref_key.
    const ROLES: [(&str, u32); 23] = [
        ("core", 0),
        ("claim_grant", 1),
        ("payload", 2),
        ("result", 3),
        ("policy", 4),
        ("tags", 5),
        ("lease_current", 6),
        ("lease_history", 7),
        ("attempts", 8),
        ("attempt", 9),
        ("attempt_usage", 10),
        ("attempt_policy", 11),
        ("stream_meta", 12),
        ("lane_eligible", 13),
        ("lane_active", 14),
        ("lane_delayed", 15),
        ("lane_terminal", 16),
        ("lease_expiry", 23),
        ("attempt_timeout", 24),
        ("execution_deadline", 25),
        ("all_executions", 26),
        ("noop", 27),
        ("worker_leases", 28),
    ];
    let id = ExecutionId::parse(&texts::good_execution_id(random)).expect("a good id");
    let attempt = random.number() as u32;
    let subject = Subject {
        id: &id,
        lane: LaneId::new(texts::lane(random)),
        instance: WorkerInstanceId::new(texts::printable(random, 40)),
        namespace: Namespace::new("default"),
        idempotency_key: "",
        attempt: AttemptIndex::new(attempt),
    };
    let keys: Map<String, Value> = ROLES
        .iter()
        .map(|(role, number)| {
            let name = key_name(*number, &subject).expect("a role that exists");
            ((*role).into(), Value::String(name))
        })
        .collect();
    let line = json!({
        "kind": "keyspace", "execution_id": id, "lane": subject.lane,
        "worker_instance_id": subject.instance, "attempt": attempt, "keys": keys,
    });
    Vector { line, outcome: "23 keys" }
}
