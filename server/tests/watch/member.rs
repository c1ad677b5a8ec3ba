//! A member without consensus: a machine, an engine in memory, the watches and a gRPC server on a port of its own.

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::StreamExt;
use quorate::api::watch::WatchService;
use quorate::watch::publisher::{Published, Publisher};
use quorate::watch::session::WatchHandle;
use quorate::watch::{HeaderSource, OpenGate, StreamGate, WatchConfig, WatchGate, WatchStore, Watches, watches};
use quorate_core::error::Fault;
use quorate_core::ids::{LogIndex, Revision, Term};
use quorate_core::machine::{Machine, Position, Round};
use quorate_core::mvcc::view::View;
use quorate_core::pb;
use quorate_core::storage::codec::{row_key, row_revision};
use quorate_core::storage::memory::MemoryEngine;
use quorate_core::storage::{Engine, EngineRows, Rows, Table};
use quorate_core::watch::catch_up::VisitRow;
use quorate_proto::api::etcdserverpb::watch_client::WatchClient;
use quorate_proto::api::etcdserverpb::watch_request::RequestUnion;
use quorate_proto::api::etcdserverpb::{
    WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
};
use quorate_proto::api::mvccpb::Event;
use quorate_proto::api::mvccpb::event::EventType;
use quorate_proto::internal::{Command, command};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status, Streaming};

/// Longer than anything here takes; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Store {
    view: ArcSwap<View>,
    engine: MemoryEngine,
}

impl Rows for Store {
    fn rows(&self, revisions: &[Revision]) -> Result<Vec<Bytes>, Fault> {
        EngineRows(&self.engine).rows(revisions)
    }
}

impl WatchStore for Store {
    fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    fn rows(&self) -> &dyn Rows {
        self
    }

    fn scan_rows(&self, from: Revision, to_exclusive: Revision, visit: &mut VisitRow<'_>) -> Result<(), Fault> {
        let mut fault = None;
        self.engine.scan(
            Table::Row,
            &row_key(from),
            Some(&row_key(to_exclusive)),
            &mut |key, row| match row_revision(key) {
                Ok(revision) => visit(revision, row),
                Err(damage) => {
                    fault = Some(damage);
                    ControlFlow::Break(())
                }
            },
        )?;
        fault.map_or(Ok(()), Err)
    }
}

struct Headers;

impl HeaderSource for Headers {
    fn header(&self, revision: i64) -> pb::ResponseHeader {
        pb::ResponseHeader { cluster_id: 11, member_id: 22, raft_term: 3, revision }
    }
}

/// Refuses keys that begin with "secret", and streams that say so.
struct Strict;

impl WatchGate for Strict {
    fn open(&self, metadata: &MetadataMap) -> Result<Box<dyn StreamGate>, Status> {
        if metadata.contains_key("refuse-me") {
            return Err(Status::unavailable("etcdserver: rpc not supported for learner"));
        }
        OpenGate.open(metadata)?;
        Ok(Box::new(Self))
    }
}

impl StreamGate for Strict {
    fn may_watch(&self, key: &[u8], _range_end: &[u8]) -> Result<(), String> {
        match key.starts_with(b"secret") {
            true => Err("rpc error: code = PermissionDenied desc = etcdserver: permission denied".to_owned()),
            false => Ok(()),
        }
    }
}

pub(crate) struct Member {
    machine: Machine,
    index: u64,
    store: Arc<Store>,
    publisher: Publisher,
    pub(crate) handle: WatchHandle,
    pub(crate) hub: JoinHandle<Result<(), Fault>>,
    address: String,
    server: JoinHandle<()>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Member {
    pub(crate) async fn start() -> Self {
        Self::with(WatchConfig::default()).await
    }

    pub(crate) async fn with(config: WatchConfig) -> Self {
        let machine = Machine::default();
        let view = ArcSwap::from_pointee(machine.view());
        let store = Arc::new(Store { view, engine: MemoryEngine::new() });
        let Watches { publisher, handle, task } = watches(Arc::clone(&store) as Arc<dyn WatchStore>, config);
        let hub = tokio::spawn(task.run());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a bound socket"));
        let service = WatchService::new(handle.clone(), Arc::new(Headers), Arc::new(Strict));
        let server = tokio::spawn(async move {
            let router = Server::builder().add_service(pb::watch_server::WatchServer::new(service));
            // Without this a small response waits for the acknowledgement of the one before, 40 ms.
            let sockets = TcpListenerStream::new(listener).inspect(|socket| {
                if let Ok(socket) = socket {
                    socket.set_nodelay(true).expect("a live socket");
                }
            });
            router.serve_with_incoming(sockets).await.expect("the server serves");
        });
        Self { machine, index: 0, store, publisher, handle, hub, address, server }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.machine.view().revision
    }

    /// Applies requests as one round and publishes it.
    pub(crate) fn apply(&mut self, requests: Vec<command::Request>) {
        let mut round = Round::default();
        for request in requests {
            self.index += 1;
            let position = Position { term: Term(3), index: LogIndex(self.index) };
            let command = Command { request: Some(request), ..Command::default() };
            let rows = EngineRows(&self.store.engine);
            let applied = self.machine.apply(&mut round, &rows, position, &command).expect("memory has no faults");
            applied.outcome.expect("not refused");
        }
        let finished = self.machine.finish(round);
        self.store.engine.write(&finished.writes).expect("memory has no faults");
        let revision_after = finished.view.revision;
        self.store.view.store(Arc::new(finished.view));
        self.publisher.publish(Published { revision_after, changes: finished.changes });
    }

    pub(crate) fn put(&mut self, key: &str, value: &str) -> i64 {
        self.apply(vec![put(key, value.as_bytes())]);
        self.revision()
    }

    pub(crate) fn delete(&mut self, key: &str) -> i64 {
        let key = Bytes::copy_from_slice(key.as_bytes());
        self.apply(vec![command::Request::DeleteRange(pb::DeleteRangeRequest { key, ..Default::default() })]);
        self.revision()
    }

    pub(crate) fn compact(&mut self, revision: i64) {
        self.apply(vec![command::Request::Compaction(pb::CompactionRequest { revision, ..Default::default() })]);
    }

    pub(crate) async fn connect(&self) -> WatchClient<Channel> {
        let channel = Channel::from_shared(self.address.clone()).expect("an address").connect().await;
        WatchClient::new(channel.expect("the server listens")).max_decoding_message_size(1 << 30)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::open(&mut self.connect().await).await
    }

    /// Waits until the numbers say so.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&quorate::watch::metrics::WatchMetrics) -> bool) {
        let holds = async {
            while !holds(self.handle.metrics()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, holds).await.unwrap_or_else(|_| panic!("{what}"));
    }
}

pub(crate) fn put(key: &str, value: &[u8]) -> command::Request {
    command::Request::Put(pb::PutRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value),
        ..Default::default()
    })
}

