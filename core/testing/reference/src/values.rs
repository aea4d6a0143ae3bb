// SPDX-License-Identifier: Apache-2.0
//! Turns documents into lists of values, and lists of values into documents.

use crate::border::{LastError, MAX_VALUES, Scratch, Status, Value, View};
use crate::ids::partition_key;
use crate::shapes::{
    ClaimRequest, ClaimResponse, Document, ErrorBody, ReclaimRequest, ReclaimResponse,
};
use ff_core::backend::{BackendTag, Handle, HandleKind, HandleOpaque};
use ff_core::contracts::{
    ClaimExecutionResult, ClaimedExecution, RenewLeaseResult, RevokeLeaseResult,
};
use ff_core::partition::PartitionConfig;
use ff_core::state::AttemptType;
use ff_core::types::{
    AttemptId, AttemptIndex, ExecutionId, LeaseEpoch, LeaseFence, LeaseId, TimestampMs,
};
use uuid::Uuid;

const BACKENDS: [BackendTag; 3] = [BackendTag::Valkey, BackendTag::Postgres, BackendTag::Sqlite];
const KINDS: [HandleKind; 4] =
    [HandleKind::Fresh, HandleKind::Resumed, HandleKind::Suspended, HandleKind::Reclaimed];
const ATTEMPTS: [AttemptType; 5] = [
    AttemptType::Initial,
    AttemptType::Retry,
    AttemptType::Reclaim,
    AttemptType::Replay,
    AttemptType::Fallback,
];

fn text(text: impl AsRef<[u8]>) -> Value {
    Value { present: 1, text: View::of(text), ..Value::ABSENT }
}

fn optional(value: &Option<String>) -> Value {
    value.as_ref().map_or(Value::ABSENT, text)
}

fn number(number: u64) -> Value {
    Value { present: 1, number, ..Value::ABSENT }
}

fn place<T: PartialEq>(names: &[T], name: &T) -> Value {
    number(names.iter().position(|n| n == name).expect("a name that exists") as u64)
}

fn list(texts: &[String], kept: &mut Vec<View>) -> Value {
    kept.clear();
    kept.extend(texts.iter().map(View::of));
    Value { present: 1, list: kept.as_ptr(), list_size: kept.len(), ..Value::ABSENT }
}

