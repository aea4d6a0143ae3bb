// SPDX-License-Identifier: Apache-2.0
//! Key names, made by ff-core's builders.

use crate::border::{LastError, Scratch, Status, View, guard_with};
use ff_core::keys::{self, ExecKeyContext, IndexKeys};
use ff_core::partition::PartitionConfig;
use ff_core::partition::execution_partition;
use ff_core::types::{AttemptIndex, ExecutionId, LaneId, Namespace, WorkerInstanceId};

/// `ffref_key_subject`.
#[repr(C)]
pub struct RawSubject {
    execution_id: View,
    lane: View,
    worker_instance: View,
    name_space: View,
    idempotency_key: View,
    attempt: u32,
}

pub struct Subject<'a> {
    pub id: &'a ExecutionId,
    pub lane: LaneId,
    pub instance: WorkerInstanceId,
    pub namespace: Namespace,
    pub idempotency_key: &'a str,
    pub attempt: AttemptIndex,
}

/// Returns the name of the key with this number in `ffref_key`; none if there is no such key.
pub fn key_name(key: u32, s: &Subject) -> Option<String> {
    let partition = execution_partition(s.id, &PartitionConfig::default());
    let execution = ExecKeyContext::new(&partition, s.id);
    let index = IndexKeys::new(&partition);
    Some(match key {
        0 => execution.core(),
        1 => execution.claim_grant(),
        2 => execution.payload(),
        3 => execution.result(),
        4 => execution.policy(),
        5 => execution.tags(),
        6 => execution.lease_current(),
        7 => execution.lease_history(),
        8 => execution.attempts(),
        9 => execution.attempt_hash(s.attempt),
        10 => execution.attempt_usage(s.attempt),
        11 => execution.attempt_policy(s.attempt),
        12 => execution.stream_meta(s.attempt),
        13 => index.lane_eligible(&s.lane),
        14 => index.lane_active(&s.lane),
        15 => index.lane_delayed(&s.lane),
        16 => index.lane_terminal(&s.lane),
        17 => index.lane_suspended(&s.lane),
        18 => index.lane_blocked_route(&s.lane),
        19 => index.lane_blocked_budget(&s.lane),
        20 => index.lane_blocked_quota(&s.lane),
        21 => index.lane_blocked_operator(&s.lane),
        22 => index.lane_blocked_dependencies(&s.lane),
        23 => index.lease_expiry(),
        24 => index.attempt_timeout(),
        25 => index.execution_deadline(),
        26 => index.all_executions(),
        27 => execution.noop(),
        28 => index.worker_leases(&s.instance),
        29 => keys::idempotency_key(&partition.hash_tag(), s.namespace.as_str(), s.idempotency_key),
        30 => keys::lane_config_key(&s.lane),
        31 => keys::worker_alive_key_ns(&s.namespace, &s.instance),
        32 => keys::worker_caps_key_ns(&s.namespace, &s.instance),
        33 => keys::workers_index_key_ns(&s.namespace),
        34 => keys::lanes_index_key(),
        35 => keys::global_config_partitions(),
        _ => return None,
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ffref_key_name(
    scratch: *mut Scratch,
    key: u32,
    subject: *const RawSubject,
    name: *mut View,
) -> Status {
    unsafe {
        guard_with(scratch, |scratch| {
            let raw = &*subject;
            let id = match ExecutionId::parse(raw.execution_id.text()?) {
                Ok(id) => id,
                Err(error) => {
                    scratch.error = LastError::ExecutionId(error);
                    return Err(Status::Rejected);
                }
            };
            let subject = Subject {
                id: &id,
                lane: LaneId::new(raw.lane.text()?),
                instance: WorkerInstanceId::new(raw.worker_instance.text()?),
                namespace: Namespace::new(raw.name_space.text()?),
                idempotency_key: raw.idempotency_key.text()?,
                attempt: AttemptIndex::new(raw.attempt),
            };
            scratch.text = key_name(key, &subject).ok_or(Status::InvalidArgument)?;
            *name = View::of(&scratch.text);
            Ok(())
        })
    }
}
