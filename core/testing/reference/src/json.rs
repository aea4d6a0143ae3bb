// SPDX-License-Identifier: Apache-2.0
//! Decodes and writes bodies.

use crate::border::{LastError, Rejection, Scratch, Status, Value, View, guard_with};
use crate::ids::{RawExecutionId, RawPartition, id_rejection, key_rejection, raw_execution_id};
use crate::json_error::{class_of, kind_of, named_member};
use crate::shapes::{ClaimResponse, Document};
use crate::values::{document_of, values_of};
use ff_core::contracts::ClaimGrant;
use ff_core::types::ExecutionId;
use serde::Deserialize;
use serde_path_to_error::Segment;
use std::fmt::Write;

/// `ffref_document`.
#[repr(C)]
pub struct RawDocument {
    error_class: u32,
    error: u32,
    member: View,
    line: usize,
    column: usize,
    variant: u32,
    values: *const Value,
    value_count: usize,
}

/// `ffref_grant`.
#[repr(C)]
pub struct RawGrant {
    document: RawDocument,
    id_rejection: Rejection,
    id: RawExecutionId,
    key_rejection: Rejection,
    partition: RawPartition,
}

/// An error, and the member on the path to it if the path was followed.
type Failure = (serde_json::Error, String);

/// Returns the innermost member that the path names. If it has only positions, returns the first
/// position.
fn member_of(path: &serde_path_to_error::Path) -> String {
    let named = |segment: &Segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        _ => None,
    };
    let placed = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        _ => None,
    };
    let segments: Vec<&Segment> = path.iter().collect();
    let name = segments.iter().rev().find_map(|segment| named(segment));
    name.or_else(|| segments.iter().find_map(|segment| placed(segment))).unwrap_or_default()
}

/// Decodes as the server's extractor does: an error in the value names its path, an error after the
/// value does not.
fn decode_as_server<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Failure> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let member = member_of(error.path());
        (error.into_inner(), member)
    })?;
    deserializer.end().map_err(|error| (error, String::new()))?;
    Ok(value)
}

fn decode<'de, T: Deserialize<'de>>(json: &'de [u8], as_server: bool) -> Result<T, Failure> {
    if as_server {
        return decode_as_server(json);
    }
    serde_json::from_slice(json).map_err(|error| (error, String::new()))
}

fn decode_document(
    dto: u32,
    json: &[u8],
    as_server: bool,
) -> Result<Result<Document, Failure>, Status> {
    Ok(match dto {
        0 => decode(json, as_server).map(Document::ClaimRequest),
        1 => decode(json, as_server).map(Document::ClaimResponse),
        2 => decode(json, as_server).map(Document::ReclaimRequest),
        3 => decode(json, as_server).map(Document::ReclaimResponse),
        4 => decode(json, as_server).map(Document::ErrorBody),
        5 => decode(json, as_server).map(Document::RevokeLeaseResult),
        6 => decode(json, as_server).map(Document::RenewLeaseResult),
        7 => decode(json, as_server).map(Document::ClaimedResult),
        8 => decode(json, as_server).map(Document::LeaseFence),
        9 => decode(json, as_server).map(Document::PartitionConfig),
        _ => return Err(Status::InvalidArgument),
    })
}

fn describe_failure(scratch: &mut Scratch, (error, path): Failure) -> RawDocument {
    scratch.text.clear();
    write!(scratch.text, "{error}").expect("a String takes everything");
    scratch.member.clear();
    scratch.member.push_str(named_member(&scratch.text).unwrap_or(&path));
    let document = RawDocument {
        error_class: class_of(&error),
        error: kind_of(&scratch.text),
        member: View::of(&scratch.member),
        line: error.line(),
        column: error.column(),
        variant: 0,
        values: std::ptr::null(),
        value_count: 0,
    };
    scratch.error = LastError::Json(error);
    document
}