/// Fills the scratch's values from its document. Returns the variant and the number of values.
pub fn values_of(scratch: &mut Scratch) -> (u32, usize) {
    let Scratch { document, values, list: kept, .. } = scratch;
    let mut size = 0;
    let mut push = |value: Value| {
        values[size] = value;
        size += 1;
    };
    let mut variant = 0;
    match document {
        Document::None => {}
        Document::ClaimRequest(d) => {
            push(text(&d.lane_id));
            push(text(&d.worker_instance_id));
            push(list(&d.capabilities, kept));
            push(number(d.grant_ttl_ms));
        }
        Document::ClaimResponse(d) => {
            push(text(&d.execution_id));
            push(text(d.partition_key.as_str()));
            push(text(&d.grant_key));
            push(number(d.expires_at_ms));
        }
        Document::ReclaimRequest(d) => {
            push(text(&d.worker_id));
            push(text(&d.worker_instance_id));
            push(text(&d.lane_id));
            push(optional(&d.capability_hash));
            push(number(d.grant_ttl_ms));
            push(optional(&d.route_snapshot_json));
            push(optional(&d.admission_summary));
            push(list(&d.worker_capabilities, kept));
        }
        Document::ReclaimResponse(d) => match d {
            ReclaimResponse::Granted {
                execution_id,
                partition_key,
                grant_key,
                expires_at_ms,
                lane_id,
            } => {
                push(text(execution_id));
                push(text(partition_key.as_str()));
                push(text(grant_key));
                push(number(*expires_at_ms));
                push(text(lane_id));
            }
            ReclaimResponse::NotReclaimable { execution_id, detail } => {
                variant = 1;
                push(text(execution_id));
                push(text(detail));
            }
            ReclaimResponse::ReclaimCapExceeded { execution_id, reclaim_count } => {
                variant = 2;
                push(text(execution_id));
                push(number(u64::from(*reclaim_count)));
            }
        },
        Document::ErrorBody(d) => {
            push(text(&d.error));
            push(optional(&d.kind));
            push(d.retryable.map_or(Value::ABSENT, |flag| number(u64::from(flag))));
        }
        Document::RevokeLeaseResult(d) => match d {
            RevokeLeaseResult::Revoked { lease_id, lease_epoch } => {
                push(text(lease_id));
                push(text(lease_epoch));
            }
            RevokeLeaseResult::AlreadySatisfied { reason } => {
                variant = 1;
                push(text(reason));
            }
        },
        Document::RenewLeaseResult(RenewLeaseResult::Renewed { expires_at }) => {
            push(number(expires_at.0 as u64));
        }
        Document::ClaimedResult(d) => {
            let ClaimExecutionResult::Claimed(d) = d else { unreachable!("the only variant") };
            push(text(d.execution_id.as_str()));
            push(text(d.lease_id.as_bytes()));
            push(number(d.lease_epoch.0));
            push(number(u64::from(d.attempt_index.0)));
            push(text(d.attempt_id.as_bytes()));
            push(place(&ATTEMPTS, &d.attempt_type));
            push(number(d.lease_expires_at.0 as u64));
            push(place(&BACKENDS, &d.handle.backend));
            push(place(&KINDS, &d.handle.kind));
            push(text(d.handle.opaque.as_bytes()));
        }
        Document::LeaseFence(d) => {
            push(text(d.lease_id.as_bytes()));
            push(number(d.lease_epoch.0));
            push(text(d.attempt_id.as_bytes()));
        }
        Document::PartitionConfig(d) => {
            push(number(u64::from(d.num_flow_partitions)));
            push(number(u64::from(d.num_budget_partitions)));
            push(number(u64::from(d.num_quota_partitions)));
        }
    }
    (variant, size)
}

/// Takes values one by one, in the order of the members.
struct Taker<'a> {
    values: std::slice::Iter<'a, Value>,
}

impl Taker<'_> {
    fn next(&mut self) -> Result<Value, Status> {
        self.values.next().copied().ok_or(Status::InvalidArgument)
    }

    fn text(&mut self) -> Result<String, Status> {
        Ok(unsafe { self.next()?.text.text()? }.to_owned())
    }

    fn optional(&mut self) -> Result<Option<String>, Status> {
        let value = self.next()?;
        if value.present == 0 {
            return Ok(None);
        }
        Ok(Some(unsafe { value.text.text()? }.to_owned()))
    }

    fn number<N: TryFrom<u64>>(&mut self) -> Result<N, Status> {
        N::try_from(self.next()?.number).map_err(|_| Status::InvalidArgument)
    }

    fn name<T: Copy>(&mut self, names: &[T]) -> Result<T, Status> {
        names.get(self.number::<usize>()?).copied().ok_or(Status::InvalidArgument)
    }

    fn uuid(&mut self) -> Result<Uuid, Status> {
        let bytes = unsafe { self.next()?.text.bytes() };
        Uuid::from_slice(bytes).map_err(|_| Status::InvalidArgument)
    }

    fn list(&mut self) -> Result<Vec<String>, Status> {
        let value = self.next()?;
        if value.list_size == 0 {
            return Ok(Vec::new());
        }
        let views = unsafe { std::slice::from_raw_parts(value.list, value.list_size) };
        views.iter().map(|view| Ok(unsafe { view.text()? }.to_owned())).collect()
    }
}

