// SPDX-License-Identifier: Apache-2.0
//! Prepared inputs for benchmarks, and one call of the reference for each input.

use crate::border::{Status, View, guard};
use crate::hashing::{crc16, hash_slot};
use crate::ids::{config_of, partition_key};
use crate::json::{decode_response, grant_of};
use crate::shapes::ClaimResponse;
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionConfig, PartitionKey, execution_partition};
use ff_core::types::{ExecutionId, FlowId, LaneId};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use uuid::Uuid;

enum Inputs {
    Keys(Vec<PartitionKey>),
    Partitions(Vec<Partition>),
    Texts(Vec<String>),
    Uuids(Vec<Uuid>),
    Flows(Vec<FlowId>),
    Lanes(Vec<LaneId>),
    Bytes(Vec<Vec<u8>>),
    Responses(Vec<ClaimResponse>),
    Ids(Vec<ExecutionId>),
}

impl Inputs {
    fn len(&self) -> usize {
        match self {
            Inputs::Keys(all) => all.len(),
            Inputs::Partitions(all) => all.len(),
            Inputs::Texts(all) => all.len(),
            Inputs::Uuids(all) => all.len(),
            Inputs::Flows(all) => all.len(),
            Inputs::Lanes(all) => all.len(),
            Inputs::Bytes(all) => all.len(),
            Inputs::Responses(all) => all.len(),
            Inputs::Ids(all) => all.len(),
        }
    }
}

/// `ffref_prepared`.
pub struct Prepared {
    operation: u32,
    inputs: Inputs,
    config: PartitionConfig,
    buffer: Vec<u8>,
}

fn texts(bytes: &[&[u8]]) -> Option<Vec<String>> {
    bytes.iter().map(|input| String::from_utf8(input.to_vec()).ok()).collect()
}

fn uuids(bytes: &[&[u8]]) -> Option<Vec<Uuid>> {
    texts(bytes)?.iter().map(|text| Uuid::parse_str(text).ok()).collect()
}

