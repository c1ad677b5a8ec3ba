//! `etcdserverpb.Lease` (contract §2.10).

use crate::node::Node;
use crate::node::propose::Expect;
use crate::trouble::{Trouble, Unanswered};
use futures::stream::{self, BoxStream, StreamExt};
use quorate_core::check;
use quorate_core::ids::LeaseId;
use quorate_core::pb::lease_server::Lease;
use quorate_core::pb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use quorate_proto::internal::{LeaseRevoke, command};
use tonic::{Request, Response, Status, Streaming};

/// The lease service.
#[derive(Clone, Debug)]
pub struct LeaseService {
    node: Node,
}

impl LeaseService {
    /// Serves this node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node }
    }
}

/// One request of a keep-alive stream. The revision of the header is taken before the renewal, so that it cannot be newer
/// than what the renewal saw.
async fn keep_alive(node: &Node, lease: i64) -> Result<LeaseKeepAliveResponse, Unanswered> {
    let header = node.header(node.store.view().revision);
    let ttl = node.renew_lease(LeaseId(lease)).await?;
    Ok(LeaseKeepAliveResponse { header: Some(header), id: lease, ttl })
}

#[tonic::async_trait]
impl Lease for LeaseService {
    async fn lease_grant(&self, request: Request<LeaseGrantRequest>) -> Result<Response<LeaseGrantResponse>, Status> {
        self.node.check_quota(check::cost::lease_grant()).await?;
        let mut response = self.node.grant_lease(request.into_inner()).await?;
        self.node.complete(&mut response.header);
        Ok(Response::new(response))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let revoke = LeaseRevoke { id: request.into_inner().id, incarnation: 0, term: 0 };
        let answer = self.node.propose(command::Request::LeaseRevoke(revoke)).await?;
        let mut response = LeaseRevokeResponse::expect_from(answer)?;
        self.node.complete(&mut response.header);
        Ok(Response::new(response))
    }

    type LeaseKeepAliveStream = BoxStream<'static, Result<LeaseKeepAliveResponse, Status>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let state = (request.into_inner(), self.node.clone());
        let answers = stream::try_unfold(state, |(mut requests, node)| async move {
            let request = tokio::select! {
                biased;
                () = node.stopping() => return Err(Unanswered::from(Trouble::Stopped).into()),
                request = requests.message() => request?,
            };
            let Some(request) = request else {
                return Ok::<_, Status>(None);
            };
            let answer = keep_alive(&node, request.id).await?;
            Ok(Some((answer, (requests, node))))
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        Ok(Response::new(self.node.lease_time_to_live(request.into_inner()).await?))
    }

    async fn lease_leases(&self, _: Request<LeaseLeasesRequest>) -> Result<Response<LeaseLeasesResponse>, Status> {
        Ok(Response::new(self.node.leases()))
    }
}
