//! The gRPC layer around small real services: what passes, what is refused, what is counted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use prost::Message;
use quorate::grpc_layer::{GrpcLayer, GrpcService, LeaderProbe, Limits};
use quorate::http::grpc_health_service;
use quorate::metrics::{Metrics, MetricsOptions};
use quorate_proto::api::etcdserverpb as api;
use quorate_proto::api::etcdserverpb::watch_client::WatchClient;
use quorate_proto::api::grpc_health::health_client::HealthClient;
use quorate_proto::api::v3lockpb::lock_client::LockClient;
use quorate_proto::wire::etcdserverpb::watch_server::{Watch, WatchServer};
use quorate_proto::wire::etcdserverpb::{WatchRequest, WatchResponse};
use quorate_proto::wire::grpc_health::health_check_response::ServingStatus;
use quorate_proto::wire::v3lockpb::lock_server::{Lock, LockServer};
use quorate_proto::wire::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::{Code, Response, Status, Streaming};
use tower::{Layer, ServiceExt};

const MAX: u32 = 1000;

/// Answers at once; `Unlock` of the key `wait` never does.
struct Locks;

#[tonic::async_trait]
impl Lock for Locks {
    async fn lock(&self, request: tonic::Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        Ok(Response::new(LockResponse { key: request.into_inner().name, ..Default::default() }))
    }

    async fn unlock(&self, request: tonic::Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        match &request.get_ref().key[..] {
            b"wait" => std::future::pending().await,
            b"fail" => Err(Status::out_of_range("etcdserver: mvcc: required revision has been compacted")),
            _ => Ok(Response::new(UnlockResponse::default())),
        }
    }
}

/// Answers each request with one response, and ends as its client does.
struct Echo;

#[tonic::async_trait]
impl Watch for Echo {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: tonic::Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let responses = request.into_inner().map(|request| request.map(|_| WatchResponse::default()));
        Ok(Response::new(responses.boxed()))
    }
}

/// A leader that can be taken away.
struct Leader {
    has: AtomicBool,
    lost: watch::Sender<bool>,
}

impl LeaderProbe for Leader {
    fn has_leader(&self) -> bool {
        self.has.load(Ordering::SeqCst)
    }

    fn lost(&self) -> BoxFuture<'static, ()> {
        let mut lost = self.lost.subscribe();
        Box::pin(async move {
            // The sender lives as long as the test.
            let _ = lost.wait_for(|lost| *lost).await;
        })
    }
}

struct Fixture {
    metrics: Arc<Metrics>,
    leader: Arc<Leader>,
    health: watch::Sender<ServingStatus>,
    service: GrpcService<Routes>,
    layer: GrpcLayer,
}

fn routes(health: watch::Receiver<ServingStatus>) -> Routes {
    Routes::new(LockServer::new(Locks)).add_service(WatchServer::new(Echo)).add_service(grpc_health_service(health))
}

fn fixture() -> Fixture {
    let metrics = Arc::new(Metrics::new(&MetricsOptions { server_version: "3.7.1".to_owned(), extensive: true }));
    let leader = Arc::new(Leader { has: AtomicBool::new(true), lost: watch::Sender::new(false) });
    let limits = Limits { request_bytes_max: MAX, slow_unary: Duration::from_secs(60) };
    let layer = GrpcLayer::new(Arc::clone(&metrics), Arc::clone(&leader) as _, limits);
    let health = watch::Sender::new(ServingStatus::Serving);
    let service = layer.layer(routes(health.subscribe()));
    Fixture { metrics, leader, health, service, layer }
}

fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("small"));
    frame.put_slice(message);
    frame.freeze()
}

fn unlock(key: &'static [u8]) -> Bytes {
    framed(&UnlockRequest { key: Bytes::from_static(key) }.encode_to_vec())
}

fn request(path: &str, body: Bytes) -> Request<tonic::body::Body> {
    let request = Request::builder().method("POST").uri(path).header("content-type", "application/grpc");
    request.body(tonic::body::Body::new(Full::new(body))).expect("valid")
}

