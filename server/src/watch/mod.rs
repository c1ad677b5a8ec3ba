//! Watch streams: queues and tasks around the hub that decides (`quorate_core::watch`).
//!
//! ```text
//!   apply loop ── Publisher ──rounds──▶ ┌──────────┐ ──Queue──▶ Outgoing ──▶ client     one per stream
//!        never waits; drops when full   │ hub task │ ──Queue──▶ Outgoing ──▶ client
//!   session ────────────────controls──▶ └──────────┘
//!     one task per stream, reads requests     │ ▲ catch-up reads, few at a time, on blocking threads
//!                                             ▼ │
//!                                          WatchStore
//! ```
//!
//! Rules:
//!
//! 1. The hub task owns the hub; nothing else touches a watcher.
//! 2. Publishing never waits. When the hub's queue is full the round is dropped and the hub is told that it missed
//!    something; it then reads what it missed from the store.
//! 3. A request carries the revision that its session saw when it arrived, and the hub handles it when it has heard of that
//!    revision. So "from now on" begins after everything that was readable when the request came.
//! 4. Everything said to a stream goes through its one [`queue`], in order.
//!
//! What the node owes: it stores a view before it publishes the round that made it, and publishes after every view whose
//! revision is new, also after a snapshot from a peer (with no changes).
//!
//! * [`publisher`]: the apply loop's end. [`signals`]: what must reach the hub even when queues are full.
//! * [`hub_task`]: the loop. [`session`]: reads one client. [`queue`]: what is said to one client.
//! * [`on_node`]: the same on a real node.
//! * [`metrics`]: numbers for whoever exports them.
//!
//! Left out: gRPC messages, which are [`crate::api::watch`]'s, and who may watch what, which is the [`WatchGate`]'s.

pub mod hub_task;
pub mod metrics;
pub mod on_node;
pub mod publisher;
pub mod queue;
pub mod session;
pub mod signals;

use crate::watch::hub_task::HubTask;
use crate::watch::metrics::WatchMetrics;
use crate::watch::publisher::Publisher;
use crate::watch::session::WatchHandle;
use crate::watch::signals::Signals;
use quorate_core::error::Fault;
use quorate_core::ids::Revision;
use quorate_core::limits::{REQUEST_BYTES_MAX, REQUEST_OVERHEAD_BYTES, WATCH_HUB_CONTROLS_MAX, WATCH_HUB_ROUNDS_MAX};
use quorate_core::mvcc::view::View;
use quorate_core::pb::ResponseHeader;
use quorate_core::storage::Rows;
use quorate_core::watch::catch_up::VisitRow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// The store as watchers read it.
pub trait WatchStore: Send + Sync + 'static {
    /// The newest view.
    fn view(&self) -> Arc<View>;

    /// Encoded key-values by revision, for values before a change. Called on the hub task and expected to be mostly cached.
    fn rows(&self) -> &dyn Rows;

    /// Visits the rows from one revision to another, exclusive, in revision order. Called on blocking threads.
    ///
    /// # Errors
    /// A fault when the storage fails or is damaged.
    fn scan_rows(&self, from: Revision, to_exclusive: Revision, visit: &mut VisitRow<'_>) -> Result<(), Fault>;
}

/// Fills in what the hub does not know of a response header: the cluster, the member and its term.
pub trait HeaderSource: Send + Sync + 'static {
    /// The header with this revision.
    fn header(&self, revision: i64) -> ResponseHeader;
}

/// Who may open a watch stream.
pub trait WatchGate: Send + Sync + 'static {
    /// A stream is being opened with this metadata.
    ///
    /// # Errors
    /// The status to refuse it with: this member is a learner, knows no leader though the client wants one, …
    fn open(&self, metadata: &MetadataMap) -> Result<Box<dyn StreamGate>, Status>;
}

/// What one stream may watch.
pub trait StreamGate: Send + Sync + 'static {
    /// A watcher is wanted; `key` and `range_end` are as sent (contract §2.9).
    ///
    /// # Errors
    /// The cancel reason, as the contract prints it.
    fn may_watch(&self, key: &[u8], range_end: &[u8]) -> Result<(), String>;
}

/// Everybody may watch everything: a store without authentication.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenGate;

impl WatchGate for OpenGate {
    fn open(&self, _metadata: &MetadataMap) -> Result<Box<dyn StreamGate>, Status> {
        Ok(Box::new(Self))
    }
}

impl StreamGate for OpenGate {
    fn may_watch(&self, _key: &[u8], _range_end: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Settings of one member's watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchConfig {
    /// Time between progress responses of a watcher that wants them; up to 10 % is added per stream (contract §2.9).
    pub progress_interval: Duration,
    /// Responses of at least so many encoded bytes are cut if their watcher allows it (contract §4).
    pub fragment_bytes: usize,
}

/// The shortest progress interval; a shorter one is taken for this (contract §4).
const PROGRESS_INTERVAL_MIN: Duration = Duration::from_millis(100);

impl WatchConfig {
    /// From what an operator may set: no interval means the default one.
    #[must_use]
    pub fn new(progress_interval: Duration, request_bytes_max: usize) -> Self {
        Self {
            progress_interval: match progress_interval.is_zero() {
                true => Self::default().progress_interval,
                false => progress_interval.max(PROGRESS_INTERVAL_MIN),
            },
            fragment_bytes: request_bytes_max.saturating_add(REQUEST_OVERHEAD_BYTES),
        }
    }
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self { progress_interval: Duration::from_secs(600), fragment_bytes: REQUEST_BYTES_MAX + REQUEST_OVERHEAD_BYTES }
    }
}

/// The parts of a member's watches.
#[derive(Debug)]
pub struct Watches {
    /// For the apply loop.
    pub publisher: Publisher,
    /// For the API and for whoever closes streams.
    pub handle: WatchHandle,
    /// To be run; see [`HubTask::run`].
    pub task: HubTask,
}

/// Makes the parts. Nothing runs before the task does.
#[must_use]
pub fn watches(store: Arc<dyn WatchStore>, config: WatchConfig) -> Watches {
    let signals = Arc::new(Signals::default());
    let metrics = Arc::new(WatchMetrics::default());
    let (rounds_in, rounds) = mpsc::channel(WATCH_HUB_ROUNDS_MAX);
    let (controls_in, controls) = mpsc::channel(WATCH_HUB_CONTROLS_MAX);
    Watches {
        publisher: Publisher::new(rounds_in, Arc::clone(&signals)),
        handle: WatchHandle::new(controls_in, Arc::clone(&store), config, Arc::clone(&signals), Arc::clone(&metrics)),
        task: HubTask::new(store, rounds, controls, signals, metrics),
    }
}
