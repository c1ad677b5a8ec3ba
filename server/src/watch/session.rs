//! One client's requests, from the socket to the hub.
//!
//! Rule: requests go to the hub in the order in which they came, and no further one is read while
//! [`WATCH_STREAM_CONTROLS_MAX`] wait for their answers to be taken by the client. So a client that does not read cannot
//! make the hub remember anything.

use crate::watch::metrics::WatchMetrics;
use crate::watch::queue::{End, Queue};
use crate::watch::signals::Signals;
use crate::watch::{StreamGate, WatchConfig, WatchStore};
use futures::{Stream, StreamExt};
use quorate_core::limits::WATCH_STREAM_CONTROLS_MAX;
use quorate_core::pb::watch_create_request::FilterType;
use quorate_core::pb::watch_request::RequestUnion;
use quorate_core::pb::{WatchCreateRequest, WatchRequest};
use quorate_core::watch::hub::{Create, Options};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::{Code, Status};

/// Something for the hub to do, from one stream.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) queue: Arc<Queue>,
    /// The store's revision when the request arrived; the hub handles it when it has heard of that.
    pub(crate) seen: i64,
    pub(crate) request: Request,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(crate) enum Request {
    Open {
        requires_leader: bool,
        /// Between progress responses, with the stream's share of jitter.
        progress_interval: Duration,
    },
    Create(Box<Create>),
    /// A create that the gate refused, with the reason.
    Refuse(String),
    Cancel(i64),
    Progress,
    Close(End),
}

/// The API's way to the hub.
#[derive(Clone)]
pub struct WatchHandle {
    controls: mpsc::Sender<Control>,
    store: Arc<dyn WatchStore>,
    config: WatchConfig,
    signals: Arc<Signals>,
    metrics: Arc<WatchMetrics>,
}

impl std::fmt::Debug for WatchHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchHandle").field("config", &self.config).finish_non_exhaustive()
    }
}

impl WatchHandle {
    pub(crate) fn new(
        controls: mpsc::Sender<Control>,
        store: Arc<dyn WatchStore>,
        config: WatchConfig,
        signals: Arc<Signals>,
        metrics: Arc<WatchMetrics>,
    ) -> Self {
        Self { controls, store, config, signals, metrics }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> WatchConfig {
        self.config
    }

    /// The numbers.
    #[must_use]
    pub fn metrics(&self) -> &Arc<WatchMetrics> {
        &self.metrics
    }

    /// This member has known no leader for too long, or knows one again. While it does not, streams whose clients want a
    /// leader are ended, also those that open.
    pub fn set_leaderless(&self, leaderless: bool) {
        self.signals.set_leaderless(leaderless);
    }

    /// Ends all streams and the hub's task, because the member stops.
    pub fn stop(&self) {
        self.signals.stop();
    }

    /// A queue for a new stream.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::new(Queue::new(Arc::clone(&self.signals), Arc::clone(&self.metrics)))
    }

    /// Reads a client's requests until either side ends the stream.
    pub(crate) async fn serve(
        self,
        requests: impl Stream<Item = Result<WatchRequest, Status>> + Unpin,
        queue: Arc<Queue>,
        gate: Box<dyn StreamGate>,
        requires_leader: bool,
    ) {
        let progress_interval = jittered(self.config.progress_interval);
        let open = Request::Open { requires_leader, progress_interval };
        let end = match self.send(&queue, open, None).await {
            Ok(()) => {
                self.metrics.streams.fetch_add(1, Ordering::Relaxed);
                let end = self.read(requests, &queue, &*gate).await;
                self.metrics.streams.fetch_sub(1, Ordering::Relaxed);
                end
            }
            Err(end) => end,
        };
        // Without a hub nobody else ends the queue.
        if self.send(&queue, Request::Close(end.clone()), None).await.is_err() {
            queue.end(end);
        }
    }

    async fn read(
        &self,
        mut requests: impl Stream<Item = Result<WatchRequest, Status>> + Unpin,
        queue: &Arc<Queue>,
        gate: &dyn StreamGate,
    ) -> End {
        let permits = Arc::new(Semaphore::new(WATCH_STREAM_CONTROLS_MAX));
        loop {
            let request = tokio::select! {
                biased;
                () = queue.over() => return End::Canceled,
                request = requests.next() => request,
            };
            let union = match request {
                None => return End::Finished,
                Some(Ok(request)) => request.request_union,
                Some(Err(status)) if gone(&status) => return End::Canceled,
                Some(Err(status)) => return End::Broken(status),
            };
            let Some(request) = union.and_then(|union| understood(union, gate)) else { continue };
            let permit = tokio::select! {
                biased;
                () = queue.over() => return End::Canceled,
                permit = Arc::clone(&permits).acquire_owned() => permit.ok(),
            };
            if let Err(end) = self.send(queue, request, permit).await {
                return end;
            }
        }
    }

    async fn send(
        &self,
        queue: &Arc<Queue>,
        request: Request,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), End> {
        let seen = self.store.view().revision;
        let control = Control { queue: Arc::clone(queue), seen, request, permit };
        self.controls.send(control).await.map_err(|_| End::Stopped)
    }
}

/// A client that reset the stream or whose connection broke.
fn gone(status: &Status) -> bool {
    status.code() == Code::Cancelled || std::error::Error::source(status).is_some()
}

/// The interval plus up to a tenth, so that streams opened together do not tick together.
fn jittered(interval: Duration) -> Duration {
    interval + interval.mul_f64(rand::random_range(0.0..=0.1))
}

/// What a request means; nothing when its inner message is missing.
fn understood(union: RequestUnion, gate: &dyn StreamGate) -> Option<Request> {
    match union {
        RequestUnion::CreateRequest(create) => Some(match gate.may_watch(&create.key, &create.range_end) {
            Ok(()) => Request::Create(Box::new(wanted(create))),
            Err(reason) => Request::Refuse(reason),
        }),
        RequestUnion::CancelRequest(cancel) => Some(Request::Cancel(cancel.watch_id)),
        RequestUnion::ProgressRequest(_) => Some(Request::Progress),
    }
}

fn wanted(create: WatchCreateRequest) -> Create {
    let filtered = |filter: FilterType| create.filters.contains(&filter.into());
    let options = Options {
        no_put: filtered(FilterType::Noput),
        no_delete: filtered(FilterType::Nodelete),
        previous: create.prev_kv,
        fragment: create.fragment,
        progress: create.progress_notify,
    };
    Create {
        options,
        start_revision: create.start_revision,
        watch_id: create.watch_id,
        key: create.key,
        range_end: create.range_end,
    }
}
