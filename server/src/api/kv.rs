//! `etcdserverpb.KV` (contract §2.3 to §2.8).

use crate::node::Node;
use crate::node::propose::Expect;
use crate::store::read::RangeStream;
use crate::trouble::Unanswered;
use futures::stream::{self, BoxStream, StreamExt};
use quorate_core::check;
use quorate_core::error::Refusal;
use quorate_core::machine::txn;
use quorate_core::pb::kv_server::Kv;
use quorate_core::pb::range_request::{SortOrder, SortTarget};
use quorate_core::pb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse,
};
use quorate_proto::internal::command;
use std::time::Instant;
use tonic::{Request, Response, Status};

/// The key-value service.
#[derive(Clone, Debug)]
pub struct KvService {
    node: Node,
}

impl KvService {
    /// Serves this node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node }
    }

    fn txn_ops_max(&self) -> usize {
        usize::try_from(self.node.config.local.limits.txn_ops_max).unwrap_or(usize::MAX)
    }

    async fn answer_range(&self, request: RangeRequest) -> Result<RangeResponse, Unanswered> {
        check::range(&request)?;
        if !request.serializable {
            self.node.barrier().await?;
        }
        let mut response = self.node.store.range(request).await?;
        self.node.complete(&mut response.header);
        Ok(response)
    }

    async fn answer_txn(&self, request: TxnRequest) -> Result<TxnResponse, Unanswered> {
        self.node.check_quota(check::cost::txn(&request)).await?;
        check::txn(&request, self.txn_ops_max())?;
        let mut response = if txn::is_read_only(&request) {
            if !txn::is_serializable(&request) {
                self.node.barrier().await?;
            }
            self.node.store.read_only_txn(request).await?
        } else {
            TxnResponse::expect_from(self.node.propose(command::Request::Txn(request)).await?)?
        };
        self.node.complete(&mut response.header);
        Ok(response)
    }

    async fn answer_compaction(&self, request: CompactionRequest) -> Result<CompactionResponse, Unanswered> {
        let physical = request.physical.then_some(request.revision);
        let answer = self.node.propose(command::Request::Compaction(request)).await?;
        self.node.note_compaction();
        let mut response = CompactionResponse::expect_from(answer)?;
        if let Some(floor) = physical {
            self.node.store.wait_trimmed(floor).await?;
        }
        self.node.complete(&mut response.header);
        Ok(response)
    }
}

#[tonic::async_trait]
impl Kv for KvService {
    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        let started = Instant::now();
        let answer = self.answer_range(request.into_inner()).await;
        self.node.metrics.range(started.elapsed(), answer.is_ok());
        Ok(Response::new(answer?))
    }

    type RangeStreamStream = BoxStream<'static, Result<RangeStreamResponse, Status>>;

    async fn range_stream(&self, request: Request<RangeRequest>) -> Result<Response<Self::RangeStreamStream>, Status> {
        let request = request.into_inner();
        streamable(&request)?;
        if !request.serializable {
            self.node.barrier().await?;
        }
        let part_bytes = usize::try_from(self.node.config.local.limits.request_bytes_max).unwrap_or(usize::MAX);
        let parts = RangeStream::new(self.node.store.clone(), request, part_bytes);
        let node = self.node.clone();
        let frames = stream::try_unfold((parts, node), |(mut parts, node)| async move {
            let Some(mut part) = parts.next().await? else {
                return Ok::<_, Status>(None);
            };
            if part.header.is_some() {
                node.complete(&mut part.header);
            }
            Ok(Some((RangeStreamResponse { range_response: Some(part) }, (parts, node))))
        });
        Ok(Response::new(frames.boxed()))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let request = request.into_inner();
        self.node.check_quota(check::cost::put(&request)).await?;
        check::put(&request).map_err(Unanswered::from)?;
        let answer = self.node.propose(command::Request::Put(request)).await?;
        let mut response = PutResponse::expect_from(answer)?;
        self.node.complete(&mut response.header);
        Ok(Response::new(response))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let request = request.into_inner();
        check::delete_range(&request).map_err(Unanswered::from)?;
        let answer = self.node.propose(command::Request::DeleteRange(request)).await?;
        let mut response = DeleteRangeResponse::expect_from(answer)?;
        self.node.complete(&mut response.header);
        Ok(Response::new(response))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        Ok(Response::new(self.answer_txn(request.into_inner()).await?))
    }

    async fn compact(&self, request: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        Ok(Response::new(self.answer_compaction(request.into_inner()).await?))
    }
}

/// What a streamed range cannot do (contract §2.4, quirk 7 included).
fn streamable(request: &RangeRequest) -> Result<(), Status> {
    check::range(request).map_err(|refusal: Refusal| Status::from(Unanswered::from(refusal)))?;
    let by_key = request.sort_target == i32::from(SortTarget::Key);
    if !by_key || request.sort_order == i32::from(SortOrder::Descend) {
        return Err(Status::unimplemented("RangeStream does not support custom sort orders"));
    }
    let filters =
        [request.min_mod_revision, request.max_mod_revision, request.min_create_revision, request.max_create_revision];
    if filters.iter().any(|filter| *filter != 0) {
        return Err(Status::unimplemented("RangeStream does not support revision filters"));
    }
    Ok(())
}