fn prepare(operation: u32, bytes: &[&[u8]]) -> Option<Inputs> {
    Some(match operation {
        0 => Inputs::Keys(texts(bytes)?.iter().map(|text| partition_key(text)).collect()),
        1 => Inputs::Partitions(
            texts(bytes)?
                .iter()
                .map(|text| partition_key(text).parse().ok())
                .collect::<Option<_>>()?,
        ),
        2 | 3 => Inputs::Texts(texts(bytes)?),
        4 => Inputs::Uuids(uuids(bytes)?),
        5 | 6 => Inputs::Flows(uuids(bytes)?.into_iter().map(FlowId::from_uuid).collect()),
        7 => Inputs::Lanes(texts(bytes)?.into_iter().map(LaneId::new).collect()),
        8..=12 => Inputs::Bytes(bytes.iter().map(|input| input.to_vec()).collect()),
        13 | 14 => Inputs::Responses(
            bytes.iter().map(|input| serde_json::from_slice(input).ok()).collect::<Option<_>>()?,
        ),
        15 => Inputs::Ids(
            texts(bytes)?
                .iter()
                .map(|text| ExecutionId::parse(text).ok())
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

/// Adds up the numbers that `call` returns for the inputs.
fn sum<T>(inputs: &[T], mut call: impl FnMut(&T) -> u64) -> u64 {
    inputs.iter().fold(0, |sum, input| sum.wrapping_add(call(black_box(input))))
}

fn size_of(text: String) -> u64 {
    black_box(&text).len() as u64
}

fn grant_size(response: Option<ClaimResponse>) -> u64 {
    match response.map(grant_of) {
        Some(Ok(grant)) => black_box(&grant).expires_at_ms,
        Some(Err(_)) => 2,
        None => 1,
    }
}

impl Prepared {
    fn run(&mut self, range: std::ops::Range<usize>) -> u64 {
        let Prepared { operation, inputs, config, buffer } = self;
        match inputs {
            Inputs::Keys(all) => sum(&all[range], |key| match key.parse() {
                Ok(partition) => u64::from(partition.index),
                Err(error) => u64::from(black_box(&error) == black_box(&error)),
            }),
            Inputs::Partitions(all) => sum(&all[range], |partition| size_of(partition.hash_tag())),
            Inputs::Texts(all) if *operation == 2 => {
                sum(&all[range], |text| match ExecutionId::parse(text) {
                    Ok(id) => black_box(&id).as_str().len() as u64,
                    Err(error) => u64::from(black_box(&error) == black_box(&error)),
                })
            }
            Inputs::Texts(all) => sum(&all[range], |text| match Uuid::parse_str(text) {
                Ok(uuid) => black_box(uuid).as_u128() as u64,
                Err(_) => 1,
            }),
            Inputs::Uuids(all) => sum(&all[range], |uuid| size_of(uuid.to_string())),
            Inputs::Flows(all) if *operation == 5 => sum(&all[range], |flow| {
                black_box(&ExecutionId::for_flow(flow, config)).as_str().len() as u64
            }),
            Inputs::Flows(all) => sum(&all[range], |flow| {
                let id = ExecutionId::deterministic_for_flow(flow, config, flow.0);
                black_box(&id).as_str().len() as u64
            }),
            Inputs::Lanes(all) => sum(&all[range], |lane| {
                black_box(&ExecutionId::solo(lane, config)).as_str().len() as u64
            }),
            Inputs::Bytes(all) => {
                let call: fn(&Vec<u8>) -> u64 = match *operation {
                    8 => |bytes| u64::from(crc16(bytes)),
                    9 => |bytes| u64::from(hash_slot(bytes)),
                    10 => |bytes| match decode_response(bytes, false) {
                        Ok(response) => black_box(&response).expires_at_ms,
                        Err(_) => 1,
                    },
                    11 => |bytes| grant_size(decode_response(bytes, false).ok()),
                    _ => |bytes| grant_size(decode_response(bytes, true).ok()),
                };
                sum(&all[range], call)
            }
            Inputs::Responses(all) if *operation == 13 => sum(&all[range], |response| {
                let json = serde_json::to_vec(response).expect("a Vec takes everything");
                black_box(&json).len() as u64
            }),
            Inputs::Responses(all) => sum(&all[range], |response| {
                buffer.clear();
                serde_json::to_writer(&mut *buffer, response).expect("a Vec takes everything");
                black_box(&*buffer).len() as u64
            }),
            Inputs::Ids(all) => sum(&all[range], |id| {
                let partition = execution_partition(id, config);
                size_of(ExecKeyContext::new(&partition, id).claim_grant())
            }),
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_prepared_new(
    operation: u32,
    inputs: *const View,
    count: usize,
) -> *mut Prepared {
    let made = catch_unwind(AssertUnwindSafe(|| {
        let views =
            if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(inputs, count) } };
        let bytes: Vec<&[u8]> = views.iter().map(|view| unsafe { view.bytes() }).collect();
        let inputs = prepare(operation, &bytes)?;
        let prepared = Prepared { operation, inputs, config: config_of(256), buffer: Vec::new() };
        Some(Box::into_raw(Box::new(prepared)))
    }));
    made.ok().flatten().unwrap_or(std::ptr::null_mut())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_prepared_free(prepared: *mut Prepared) {
    if !prepared.is_null() {
        drop(unsafe { Box::from_raw(prepared) });
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_prepared_run(
    prepared: *mut Prepared,
    first: usize,
    count: usize,
    checksum: *mut u64,
) -> Status {
    guard(|| {
        let prepared = unsafe { &mut *prepared };
        let end = first.checked_add(count).filter(|end| *end <= prepared.inputs.len());
        let sum = prepared.run(first..end.ok_or(Status::InvalidArgument)?);
        unsafe { *checksum = sum };
        Ok(())
    })
}
