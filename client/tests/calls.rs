//! What reaches a server, and what comes back from it, checked against a server of a few lines.
//!
//! Left out: what requests mean. That is the server's part.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::Stream;
use quorate_client::{
    Client, ClientError, Code, Options,
    api::{PutRequest as Put, RangeRequest as Range, WatchCreateRequest},
};
use quorate_proto::wire::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RangeStreamResponse, ResponseHeader, TxnRequest, TxnResponse, WatchRequest,
    WatchResponse,
    kv_server::{Kv, KvServer},
    watch_request::RequestUnion,
    watch_server::{Watch, WatchServer},
};
use tokio::net::TcpListener;
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// Echoes, and remembers who asked and with which metadata.
#[derive(Clone, Default)]
struct Echo {
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// The client's address, its `hasleader` metadata, and whether it set a time limit.
type Seen = (SocketAddr, Option<String>, bool);

impl Echo {
    fn note<T>(&self, request: &Request<T>) {
        let text = |name| request.metadata().get(name).and_then(|value| value.to_str().ok());
        let peer = request.remote_addr().expect("the server listens on TCP");
        let hasleader = text("hasleader").map(str::to_owned);
        let limited = request.metadata().contains_key("grpc-timeout");
        self.seen.lock().expect("no test panics while holding it").push((peer, hasleader, limited));
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Kv for Echo {
    type RangeStreamStream = Answers<RangeStreamResponse>;

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<RangeResponse>, Status> {
        self.note(&request);
        let kv = vec![b'x'; usize::try_from(request.get_ref().limit).expect("tests ask for sizes")];
        Ok(Response::new(RangeResponse {
            kvs: vec![quorate_proto::wire::mvccpb::KeyValue { value: kv.into(), ..Default::default() }.encoded()],
            ..Default::default()
        }))
    }

    async fn range_stream(&self, _: Request<RangeRequest>) -> Result<Response<Answers<RangeStreamResponse>>, Status> {
        Err(Status::unimplemented("unknown method RangeStream for service etcdserverpb.KV"))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        self.note(&request);
        if request.get_ref().key.is_empty() {
            return Err(Status::invalid_argument("etcdserver: key is not provided"));
        }
        Ok(Response::new(PutResponse::default()))
    }

    async fn delete_range(&self, _: Request<DeleteRangeRequest>) -> Result<Response<DeleteRangeResponse>, Status> {
        Ok(Response::new(DeleteRangeResponse::default()))
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        std::future::pending().await
    }

    async fn compact(&self, _: Request<CompactionRequest>) -> Result<Response<CompactionResponse>, Status> {
        Ok(Response::new(CompactionResponse::default()))
    }
}

#[tonic::async_trait]
impl Watch for Echo {
    type WatchStream = Answers<WatchResponse>;

    /// Creates each watch asked for, refuses a start below 0, and answers progress with id -1.
    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Self::WatchStream>, Status> {
        self.note(&request);
        let header = Some(ResponseHeader { revision: 7, ..Default::default() });
        let answers = request.into_inner().map(move |asked| {
            Ok(match asked?.request_union {
                Some(RequestUnion::CreateRequest(create)) => WatchResponse {
                    header,
                    watch_id: create.watch_id,
                    created: true,
                    canceled: create.start_revision < 0,
                    cancel_reason: "no".to_owned(),
                    ..Default::default()
                },
                Some(RequestUnion::CancelRequest(cancel)) => {
                    WatchResponse { watch_id: cancel.watch_id, canceled: true, ..Default::default() }
                }
                Some(RequestUnion::ProgressRequest(_)) | None => {
                    WatchResponse { header, watch_id: -1, ..Default::default() }
                }
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

trait Encoded {
    fn encoded(&self) -> bytes::Bytes;
}

impl<M: prost::Message> Encoded for M {
    fn encoded(&self) -> bytes::Bytes {
        self.encode_to_vec().into()
    }
}

async fn serve() -> (Echo, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let echo = Echo::default();
    let server = Server::builder()
        .add_service(KvServer::new(echo.clone()))
        .add_service(WatchServer::new(echo.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    (echo, address)
}

fn put(key: &'static str) -> Put {
    Put { key: key.into(), ..Default::default() }
}

#[tokio::test]
async fn handles_take_connections_in_turn_and_stay_on_them() {
    let (echo, address) = serve().await;
    let client = Client::connect(&[address], Options::default().connections(3)).await.expect("connects");
    for _ in 0..2 {
        for _ in 0..3 {
            let kv = client.kv();
            kv.put(put("a")).await.expect("is answered");
            kv.put(put("a")).await.expect("is answered");
        }
    }
    let peers: Vec<SocketAddr> = echo.seen.lock().expect("idle").iter().map(|seen| seen.0).collect();
    let (first, second) = peers.split_at(6);
    assert_eq!(first, second, "the fourth handle is back on the first connection");
    assert!(first.chunks(2).all(|pair| pair[0] == pair[1]), "{first:?}");
    let mut distinct = first.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 3);
}

#[tokio::test]
async fn metadata_travels_with_every_call_and_the_time_limit_only_with_unary_ones() {
    let (echo, address) = serve().await;
    let options = Options::default().metadata("hasleader", "true").request_timeout(Duration::from_secs(9));
    let client = Client::connect(&[address], options).await.expect("connects");
    client.kv().put(put("a")).await.expect("is answered");
    client.watch().start(WatchCreateRequest::default()).await.expect("is created");
    let seen = echo.seen.lock().expect("idle");
    let leader = Some("true".to_owned());
    assert_eq!((&seen[0].1, seen[0].2), (&leader, true));
    assert_eq!((&seen[1].1, seen[1].2), (&leader, false));
}

#[tokio::test]
async fn a_refusal_arrives_with_its_code_and_text() {
    let (_echo, address) = serve().await;
    let client = Client::connect(&[address], Options::default()).await.expect("connects");
    let refused = client.kv().put(put("")).await.expect_err("the key is missing");
    let expected =
        ClientError::Status { code: Code::InvalidArgument, message: "etcdserver: key is not provided".to_owned() };
    assert_eq!(refused, expected);
    let missing = client.kv().range_stream(Range::default()).await.expect_err("not served");
    assert_eq!(missing.code(), Code::Unimplemented);
}

#[tokio::test]
async fn an_answer_larger_than_grpcs_usual_limit_is_read() {
    let (_echo, address) = serve().await;
    let client = Client::connect(&[address], Options::default()).await.expect("connects");
    let size = 9 << 20;
    let answer = client.kv().range(Range { limit: size, ..Default::default() }).await.expect("is answered");
    assert_eq!(answer.kvs[0].value.len(), 9 << 20);
}

#[tokio::test]
async fn a_unary_call_ends_at_its_time_limit_and_leaves_the_outcome_open() {
    let (_echo, address) = serve().await;
    let options = Options::default().request_timeout(Duration::from_millis(20));
    let client = Client::connect(&[address], options).await.expect("connects");
    let error = client.kv().txn(Default::default()).await.expect_err("the server never answers");
    assert!(error.may_have_happened(), "{error}");
}

#[tokio::test]
async fn one_stream_carries_several_watches_progress_and_cancellation() {
    let (_echo, address) = serve().await;
    let client = Client::connect(&[address], Options::default()).await.expect("connects");
    let create = WatchCreateRequest { watch_id: 1, ..Default::default() };
    let mut watcher = client.watch().start(create).await.expect("is created");
    assert_eq!((watcher.id(), watcher.created_revision()), (1, 7));
    let control = watcher.control();
    control.create(WatchCreateRequest { watch_id: 2, ..Default::default() }).await.expect("is sent");
    control.request_progress().await.expect("is sent");
    control.cancel(1).await.expect("is sent");
    let second = watcher.next().await.expect("is answered");
    assert!(second.created && second.watch_id == 2);
    let progress = watcher.next().await.expect("is answered");
    assert_eq!((progress.watch_id, progress.events.len()), (-1, 0));
    let gone = watcher.next().await.expect("is answered");
    assert!(gone.canceled && gone.watch_id == 1);
}

#[tokio::test]
async fn a_refused_watch_is_an_error_with_the_servers_reason() {
    let (_echo, address) = serve().await;
    let client = Client::connect(&[address], Options::default()).await.expect("connects");
    let create = WatchCreateRequest { start_revision: -1, ..Default::default() };
    let refused = client.watch().start(create).await.expect_err("a start below 0");
    assert_eq!(refused, ClientError::WatchRefused { reason: "no".to_owned() });
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_left_out_unless_none_does() {
    let (_echo, address) = serve().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = closed.local_addr().expect("bound").to_string();
    drop(closed);
    let client = Client::connect(&[nobody.clone(), address], Options::default()).await.expect("one answers");
    for _ in 0..2 {
        client.kv().put(put("a")).await.expect("goes to the one that answers");
    }
    let error = Client::connect(&[nobody], Options::default()).await.expect_err("nobody listens");
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    let error = Client::connect(&["https://127.0.0.1:1"], Options::default()).await.expect_err("no TLS");
    assert!(matches!(error, ClientError::Invalid(_)), "{error}");
}