fn with(mut request: Request<tonic::body::Body>, name: &'static str, value: &[u8]) -> Request<tonic::body::Body> {
    request.headers_mut().insert(name, HeaderValue::from_bytes(value).expect("valid"));
    request
}

/// Status and text of an answer, wherever they stand in it.
async fn status_of(fixture: &Fixture, request: Request<tonic::body::Body>) -> (Code, String) {
    let response = fixture.service.clone().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let headers = response.headers().clone();
    let trailers = response.into_body().collect().await.expect("whole body").trailers().cloned();
    let read = |map: &HeaderMap| Status::from_header_map(map);
    let status = read(&headers).or_else(|| trailers.as_ref().and_then(read)).expect("a status");
    (status.code(), status.message().to_owned())
}

impl Fixture {
    fn count(&self, sample: &str) -> u64 {
        let text = String::from_utf8(self.metrics.render().expect("renders")).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0, |value| value.parse().expect("integer"))
    }

    fn method(&self, what: &str, kind: &str, service: &str, method: &str, code: Option<&str>) -> u64 {
        let code = code.map(|code| format!("grpc_code=\"{code}\",")).unwrap_or_default();
        self.count(&format!(
            "grpc_server_{what}{{{code}grpc_method=\"{method}\",grpc_service=\"{service}\",grpc_type=\"{kind}\"}}"
        ))
    }

    fn unlocks(&self, what: &str, code: Option<&str>) -> u64 {
        self.method(what, "unary", "v3lockpb.Lock", "Unlock", code)
    }

    fn watches(&self, what: &str, code: Option<&str>) -> u64 {
        self.method(what, "bidi_stream", "etcdserverpb.Watch", "Watch", code)
    }

    /// Serves on a port of its own until the test ends, and connects to it.
    async fn connect(&self) -> tonic::transport::Channel {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = routes(self.health.subscribe()).into_axum_router().layer(self.layer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        tonic::transport::Endpoint::from_shared(format!("http://{address}"))
            .expect("valid")
            .connect()
            .await
            .expect("the server listens")
    }
}

#[tokio::test]
async fn strangers_get_gos_texts_and_are_not_counted() {
    let f = fixture();
    for (path, text) in [
        ("/etcdserverpb.Nope/Range", "unknown service etcdserverpb.Nope"),
        ("/v3lockpb.Lock/Nope", "unknown method Nope for service v3lockpb.Lock"),
        ("/nope", "malformed method name: \"/nope\""),
        // In the table, but these routes do not serve it.
        ("/etcdserverpb.KV/Put", "unknown service etcdserverpb.KV"),
    ] {
        assert_eq!(status_of(&f, request(path, Bytes::new())).await, (Code::Unimplemented, text.to_owned()));
    }
    assert_eq!(f.method("handled_total", "unary", "etcdserverpb.KV", "Put", Some("Unimplemented")), 1);
    assert_eq!(f.count("etcd_server_client_requests_total{client_api_version=\"unknown\",type=\"unary\"}"), 1);
}

#[tokio::test]
async fn unary_calls_are_counted_with_messages_bytes_and_code() {
    let f = fixture();
    assert_eq!(status_of(&f, request("/v3lockpb.Lock/Unlock", unlock(b"key"))).await.0, Code::Ok);
    assert_eq!(status_of(&f, request("/v3lockpb.Lock/Unlock", unlock(b"fail"))).await.0, Code::OutOfRange);
    assert_eq!((f.unlocks("started_total", None), f.unlocks("msg_received_total", None)), (2, 2));
    assert_eq!(f.unlocks("msg_sent_total", None), 1, "a refusal is a status and not a message");
    assert_eq!((f.unlocks("handled_total", Some("OK")), f.unlocks("handled_total", Some("OutOfRange"))), (1, 1));
    assert_eq!(f.unlocks("handling_seconds_count", None), 2);
    // Key and value of one field: tag, length, text.
    assert_eq!(f.count("etcd_network_client_grpc_received_bytes_total"), (2 + 3) + (2 + 4));
    assert_eq!(f.count("etcd_network_client_grpc_sent_bytes_total"), 0, "an empty message has no bytes");
}