/// One watch stream.
pub(crate) struct Client {
    requests: Option<mpsc::Sender<WatchRequest>>,
    responses: Streaming<WatchResponse>,
}

impl Client {
    pub(crate) async fn open(client: &mut WatchClient<Channel>) -> Self {
        Self::open_with(client, &[]).await.expect("the stream opens")
    }

    pub(crate) async fn open_with(
        client: &mut WatchClient<Channel>,
        metadata: &[(&'static str, &'static str)],
    ) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::channel(64);
        let mut request = Request::new(ReceiverStream::new(receiver));
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().expect("metadata in ASCII"));
        }
        let responses = client.watch(request).await?.into_inner();
        Ok(Self { requests: Some(requests), responses })
    }

    pub(crate) async fn send(&mut self, union: Option<RequestUnion>) {
        let requests = self.requests.as_ref().expect("the stream is open");
        requests.send(WatchRequest { request_union: union }).await.expect("the stream takes requests");
    }

    pub(crate) async fn create(&mut self, create: WatchCreateRequest) {
        self.send(Some(RequestUnion::CreateRequest(create))).await;
    }

    /// Creates a watcher and waits until it is there.
    pub(crate) async fn watch(&mut self, create: WatchCreateRequest) -> i64 {
        self.create(create).await;
        let created = self.next().await;
        assert!(created.created && !created.canceled && created.events.is_empty(), "{created:?}");
        created.watch_id
    }

    pub(crate) async fn cancel(&mut self, watch_id: i64) {
        self.send(Some(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }))).await;
    }

    pub(crate) async fn ask_progress(&mut self) {
        self.send(Some(RequestUnion::ProgressRequest(WatchProgressRequest {}))).await;
    }

    pub(crate) fn half_close(&mut self) {
        self.requests = None;
    }

    pub(crate) async fn next(&mut self) -> WatchResponse {
        self.try_next().await.expect("no error").expect("a response, not the end")
    }

    pub(crate) async fn try_next(&mut self) -> Result<Option<WatchResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.responses.message()).await.expect("a response in time")
    }

    /// The next `count` responses as text.
    pub(crate) async fn hears(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..count {
            lines.push(line(&self.next().await));
        }
        lines
    }
}

pub(crate) fn on(key: &str, range_end: &str) -> WatchCreateRequest {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    WatchCreateRequest { key: bytes(key), range_end: bytes(range_end), ..Default::default() }
}

pub(crate) fn line(response: &WatchResponse) -> String {
    let header = response.header.as_ref().expect("every response has a header");
    assert_eq!((header.cluster_id, header.member_id, header.raft_term), (11, 22, 3));
    let mut words = vec![format!("w{}@{}", response.watch_id, header.revision)];
    words.extend(response.created.then(|| "created".to_owned()));
    words.extend(response.canceled.then(|| "canceled".to_owned()));
    words.extend((response.compact_revision != 0).then(|| format!("compacted={}", response.compact_revision)));
    words.extend((!response.cancel_reason.is_empty()).then(|| format!("{:?}", response.cancel_reason)));
    words.extend(response.fragment.then(|| "more".to_owned()));
    words.extend(response.events.iter().map(event_text));
    words.join(" ")
}

fn event_text(event: &Event) -> String {
    let verb = if event.r#type() == EventType::Delete { "-" } else { "+" };
    let kv = event.kv.as_ref().expect("an event has a key-value");
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let previous = event.prev_kv.as_ref().map_or(String::new(), |before| format!("(was {})", text(&before.value)));
    format!("{}{verb}{}={}{previous}", kv.mod_revision, text(&kv.key), text(&kv.value))
}
