// SPDX-License-Identifier: Apache-2.0
//! Partition keys, UUIDs, execution ids, lanes.

use crate::border::{LastError, Rejection, Scratch, Status, View, guard, guard_with};
use ff_core::partition::{
    Partition, PartitionConfig, PartitionFamily, PartitionKey, PartitionKeyParseError,
};
use ff_core::types::{ExecutionId, ExecutionIdParseError, FlowId, LaneId, LaneIdError};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use uuid::Uuid;

/// `ffref_partition`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawPartition {
    family: u32,
    index: u16,
}

impl From<Partition> for RawPartition {
    fn from(partition: Partition) -> RawPartition {
        let family = match partition.family {
            PartitionFamily::Flow => 0,
            PartitionFamily::Execution => 1,
            PartitionFamily::Budget => 2,
            PartitionFamily::Quota => 3,
        };
        RawPartition { family, index: partition.index }
    }
}

impl TryFrom<RawPartition> for Partition {
    type Error = Status;

    fn try_from(raw: RawPartition) -> Result<Partition, Status> {
        let family = match raw.family {
            0 => PartitionFamily::Flow,
            1 => PartitionFamily::Execution,
            2 => PartitionFamily::Budget,
            3 => PartitionFamily::Quota,
            _ => return Err(Status::InvalidArgument),
        };
        Ok(Partition { family, index: raw.index })
    }
}

/// `ffref_uuid`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawUuid {
    pub bytes: [u8; 16],
}

/// `ffref_execution_id`.
#[repr(C)]
pub struct RawExecutionId {
    text: View,
    index: u16,
    uuid: RawUuid,
}

pub fn config_of(num_flow_partitions: u16) -> PartitionConfig {
    PartitionConfig { num_flow_partitions, ..PartitionConfig::default() }
}

/// Makes a key from any text by decoding it, since the type has no constructor.
pub fn partition_key(text: &str) -> PartitionKey {
    let text: serde::de::value::StrDeserializer<serde::de::value::Error> = text.into_deserializer();
    PartitionKey::deserialize(text).expect("a key takes any text")
}

/// Makes a key of the text without a copy of it.
pub fn owned_partition_key(text: String) -> PartitionKey {
    let text: serde::de::value::StringDeserializer<serde::de::value::Error> =
        text.into_deserializer();
    PartitionKey::deserialize(text).expect("a key takes any text")
}

pub fn key_rejection(error: &PartitionKeyParseError) -> Rejection {
    use PartitionKeyParseError as E;
    match error {
        E::MissingBraces => Rejection { error: 1, payload: View::EMPTY },
        E::MalformedBody => Rejection { error: 2, payload: View::EMPTY },
        E::UnknownFamilyPrefix(prefix) => Rejection { error: 3, payload: View::of(prefix) },
        E::InvalidIndex(index) => Rejection { error: 4, payload: View::of(index) },
    }
}

pub fn id_rejection(error: &ExecutionIdParseError) -> Rejection {
    use ExecutionIdParseError as E;
    match error {
        E::MissingTag(text) => Rejection { error: 1, payload: View::of(text) },
        E::InvalidPartitionIndex(index) => Rejection { error: 2, payload: View::of(index) },
        E::InvalidUuid(uuid) => Rejection { error: 3, payload: View::of(uuid) },
    }
}

/// Reads index and UUID from the text as ff-core's parser does, since ff-core keeps only the text.
pub fn raw_execution_id(id: &ExecutionId) -> RawExecutionId {
    let text = id.as_str();
    let end = text.find("}:").expect("an id that parsed");
    let uuid = Uuid::parse_str(&text[end + 2..]).expect("an id that parsed");
    RawExecutionId {
        text: View::of(text),
        index: id.partition(),
        uuid: RawUuid { bytes: uuid.into_bytes() },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_partition_key_parse(
    scratch: *mut Scratch,
    text: View,
    partition: *mut RawPartition,
    rejection: *mut Rejection,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| match partition_key(text.text()?).parse() {
            Ok(parsed) => {
                *partition = parsed.into();
                Ok(())
            }
            Err(error) => {
                *rejection = key_rejection(&error);
                scratch.error = LastError::PartitionKey(error);
                Err(Status::Rejected)
            }
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_partition_format(
    scratch: *mut Scratch,
    partition: RawPartition,
    tag: *mut View,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            scratch.text = Partition::try_from(partition)?.hash_tag();
            *tag = View::of(&scratch.text);
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_uuid_parse(text: View, uuid: *mut RawUuid) -> Status {
    guard(|| {
        let parsed = Uuid::parse_str(unsafe { text.text()? }).map_err(|_| Status::Rejected)?;
        unsafe { *uuid = RawUuid { bytes: parsed.into_bytes() } };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_uuid_format(
    scratch: *mut Scratch,
    uuid: *const RawUuid,
    text: *mut View,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            *text = scratch.write(format_args!("{}", Uuid::from_bytes((*uuid).bytes)));
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_execution_id_parse(
    scratch: *mut Scratch,
    text: View,
    id: *mut RawExecutionId,
    rejection: *mut Rejection,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| match ExecutionId::parse(text.text()?) {
            Ok(parsed) => {
                // The bytes of the text stay where they are when their owner moves.
                *id = raw_execution_id(&parsed);
                scratch.id = Some(parsed);
                Ok(())
            }
            Err(error) => {
                *rejection = id_rejection(&error);
                scratch.error = LastError::ExecutionId(error);
                Err(Status::Rejected)
            }
        })
    }
}

fn keep_id(scratch: &mut Scratch, id: ExecutionId) -> View {
    View::of(scratch.id.insert(id).as_str())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_execution_id_for_flow(
    scratch: *mut Scratch,
    flow: *const RawUuid,
    num_flow_partitions: u16,
    uuid: *const RawUuid,
    text: *mut View,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            let flow = FlowId::from_uuid(Uuid::from_bytes((*flow).bytes));
            let uuid = Uuid::from_bytes((*uuid).bytes);
            let config = config_of(num_flow_partitions);
            let id = ExecutionId::deterministic_for_flow(&flow, &config, uuid);
            *text = keep_id(scratch, id);
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_execution_id_solo(
    scratch: *mut Scratch,
    lane: View,
    num_flow_partitions: u16,
    uuid: *const RawUuid,
    text: *mut View,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            let lane = LaneId::new(lane.text()?);
            let uuid = Uuid::from_bytes((*uuid).bytes);
            let id = ExecutionId::deterministic_solo(&lane, &config_of(num_flow_partitions), uuid);
            *text = keep_id(scratch, id);
            Ok(())
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_lane_check(
    scratch: *mut Scratch,
    text: View,
    error: *mut u32,
    number: *mut usize,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            let Err(found) = LaneId::try_new(text.text()?) else { return Ok(()) };
            (*error, *number) = match found {
                LaneIdError::Empty => (1, 0),
                LaneIdError::TooLong(size) => (2, size),
                LaneIdError::NonPrintable(at) => (3, at),
            };
            scratch.error = LastError::Lane(found);
            Err(Status::Rejected)
        })
    }
}
