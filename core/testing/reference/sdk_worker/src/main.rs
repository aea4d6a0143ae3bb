// SPDX-License-Identifier: Apache-2.0
//! A worker on FlowFabric's published SDK, as core/examples/worker.cc is one on ffgrant. Both do
//! the same work, so that a fleet can have both: they write payloads in capital letters.
//!
//!   sdk_worker http://127.0.0.1:9090 127.0.0.1:6379 default
//!   sdk_worker http://127.0.0.1:9090 127.0.0.1:6379 default ID...
//!
//! It asks the server for grants until SIGTERM comes. If ids follow, it takes over these
//! executions, whose leases have expired, and ends. It prints a line `completed ID` for each
//! execution that it has completed. A bearer token is taken from FF_API_TOKEN, the instance id from
//! FF_WORKER_INSTANCE_ID.

use std::{env, error::Error, process, time::Duration};

use ff_core::backend::BackendConfig;
use ff_core::contracts::{ReclaimExecutionArgs, ReclaimExecutionOutcome};
use ff_core::types::{
    AttemptId, ExecutionId, LaneId, LeaseId, Namespace, WorkerId, WorkerInstanceId,
};
use ff_sdk::{
    ClaimedTask, FlowFabricAdminClient, FlowFabricWorker, IssueReclaimGrantRequest, SdkError,
    WorkerConfig,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

type Fault = Box<dyn Error>;

const LEASE_TTL_MS: u64 = 10_000;
const GRANT_TTL_MS: u64 = 5_000;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1000);

struct Fleet {
    worker: FlowFabricWorker,
    admin: FlowFabricAdminClient,
    lane: LaneId,
}

impl Fleet {
    async fn join(url: &str, valkey: &str, lane: &str) -> Result<Fleet, Fault> {
        let (host, port) = valkey.rsplit_once(':').ok_or("VALKEY is HOST:PORT")?;
        let lane = LaneId::try_new(lane)?;
        let worker = FlowFabricWorker::connect(WorkerConfig {
            backend: Some(BackendConfig::valkey(host, port.parse()?)),
            worker_id: WorkerId::new("rust"),
            worker_instance_id: WorkerInstanceId::new(env::var("FF_WORKER_INSTANCE_ID")?),
            namespace: Namespace::new("default"),
            lanes: vec![lane.clone()],
            capabilities: Vec::new(),
            lease_ttl_ms: LEASE_TTL_MS,
            claim_poll_interval_ms: 1_000, // claim_via_server() does not look at it
            max_concurrent_tasks: 1,
            partition_config: None,
        })
        .await?;
        let admin = match env::var("FF_API_TOKEN") {
            Ok(token) => FlowFabricAdminClient::with_token(url, token)?,
            Err(_) => FlowFabricAdminClient::new(url)?,
        };
        Ok(Fleet { worker, admin, lane })
    }

    /// Works until SIGTERM comes. The execution under way is finished first.
    async fn serve(&self) -> Result<(), Fault> {
        let mut stop = signal(SignalKind::terminate())?;
        let mut pause = Duration::ZERO;
        // A stop request that has come meanwhile is seen also if there is no pause.
        while timeout(pause, stop.recv()).await.is_err() {
            match self.worker.claim_via_server(&self.admin, &self.lane, GRANT_TTL_MS).await {
                Ok(Some(task)) => {
                    pause = Duration::ZERO;
                    complete(task).await;
                    continue;
                }
                Ok(None) => {} // nothing in this window of partitions
                Err(error) => println!("not claimed: {error}"),
            }
            pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
        Ok(())
    }

    /// Takes over an execution whose lease has expired, as the SDK has its users do it: a reclaim
    /// gives a handle, which the backend completes.
    async fn take_over(&self, text: &str) -> Result<(), Fault> {
        let config = self.worker.config();
        let id = ExecutionId::parse(text)?;
        let request = IssueReclaimGrantRequest {
            worker_id: config.worker_id.to_string(),
            worker_instance_id: config.worker_instance_id.to_string(),
            lane_id: self.lane.to_string(),
            capability_hash: None,
            grant_ttl_ms: GRANT_TTL_MS,
            route_snapshot_json: None,
            admission_summary: None,
            worker_capabilities: Vec::new(),
        };
        let grant = self.admin.issue_reclaim_grant(text, request).await?.into_grant()?;
        let backend = self.worker.backend().ok_or("the worker has no backend")?;
        let old_attempt = backend.read_current_attempt_index(&id).await?;
        let args = ReclaimExecutionArgs::new(
            id.clone(),
            config.worker_id.clone(),
            config.worker_instance_id.clone(),
            self.lane.clone(),
            None,
            LeaseId::new(),
            LEASE_TTL_MS,
            AttemptId::new(),
            String::new(),
            None,
            config.worker_instance_id.clone(), // Valkey's functions look the old instance up
            old_attempt,
        );
        let handle = match self.worker.claim_from_reclaim_grant(grant, args).await? {
            ReclaimExecutionOutcome::Claimed(handle) => handle,
            other => return Err(format!("{other:?}").into()),
        };
        let input = backend.read_execution_context(&id).await?.input_payload;
        backend.complete(&handle, Some(input.to_ascii_uppercase())).await?;
        println!("completed {id}");
        Ok(())
    }
}

async fn complete(task: ClaimedTask) {
    let id = task.execution_id().clone();
    let result = task.input_payload().to_ascii_uppercase();
    let completed: Result<(), SdkError> = task.complete(Some(result)).await;
    match completed {
        Ok(()) => println!("completed {id}"),
        Err(error) => println!("not completed {id}: {error}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fault> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [url, valkey, lane, ids @ ..] = words.as_slice() else {
        println!("usage: sdk_worker URL VALKEY LANE [ID...]");
        process::exit(2);
    };
    let fleet = Fleet::join(url, valkey, lane).await?;
    if ids.is_empty() {
        return fleet.serve().await;
    }
    for id in ids {
        if let Err(error) = fleet.take_over(id).await {
            println!("not taken over {id}: {error}");
        }
    }
    Ok(())
}
