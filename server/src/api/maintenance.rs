//! `etcdserverpb.Maintenance` (contract §2.11, §2.12). Snapshots, leader transfer and downgrades come later.

use super::not_served;
use crate::node::Node;
use crate::node::propose::Expect;
use crate::trouble::{Trouble, Unanswered};
use crate::version::{CLUSTER_VERSION, ETCD_VERSION};
use futures::stream::BoxStream;
use quorate_core::mvcc::hash::{Hashed, hash_key_space};
use quorate_core::pb::alarm_request::AlarmAction;
use quorate_core::pb::maintenance_server::Maintenance;
use quorate_core::pb::{
    AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse, DowngradeInfo, DowngradeRequest,
    DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse,
    SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse,
};
use quorate_core::storage::hash_tables;
use quorate_proto::internal::command;
use std::sync::Arc;
use std::time::Instant;
use tonic::{Request, Response, Status};

/// The maintenance service.
#[derive(Clone, Debug)]
pub struct MaintenanceService {
    node: Node,
}

impl MaintenanceService {
    /// Serves this node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node }
    }

    async fn answer_alarm(&self, request: AlarmRequest) -> Result<AlarmResponse, Unanswered> {
        let mut response = if AlarmAction::try_from(request.action) == Ok(AlarmAction::Get) {
            self.node.barrier().await?;
            let view = self.node.store.view();
            AlarmResponse { header: Some(self.node.header(view.revision)), alarms: view.alarms.list(request.alarm) }
        } else {
            AlarmResponse::expect_from(self.node.propose(command::Request::Alarm(request)).await?)?
        };
        self.node.complete(&mut response.header);
        Ok(response)
    }

    async fn answer_hash_kv(&self, revision: i64) -> Result<HashKvResponse, Unanswered> {
        let started = Instant::now();
        let store = Arc::clone(&self.node.store);
        let (newest, hash) = self
            .node
            .store
            .blocking(move || {
                let view = store.view();
                let state =
                    Hashed { index: &view.index, revision: view.revision, compact_revision: view.compact_revision };
                Ok((view.revision, hash_key_space(state, &**store.engine(), revision)??))
            })
            .await?;
        self.node.metrics.hashed_key_space(started.elapsed());
        Ok(HashKvResponse {
            header: Some(self.node.header(newest)),
            hash: hash.hash,
            compact_revision: hash.compact_revision,
            hash_revision: hash.revision,
        })
    }

    async fn answer_status(&self) -> Result<StatusResponse, Unanswered> {
        let node = &self.node;
        let view = node.store.view();
        let status = node.consensus.status();
        let mut errors = Vec::new();
        if !node.has_leader() {
            errors.push(Trouble::NoLeader.to_string());
        }
        errors.extend(view.alarms.list(AlarmType::None.into()).into_iter().map(|active| {
            let name = AlarmType::try_from(active.alarm).map_or("UNKNOWN", |alarm| alarm.as_str_name());
            format!("memberID:{} alarm:{name}", active.member_id)
        }));
        Ok(StatusResponse {
            header: Some(node.header(view.revision)),
            version: ETCD_VERSION.to_owned(),
            db_size: node.db_size_bytes()?,
            leader: status.leader.unwrap_or(0),
            raft_index: status.committed_index,
            raft_term: status.term,
            raft_applied_index: view.applied_index.0,
            errors,
            db_size_in_use: view.bytes_in_use,
            is_learner: false,
            storage_version: CLUSTER_VERSION.to_owned(),
            db_size_quota: node.quota_bytes(),
            downgrade_info: Some(DowngradeInfo::default()),
        })
    }
}

#[tonic::async_trait]
impl Maintenance for MaintenanceService {
    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        Ok(Response::new(self.answer_alarm(request.into_inner()).await?))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.answer_status().await?))
    }

    /// Gives room back while everything goes on; answers when it is done. Without a header, as in etcd.
    async fn defragment(&self, _: Request<DefragmentRequest>) -> Result<Response<DefragmentResponse>, Status> {
        let started = Instant::now();
        let engine = Arc::clone(self.node.store.engine());
        let _inflight = self.node.metrics.defragmenting();
        self.node
            .store
            .blocking(move || {
                engine.flush()?;
                Ok(engine.reclaim()?)
            })
            .await?;
        self.node.metrics.defragmented(started.elapsed());
        tracing::info!(took = ?started.elapsed(), "finished defragmenting");
        Ok(Response::new(DefragmentResponse { header: None }))
    }

    async fn hash(&self, _: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        let started = Instant::now();
        let store = Arc::clone(&self.node.store);
        let work = move || Ok((store.view().revision, hash_tables(&**store.engine())?));
        let (revision, hash) = self.node.store.blocking(work).await?;
        self.node.metrics.hashed(started.elapsed());
        Ok(Response::new(HashResponse { header: Some(self.node.header(revision)), hash }))
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        Ok(Response::new(self.answer_hash_kv(request.into_inner().revision).await?))
    }

    type SnapshotStream = BoxStream<'static, Result<SnapshotResponse, Status>>;

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(not_served("Snapshot"))
    }

    async fn move_leader(&self, _: Request<MoveLeaderRequest>) -> Result<Response<MoveLeaderResponse>, Status> {
        Err(not_served("MoveLeader"))
    }

    async fn downgrade(&self, _: Request<DowngradeRequest>) -> Result<Response<DowngradeResponse>, Status> {
        Err(not_served("Downgrade"))
    }
}