#[tokio::test]
async fn a_call_given_up_by_its_client_counts_as_canceled_once() {
    let f = fixture();
    let mut call = Box::pin(f.service.clone().oneshot(request("/v3lockpb.Lock/Unlock", unlock(b"wait"))));
    assert!(futures::poll!(&mut call).is_pending());
    assert_eq!(f.unlocks("started_total", None), 1);
    drop(call);
    assert_eq!(f.unlocks("handled_total", Some("Canceled")), 1);

    let call = f.service.clone().oneshot(request("/etcdserverpb.Watch/Watch", framed(&[])));
    let mut body = call.await.expect("infallible").into_body();
    let frame = body.frame().await.expect("a response").expect("no error");
    assert!(frame.is_data());
    assert_eq!(f.watches("handled_total", Some("Canceled")), 0);
    drop(body);
    assert_eq!(f.watches("handled_total", Some("Canceled")), 1);
    assert_eq!((f.watches("msg_received_total", None), f.watches("msg_sent_total", None)), (1, 1));
}

#[tokio::test]
async fn a_stream_that_ends_by_itself_counts_its_own_code() {
    let f = fixture();
    let two = [framed(&[]), framed(&[])].concat();
    assert_eq!(status_of(&f, request("/etcdserverpb.Watch/Watch", two.into())).await.0, Code::Ok);
    assert_eq!(f.watches("handled_total", Some("OK")), 1);
    assert_eq!((f.watches("msg_received_total", None), f.watches("msg_sent_total", None)), (2, 2));
    assert_eq!(f.watches("handled_total", Some("Canceled")), 0);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_in_gos_words() {
    let f = fixture();
    let mut head = vec![0];
    head.extend(5_000_000u32.to_be_bytes());
    let text = "grpc: received message larger than max (5000000 vs. 1000)".to_owned();
    for (path, kind, service, method) in [
        ("/v3lockpb.Lock/Unlock", "unary", "v3lockpb.Lock", "Unlock"),
        ("/etcdserverpb.Watch/Watch", "bidi_stream", "etcdserverpb.Watch", "Watch"),
    ] {
        let answer = status_of(&f, request(path, head.clone().into())).await;
        assert_eq!(answer, (Code::ResourceExhausted, text.clone()), "{path}");
        assert_eq!(f.method("handled_total", kind, service, method, Some("ResourceExhausted")), 1);
        assert_eq!(f.method("msg_received_total", kind, service, method, None), 0);
    }
    let fits = vec![0x0a, 0xe5, 0x07]; // Field 1 with 997 bytes: 1000 in all.
    let fits = framed(&[fits, vec![1; 997]].concat());
    assert_eq!(status_of(&f, request("/v3lockpb.Lock/Unlock", fits)).await.0, Code::Ok);
}

#[tokio::test]
async fn client_versions_are_counted_and_must_be_text() {
    let f = fixture();
    let call = || request("/v3lockpb.Lock/Unlock", unlock(b"key"));
    assert_eq!(status_of(&f, with(call(), "client-api-version", b"3.7.1")).await.0, Code::Ok);
    assert_eq!(status_of(&f, call()).await.0, Code::Ok);
    let answer = status_of(&f, with(call(), "client-api-version", b"\xff\xfe")).await;
    assert_eq!(answer, (Code::InvalidArgument, "etcdserver: invalid client api version".to_owned()));
    let watch = request("/etcdserverpb.Watch/Watch", framed(&[]));
    assert_eq!(status_of(&f, with(watch, "client-api-version", b"3.7.1")).await.0, Code::Ok);
    for (version, kind) in [("3.7.1", "unary"), ("unknown", "unary"), ("3.7.1", "stream")] {
        let sample = format!("etcd_server_client_requests_total{{client_api_version=\"{version}\",type=\"{kind}\"}}");
        assert_eq!(f.count(&sample), 1, "{sample}");
    }
    assert_eq!(f.unlocks("started_total", None), 2, "a refused call was not started");
}

#[tokio::test]
async fn calls_that_insist_on_a_leader_are_refused_without_one() {
    let f = fixture();
    let refused = (Code::Unavailable, "etcdserver: no leader".to_owned());
    for path in ["/v3lockpb.Lock/Unlock", "/etcdserverpb.Watch/Watch"] {
        let call = || request(path, framed(&[]));
        f.leader.has.store(true, Ordering::SeqCst);
        assert_eq!(status_of(&f, with(call(), "hasleader", b"true")).await.0, Code::Ok);
        f.leader.has.store(false, Ordering::SeqCst);
        assert_eq!(status_of(&f, with(call(), "hasleader", b"true")).await, refused);
        assert_eq!(status_of(&f, with(call(), "hasleader", b"false")).await.0, Code::Ok);
        assert_eq!(status_of(&f, call()).await.0, Code::Ok);
    }
}

#[tokio::test]
async fn open_streams_that_insist_on_a_leader_end_when_it_is_lost() {
    let f = fixture();
    let mut client = WatchClient::new(f.connect().await);
    let open = async |client: &mut WatchClient<_>, insist: bool| {
        let (requests, sent) = tokio::sync::mpsc::channel(1);
        let mut request = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(sent));
        if insist {
            request.metadata_mut().insert("hasleader", "true".parse().expect("valid"));
        }
        requests.send(api::WatchRequest::default()).await.expect("room");
        let mut responses = client.watch(request).await.expect("opened").into_inner();
        responses.message().await.expect("no error").expect("an echo");
        (requests, responses)
    };
    let (_first, mut insists) = open(&mut client, true).await;
    let (second, mut does_not) = open(&mut client, false).await;
    f.leader.lost.send_replace(true);
    let status = insists.message().await.expect_err("ended");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: no leader"));
    assert_eq!(f.watches("handled_total", Some("Unavailable")), 1);
    second.send(api::WatchRequest::default()).await.expect("still open");
    assert!(does_not.message().await.expect("no error").is_some());
}