fn claimed(taker: &mut Taker, error: &mut LastError) -> Result<ClaimedExecution, Status> {
    let id = ExecutionId::parse(&taker.text()?).map_err(|rejected| {
        *error = LastError::ExecutionId(rejected);
        Status::Rejected
    })?;
    Ok(ClaimedExecution::new(
        id,
        LeaseId::from_uuid(taker.uuid()?),
        LeaseEpoch::new(taker.number()?),
        AttemptIndex::new(taker.number()?),
        AttemptId::from_uuid(taker.uuid()?),
        taker.name(&ATTEMPTS)?,
        TimestampMs::from_millis(taker.next()?.number as i64),
        Handle::new(
            taker.name(&BACKENDS)?,
            taker.name(&KINDS)?,
            HandleOpaque::new(unsafe { taker.next()?.text.bytes() }.into()),
        ),
    ))
}

/// Makes a document from the caller's values.
pub fn document_of(
    dto: u32,
    variant: u32,
    values: &[Value],
    error: &mut LastError,
) -> Result<Document, Status> {
    let mut t = Taker { values: values.iter() };
    let document = match (dto, variant) {
        (0, 0) => Document::ClaimRequest(ClaimRequest {
            lane_id: t.text()?,
            worker_instance_id: t.text()?,
            capabilities: t.list()?,
            grant_ttl_ms: t.number()?,
        }),
        (1, 0) => Document::ClaimResponse(ClaimResponse {
            execution_id: t.text()?,
            partition_key: partition_key(&t.text()?),
            grant_key: t.text()?,
            expires_at_ms: t.number()?,
        }),
        (2, 0) => Document::ReclaimRequest(ReclaimRequest {
            worker_id: t.text()?,
            worker_instance_id: t.text()?,
            lane_id: t.text()?,
            capability_hash: t.optional()?,
            grant_ttl_ms: t.number()?,
            route_snapshot_json: t.optional()?,
            admission_summary: t.optional()?,
            worker_capabilities: t.list()?,
        }),
        (3, 0) => Document::ReclaimResponse(ReclaimResponse::Granted {
            execution_id: t.text()?,
            partition_key: partition_key(&t.text()?),
            grant_key: t.text()?,
            expires_at_ms: t.number()?,
            lane_id: t.text()?,
        }),
        (3, 1) => Document::ReclaimResponse(ReclaimResponse::NotReclaimable {
            execution_id: t.text()?,
            detail: t.text()?,
        }),
        (3, 2) => Document::ReclaimResponse(ReclaimResponse::ReclaimCapExceeded {
            execution_id: t.text()?,
            reclaim_count: t.number()?,
        }),
        (4, 0) => Document::ErrorBody(ErrorBody {
            error: t.text()?,
            kind: t.optional()?,
            retryable: t.next().map(|flag| (flag.present != 0).then_some(flag.number != 0))?,
        }),
        (5, 0) => Document::RevokeLeaseResult(RevokeLeaseResult::Revoked {
            lease_id: t.text()?,
            lease_epoch: t.text()?,
        }),
        (5, 1) => {
            Document::RevokeLeaseResult(RevokeLeaseResult::AlreadySatisfied { reason: t.text()? })
        }
        (6, 0) => Document::RenewLeaseResult(RenewLeaseResult::Renewed {
            expires_at: TimestampMs::from_millis(t.next()?.number as i64),
        }),
        (7, 0) => Document::ClaimedResult(ClaimExecutionResult::Claimed(claimed(&mut t, error)?)),
        (8, 0) => Document::LeaseFence(LeaseFence {
            lease_id: LeaseId::from_uuid(t.uuid()?),
            lease_epoch: LeaseEpoch::new(t.number()?),
            attempt_id: AttemptId::from_uuid(t.uuid()?),
        }),
        (9, 0) => Document::PartitionConfig(PartitionConfig {
            num_flow_partitions: t.number()?,
            num_budget_partitions: t.number()?,
            num_quota_partitions: t.number()?,
        }),
        _ => return Err(Status::InvalidArgument),
    };
    if t.next().is_ok() || values.len() > MAX_VALUES {
        return Err(Status::InvalidArgument);
    }
    Ok(document)
}
