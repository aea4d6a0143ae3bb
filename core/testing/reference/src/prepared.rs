// SPDX-License-Identifier: Apache-2.0
//! Prepared inputs for benchmarks, and one call of the reference for each input.
//!
//! The bytes of all inputs lie one after the other in one arena, in the order in which they are
//! visited. Core's inputs lie in the same way, so neither side waits longer for memory. Only
//! execution ids are allocated one by one, side by side, since ff-core always copies an id's text.

use crate::arena::Arena;
use crate::border::{Status, View, guard};
use crate::hashing::{crc16, hash_slot};
use crate::ids::{config_of, owned_partition_key, partition_key};
use crate::json::{decode_response, grant_of};
use crate::shapes::ClaimResponse;
use ff_core::keys::ExecKeyContext;
use ff_core::partition::{Partition, PartitionConfig, PartitionKey, execution_partition};
use ff_core::types::{ExecutionId, FlowId, LaneId};
use std::hint::black_box;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use uuid::Uuid;

/// The inputs. Those that point into the arena of the same `Prepared` are never dropped.
enum Inputs {
    Keys(Vec<ManuallyDrop<PartitionKey>>),
    Partitions(Vec<Partition>),
    Texts(Vec<&'static str>),
    Uuids(Vec<Uuid>),
    Flows(Vec<FlowId>),
    Lanes(Vec<ManuallyDrop<LaneId>>),
    Bytes(Vec<&'static [u8]>),
    Responses(Vec<ManuallyDrop<ClaimResponse>>),
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
    _arena: Arena,
}

fn texts<'a>(bytes: &[&'a [u8]]) -> Option<Vec<&'a str>> {
    bytes.iter().map(|input| std::str::from_utf8(input).ok()).collect()
}

fn uuids(bytes: &[&[u8]]) -> Option<Vec<Uuid>> {
    texts(bytes)?.iter().map(|text| Uuid::parse_str(text).ok()).collect()
}

fn ids(bytes: &[&[u8]]) -> Option<Vec<ExecutionId>> {
    texts(bytes)?.iter().map(|text| ExecutionId::parse(text).ok()).collect()
}

/// Reads a claim response, and moves its texts into the arena.
///
/// # Safety
/// The response must not be changed, and not outlive the arena.
unsafe fn response(json: &[u8], arena: &mut Arena) -> Option<ManuallyDrop<ClaimResponse>> {
    let read: ClaimResponse = serde_json::from_slice(json).ok()?;
    unsafe {
        Some(ManuallyDrop::new(ClaimResponse {
            execution_id: arena.string(&read.execution_id),
            partition_key: owned_partition_key(arena.string(read.partition_key.as_str())),
            grant_key: arena.string(&read.grant_key),
            expires_at_ms: read.expires_at_ms,
        }))
    }
}

/// # Safety
/// The inputs must not be changed, and not outlive the arena.
unsafe fn prepare(operation: u32, bytes: &[&[u8]], arena: &mut Arena) -> Option<Inputs> {
    Some(match operation {
        0 => Inputs::Keys(
            texts(bytes)?
                .iter()
                .map(|text| ManuallyDrop::new(owned_partition_key(unsafe { arena.string(text) })))
                .collect(),
        ),
        1 => Inputs::Partitions(
            texts(bytes)?
                .iter()
                .map(|text| partition_key(text).parse().ok())
                .collect::<Option<_>>()?,
        ),
        2 | 3 | 16 => {
            Inputs::Texts(texts(bytes)?.iter().map(|text| unsafe { arena.text(text) }).collect())
        }
        4 => Inputs::Uuids(uuids(bytes)?),
        5 | 6 => Inputs::Flows(uuids(bytes)?.into_iter().map(FlowId::from_uuid).collect()),
        7 => Inputs::Lanes(
            texts(bytes)?
                .iter()
                .map(|text| ManuallyDrop::new(LaneId::new(unsafe { arena.string(text) })))
                .collect(),
        ),
        8..=12 => Inputs::Bytes(bytes.iter().map(|input| unsafe { arena.bytes(input) }).collect()),
        13 | 14 => Inputs::Responses(
            bytes.iter().map(|input| unsafe { response(input, arena) }).collect::<Option<_>>()?,
        ),
        15 => {
            // The first ids take the holes that the heap has, so that the others lie side by side.
            let holes = ids(bytes)?;
            let ids = ids(bytes)?;
            drop(holes);
            Inputs::Ids(ids)
        }
        _ => return None,
    })
}

/// Adds up the numbers that `call` returns for the inputs.
fn sum<T>(inputs: &[T], mut call: impl FnMut(&T) -> u64) -> u64 {
    inputs.iter().fold(0, |sum, input| sum.wrapping_add(call(black_box(input))))
}

/// Reads an error; nothing is done with it.
fn rejected<E>(error: E) -> u64 {
    black_box(&error);
    1
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

fn members_of(json: &[u8]) -> u64 {
    match decode_response(json, false) {
        Ok(response) => black_box(&response).expires_at_ms,
        Err(_) => 1,
    }
}

impl Prepared {
    fn run(&mut self, range: std::ops::Range<usize>) -> u64 {
        let Prepared { operation, inputs, config, buffer, .. } = self;
        match inputs {
            Inputs::Keys(all) => sum(&all[range], |key| match key.parse() {
                Ok(partition) => u64::from(partition.index),
                Err(error) => rejected(error),
            }),
            Inputs::Partitions(all) => sum(&all[range], |partition| size_of(partition.hash_tag())),
            Inputs::Texts(all) if *operation == 2 => {
                sum(&all[range], |text| match ExecutionId::parse(text) {
                    Ok(id) => black_box(&id).as_str().len() as u64,
                    Err(error) => rejected(error),
                })
            }
            // The loop alone, which every other operation contains.
            Inputs::Texts(all) if *operation == 16 => sum(&all[range], |text| text.len() as u64),
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
            // A call by pointer: where the decoder is inlined into the loop, it is 10 % slower.
            Inputs::Bytes(all) if *operation >= 10 => {
                let call: fn(&&'static [u8]) -> u64 = match *operation {
                    10 => |bytes| members_of(bytes),
                    11 => |bytes| grant_size(decode_response(bytes, false).ok()),
                    _ => |bytes| grant_size(decode_response(bytes, true).ok()),
                };
                sum(&all[range], call)
            }
            Inputs::Bytes(all) => match *operation {
                8 => sum(&all[range], |bytes| u64::from(crc16(bytes))),
                _ => sum(&all[range], |bytes| u64::from(hash_slot(bytes))),
            },
            Inputs::Responses(all) if *operation == 13 => sum(&all[range], |response| {
                let json = serde_json::to_vec(&**response).expect("a Vec takes everything");
                black_box(&json).len() as u64
            }),
            Inputs::Responses(all) => sum(&all[range], |response| {
                buffer.clear();
                serde_json::to_writer(&mut *buffer, &**response).expect("a Vec takes everything");
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
        // serde_json reads eight bytes at once, so it takes 8 % longer for documents that lie
        // askew. And the processor fetches the beginnings of documents ahead only if their
        // distances are alike; without that, to reject a document at its first byte takes twice as
        // long.
        let alignment = if matches!(operation, 10..=12) { 64 } else { 8 };
        let size = bytes.iter().map(|input| input.len()).sum();
        let mut arena = Arena::new(3 * count, size, alignment); // a claim response has three texts
        Some(Box::into_raw(Box::new(Prepared {
            operation,
            inputs: unsafe { prepare(operation, &bytes, &mut arena) }?,
            config: config_of(256),
            buffer: Vec::new(),
            _arena: arena,
        })))
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