#[tokio::test]
async fn over_a_socket_the_client_sees_the_same() {
    let f = fixture();
    let channel = f.connect().await;
    let mut locks = LockClient::new(channel.clone());
    let request = quorate_proto::api::v3lockpb::UnlockRequest { key: vec![b'k'; 2000].into() };
    let status = locks.unlock(request).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "grpc: received message larger than max (2003 vs. 1000)");
    let request = quorate_proto::api::v3lockpb::LockRequest { name: Bytes::from_static(b"name"), lease: 0 };
    assert_eq!(locks.lock(request).await.expect("locked").into_inner().key, &b"name"[..]);
    let status = api::kv_client::KvClient::new(channel).put(api::PutRequest::default()).await.expect_err("not served");
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "unknown service etcdserverpb.KV"));
}

#[tokio::test]
async fn health_is_known_for_the_whole_server_only_and_follows_it() {
    use quorate_proto::api::grpc_health::HealthCheckRequest;
    let f = fixture();
    let mut client = HealthClient::new(f.connect().await);
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    assert_eq!(client.check(ask("")).await.expect("known").into_inner().status, 1);
    let status = client.check(ask("etcdserverpb.KV")).await.expect_err("unknown");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "unknown service"));

    let mut watch = client.watch(ask("")).await.expect("known").into_inner();
    assert_eq!(watch.message().await.expect("no error").expect("the state now").status, 1);
    f.health.send_replace(ServingStatus::NotServing);
    assert_eq!(watch.message().await.expect("no error").expect("the change").status, 2);
    assert_eq!(client.check(ask("")).await.expect("known").into_inner().status, 2);
    let mut unknown = client.watch(ask("x")).await.expect("a message says it").into_inner();
    assert_eq!(unknown.message().await.expect("no error").expect("the state now").status, 3);
}