fn describe_values(scratch: &mut Scratch) -> RawDocument {
    let (variant, value_count) = values_of(scratch);
    RawDocument {
        error_class: 0,
        error: 0,
        member: View::EMPTY,
        line: 0,
        column: 0,
        variant,
        values: scratch.values.as_ptr(),
        value_count,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_json_parse(
    scratch: *mut Scratch,
    dto: u32,
    reader: u32,
    json: View,
    document: *mut RawDocument,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            if reader > 1 {
                return Err(Status::InvalidArgument);
            }
            match decode_document(dto, json.bytes(), reader == 1)? {
                Ok(decoded) => {
                    scratch.document = decoded;
                    *document = describe_values(scratch);
                    Ok(())
                }
                Err(failure) => {
                    *document = describe_failure(scratch, failure);
                    Err(Status::Rejected)
                }
            }
        })
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_json_write(
    scratch: *mut Scratch,
    dto: u32,
    variant: u32,
    values: *const Value,
    value_count: usize,
    json: *mut View,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            let values = if value_count == 0 {
                &[]
            } else {
                std::slice::from_raw_parts(values, value_count)
            };
            let document = document_of(dto, variant, values, &mut scratch.error)?;
            scratch.json.clear();
            write_document(&document, &mut scratch.json);
            *json = View::of(&scratch.json);
            Ok(())
        })
    }
}

pub fn write_document(document: &Document, json: &mut Vec<u8>) {
    match document {
        Document::None => Ok(()),
        Document::ClaimRequest(d) => serde_json::to_writer(json, d),
        Document::ClaimResponse(d) => serde_json::to_writer(json, d),
        Document::ReclaimRequest(d) => serde_json::to_writer(json, d),
        Document::ReclaimResponse(d) => serde_json::to_writer(json, d),
        Document::ErrorBody(d) => serde_json::to_writer(json, d),
        Document::RevokeLeaseResult(d) => serde_json::to_writer(json, d),
        Document::RenewLeaseResult(d) => serde_json::to_writer(json, d),
        Document::ClaimedResult(d) => serde_json::to_writer(json, d),
        Document::LeaseFence(d) => serde_json::to_writer(json, d),
        Document::PartitionConfig(d) => serde_json::to_writer(json, d),
    }
    .expect("a Vec takes everything")
}

/// Decodes a claim response. grant_of() is the client's conversion that follows.
pub fn decode_response(json: &[u8], as_server: bool) -> Result<ClaimResponse, Failure> {
    decode(json, as_server)
}

pub fn grant_of(
    response: ClaimResponse,
) -> Result<ClaimGrant, ff_core::types::ExecutionIdParseError> {
    let id = ExecutionId::parse(&response.execution_id)?;
    Ok(ClaimGrant::new(id, response.partition_key, response.grant_key, response.expires_at_ms))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_claim_grant_parse(
    scratch: *mut Scratch,
    json: View,
    grant: *mut RawGrant,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            (*grant).id_rejection = Rejection::NONE;
            (*grant).key_rejection = Rejection::NONE;
            let response = match decode_response(json.bytes(), false) {
                Ok(response) => response,
                Err(failure) => {
                    (*grant).document = describe_failure(scratch, failure);
                    return Err(Status::Rejected);
                }
            };
            let id = ExecutionId::parse(&response.execution_id);
            scratch.key_error = match response.partition_key.parse() {
                Ok(partition) => {
                    (*grant).partition = partition.into();
                    None
                }
                Err(error) => {
                    (*grant).key_rejection = key_rejection(&error);
                    Some(error)
                }
            };
            scratch.document = Document::ClaimResponse(response);
            (*grant).document = describe_values(scratch);
            match id {
                Ok(id) => {
                    (*grant).id = raw_execution_id(&id);
                    scratch.id = Some(id);
                    Ok(())
                }
                Err(error) => {
                    (*grant).id_rejection = id_rejection(&error);
                    scratch.error = LastError::ExecutionId(error);
                    Err(Status::Rejected)
                }
            }
        })
    }
}
