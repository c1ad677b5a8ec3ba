//! What every gRPC call passes on its way in and out: admission by metadata, counting, the size limit, the slow log.
//!
//! ```text
//! socket ─▶ known method? ─▶ client-api-version, hasleader ─▶ RequestBody ─▶ the service
//!                │ no                  │ no                   counts, size         │
//!                ▼                     ▼                                           ▼
//!          Unimplemented          refused, not counted      ResponseBody ◀── status or messages
//! ```
//!
//! Order and texts are those of the contract (§2.2 rows 1 and 4, §3.2, §8.3).
//!
//! Rules:
//! - A call is counted as started and as handled exactly once, whatever happens to it.
//! - Nothing here waits, locks or looks up labels per call. Measured by `cargo bench -p quorate --bench grpc_layer`.
//! - As in etcd, a call refused for its metadata counts as a client request and not as a started call.
//!
//! Left out: learners, quota, authentication and validation, which need the decoded request and belong to the API.

mod frames;
pub mod methods;
mod request;
mod response;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::Body;
use tonic::Status;
use tower::{Layer, Service};

pub use request::RequestBody;
pub use response::{ResponseBody, ResponseFuture};

use self::frames::Seen;
use self::methods::{Kind, MethodId};
use self::response::Call;
use crate::metrics::Metrics;

/// Asked before a call that insists on a leader (metadata `hasleader: true`).
pub trait LeaderProbe: Send + Sync {
    /// A leader is known now, and was heard of recently enough to be believed.
    fn has_leader(&self) -> bool;

    /// Ready once there has been no leader for three election timeouts; open streams that insist on one end then.
    fn lost(&self) -> BoxFuture<'static, ()>;
}

/// Numbers that decide what is refused and what is logged.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest message accepted from a client: `--max-request-bytes` plus 512 KiB (contract §4). The services' own
    /// decoding limit must not be lower.
    pub request_bytes_max: u32,
    /// Unary calls that take longer are logged (`--warning-unary-request-duration`).
    pub slow_unary: Duration,
}

/// What all calls share.
pub(crate) struct Shared {
    metrics: Arc<Metrics>,
    leader: Arc<dyn LeaderProbe>,
    limits: Limits,
}

impl Shared {
    fn received(&self, method: MethodId, seen: Seen) {
        count(&self.metrics.grpc.method(method).received, seen.messages);
        count(&self.metrics.network.client_received_bytes, seen.bytes);
    }

    fn sent(&self, method: MethodId, seen: Seen) {
        count(&self.metrics.grpc.method(method).sent, seen.messages);
        count(&self.metrics.network.client_sent_bytes, seen.bytes);
    }

    /// Checks the metadata and counts the request by client version.
    fn admit(&self, headers: &HeaderMap, kind: Kind) -> Result<Admitted, Status> {
        let version = headers.get("client-api-version").map(|value| std::str::from_utf8(value.as_bytes()));
        let version = version.transpose().map_err(|_| invalid_client_api_version())?;
        let stream = kind != Kind::Unary;
        self.metrics.grpc.client_request(version, stream);
        let needs_leader = headers.get("hasleader").is_some_and(|value| value == "true");
        if needs_leader && !self.leader.has_leader() {
            return Err(no_leader());
        }
        Ok(Admitted { watch_leader: needs_leader && stream })
    }
}

fn count(counter: &prometheus::IntCounter, by: u64) {
    if by > 0 {
        counter.inc_by(by);
    }
}

/// What the metadata ask for.
struct Admitted {
    /// End the stream if the leader is lost.
    watch_leader: bool,
}

fn no_leader() -> Status {
    Status::unavailable("etcdserver: no leader")
}

fn invalid_client_api_version() -> Status {
    Status::invalid_argument("etcdserver: invalid client api version")
}

/// Wraps the gRPC services of a member. Cheap to clone.
#[derive(Clone)]
pub struct GrpcLayer {
    shared: Arc<Shared>,
}

impl GrpcLayer {
    /// One per member, shared by all its listeners.
    pub fn new(metrics: Arc<Metrics>, leader: Arc<dyn LeaderProbe>, limits: Limits) -> Self {
        Self { shared: Arc::new(Shared { metrics, leader, limits }) }
    }
}

impl<S> Layer<S> for GrpcLayer {
    type Service = GrpcService<S>;

    fn layer(&self, inner: S) -> GrpcService<S> {
        GrpcService { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service behind [`GrpcLayer`].
#[derive(Clone)]
pub struct GrpcService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S, ReqB, ResB> Service<http::Request<ReqB>> for GrpcService<S>
where
    S: Service<http::Request<RequestBody<ReqB>>, Response = http::Response<ResB>>,
    ReqB: Body<Data = Bytes>,
    ReqB::Error: Into<tonic::codegen::StdError>,
    ResB: Body<Data = Bytes>,
{
    type Response = http::Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<ReqB>) -> Self::Future {
        let path = request.uri().path();
        let Some(id) = methods::find(path) else {
            return ResponseFuture::refused(Status::unimplemented(methods::unknown(path)));
        };
        let admitted = match self.shared.admit(request.headers(), id.method().kind) {
            Ok(admitted) => admitted,
            Err(status) => return ResponseFuture::refused(status),
        };
        let call = Call::start(Arc::clone(&self.shared), id);
        let lost = admitted.watch_leader.then(|| self.shared.leader.lost());
        let request = request.map(|body| RequestBody::new(body, Arc::clone(&self.shared), id));
        ResponseFuture::new(self.inner.call(request), call, lost)
    }
}
