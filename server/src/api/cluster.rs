//! `etcdserverpb.Cluster` (contract §2.16). Changes of members come with the peer transport.

use super::not_served;
use crate::node::Node;
use quorate_core::pb::cluster_server::Cluster;
use quorate_core::pb::{
    MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest, MemberUpdateResponse,
};
use tonic::{Request, Response, Status};

/// The cluster service.
#[derive(Clone, Debug)]
pub struct ClusterService {
    node: Node,
}

impl ClusterService {
    /// Serves this node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node }
    }
}

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn member_list(&self, request: Request<MemberListRequest>) -> Result<Response<MemberListResponse>, Status> {
        if request.into_inner().linearizable {
            self.node.barrier().await?;
        }
        let members = self.node.store.view().members.list();
        // The only headers without a revision (contract §2.1).
        Ok(Response::new(MemberListResponse { header: Some(self.node.header(0)), members }))
    }

    async fn member_add(&self, _: Request<MemberAddRequest>) -> Result<Response<MemberAddResponse>, Status> {
        Err(not_served("MemberAdd"))
    }

    async fn member_remove(&self, _: Request<MemberRemoveRequest>) -> Result<Response<MemberRemoveResponse>, Status> {
        Err(not_served("MemberRemove"))
    }

    async fn member_update(&self, _: Request<MemberUpdateRequest>) -> Result<Response<MemberUpdateResponse>, Status> {
        Err(not_served("MemberUpdate"))
    }

    async fn member_promote(
        &self,
        _: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        Err(not_served("MemberPromote"))
    }
}
