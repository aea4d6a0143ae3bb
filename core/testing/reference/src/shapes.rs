// SPDX-License-Identifier: Apache-2.0
//! The bodies of the claim path (contract 5): ff-core's types if it has them, otherwise structs
//! with the same members, defaults and order of writing.

use ff_core::contracts::{ClaimExecutionResult, RenewLeaseResult, RevokeLeaseResult};
use ff_core::partition::{PartitionConfig, PartitionKey};
use ff_core::types::LeaseFence;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct ClaimRequest {
    pub lane_id: String,
    pub worker_instance_id: String,
    #[serde(default)]
    pub capabilities: Vec<String>,
    pub grant_ttl_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub struct ClaimResponse {
    pub execution_id: String,
    pub partition_key: PartitionKey,
    pub grant_key: String,
    pub expires_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
pub struct ReclaimRequest {
    pub worker_id: String,
    pub worker_instance_id: String,
    pub lane_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability_hash: Option<String>,
    pub grant_ttl_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_snapshot_json: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission_summary: Option<String>,
    #[serde(default)]
    pub worker_capabilities: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ReclaimResponse {
    Granted {
        execution_id: String,
        partition_key: PartitionKey,
        grant_key: String,
        expires_at_ms: u64,
        lane_id: String,
    },
    NotReclaimable {
        execution_id: String,
        detail: String,
    },
    ReclaimCapExceeded {
        execution_id: String,
        reclaim_count: u32,
    },
}

#[derive(Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
}

/// Any of the bodies, in the order of `ffref_dto`.
pub enum Document {
    None,
    ClaimRequest(ClaimRequest),
    ClaimResponse(ClaimResponse),
    ReclaimRequest(ReclaimRequest),
    ReclaimResponse(ReclaimResponse),
    ErrorBody(ErrorBody),
    RevokeLeaseResult(RevokeLeaseResult),
    RenewLeaseResult(RenewLeaseResult),
    ClaimedResult(ClaimExecutionResult),
    LeaseFence(LeaseFence),
    PartitionConfig(PartitionConfig),
}
