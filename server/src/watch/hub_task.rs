//! The one owner of the hub.
//!
//! Each turn of the loop: rounds, then requests, then queues that have room again, then reads that are done, then one step
//! for those behind; only when none of these had work does it wait. Each kind takes a bounded piece per turn, rounds first,
//! so that neither many requests nor much history keep new events waiting.

use crate::watch::WatchStore;
use crate::watch::metrics::WatchMetrics;
use crate::watch::publisher::Published;
use crate::watch::queue::{End, SharedQueue};
use crate::watch::session::{Control, Request};
use crate::watch::signals::Signals;
use quorate_core::error::Fault;
use quorate_core::limits::{WATCH_CATCH_UP_READS_MAX, WATCH_RECENT_BYTES_MAX};
use quorate_core::watch::Source;
use quorate_core::watch::catch_up::{Finished, History};
use quorate_core::watch::hub::{Create, Hub, StreamKey};
use quorate_core::watch::response::{Body, Response};
use quorate_core::watch::resume::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

/// Rounds per turn of the loop. One may hold 512 revisions.
const ROUNDS_PER_TURN: usize = 8;
/// Requests per turn of the loop.
const CONTROLS_PER_TURN: usize = 64;

/// The task; see the module.
pub struct HubTask {
    hub: Hub<SharedQueue>,
    store: Arc<dyn WatchStore>,
    rounds: mpsc::Receiver<Published>,
    controls: mpsc::Receiver<Control>,
    /// A request that came before the hub heard of the revision that its client could have seen. Later ones wait behind it.
    held: Option<Control>,
    signals: Arc<Signals>,
    metrics: Arc<WatchMetrics>,
    reads: JoinSet<Result<Finished, Fault>>,
    streams: BTreeMap<StreamKey, StreamTimes>,
    /// Streams with a watcher that wants progress, by when it is due.
    ticks: BTreeSet<(Instant, StreamKey)>,
    publisher_gone: bool,
    handles_gone: bool,
}

struct StreamTimes {
    requires_leader: bool,
    progress_interval: Duration,
    tick: Option<Instant>,
}

impl std::fmt::Debug for HubTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubTask").field("revision", &self.hub.revision()).finish_non_exhaustive()
    }
}

impl HubTask {
    pub(crate) fn new(
        store: Arc<dyn WatchStore>,
        rounds: mpsc::Receiver<Published>,
        controls: mpsc::Receiver<Control>,
        signals: Arc<Signals>,
        metrics: Arc<WatchMetrics>,
    ) -> Self {
        let revision = store.view().revision;
        metrics.hub_revision.store(revision, Ordering::Relaxed);
        Self {
            hub: Hub::new(revision, WATCH_RECENT_BYTES_MAX),
            store,
            rounds,
            controls,
            held: None,
            signals,
            metrics,
            reads: JoinSet::new(),
            streams: BTreeMap::new(),
            ticks: BTreeSet::new(),
            publisher_gone: false,
            handles_gone: false,
        }
    }

    /// Serves until the member stops or the publisher is dropped; ends all streams then.
    ///
    /// # Errors
    /// A fault of the store; the member must stop.
    pub async fn run(mut self) -> Result<(), Fault> {
        let result = self.serve().await;
        self.controls.close();
        while let Some(control) = self.held.take().or_else(|| self.controls.try_recv().ok()) {
            control.queue.end(End::Stopped);
        }
        for (_, queue) in self.hub.streams() {
            queue.0.end(End::Stopped);
        }
        result
    }

    async fn serve(&mut self) -> Result<(), Fault> {
        while !self.signals.stopping() && !self.publisher_gone {
            if self.turn()? {
                // Others on this thread go on in between.
                tokio::task::yield_now().await;
            } else {
                self.wait().await?;
            }
        }
        Ok(())
    }

    /// Does a bounded piece of each kind of work; false when there was none.
    fn turn(&mut self) -> Result<bool, Fault> {
        let mut worked = false;
        for _ in 0..ROUNDS_PER_TURN {
            let Ok(round) = self.rounds.try_recv() else {
                self.catch_up_with_store();
                break;
            };
            self.publish(&round)?;
            worked = true;
        }
        for _ in 0..CONTROLS_PER_TURN {
            let Some(control) = self.held.take().or_else(|| self.controls.try_recv().ok()) else { break };
            if control.seen > self.hub.revision() {
                self.held = Some(control);
                break;
            }
            self.handle(control);
            worked = true;
        }
        for stream in self.signals.take_roomy() {
            self.hub.room(stream);
            worked = true;
        }
        if self.signals.leaderless() {
            self.end_those_that_require_a_leader();
        }
        while let Some(read) = self.reads.try_join_next() {
            self.finish(read)?;
            worked = true;
        }
        worked |= self.tick();
        worked |= self.step()?;
        self.count();
        Ok(worked)
    }

    async fn wait(&mut self) -> Result<(), Fault> {
        let tick = self.ticks.first().map(|(due, _)| *due);
        tokio::select! {
            biased;
            round = self.rounds.recv() => match round {
                Some(round) => self.publish(&round)?,
                None => self.publisher_gone = true,
            },
            control = self.controls.recv(), if self.held.is_none() && !self.handles_gone => match control {
                Some(control) => self.held = Some(control),
                None => self.handles_gone = true,
            },
            () = self.signals.raised() => {}
            Some(read) = self.reads.join_next() => self.finish(read)?,
            () = sleep_until(tick), if tick.is_some() => {}
        }
        Ok(())
    }

    fn publish(&mut self, round: &Published) -> Result<(), Fault> {
        self.signals.remove_queued(round.bytes());
        // The view is held during the call only: it keeps the rows of values before, and nothing else.
        let view = self.store.view();
        let source = Source { rows: self.store.rows(), compact_revision: view.compact_revision };
        self.hub.publish(round.revision_after, &round.changes, &source)
    }

    /// Rounds were dropped, and none of those that were not is left: what is missing is in the store.
    fn catch_up_with_store(&mut self) {
        if self.signals.take_missed() {
            self.metrics.rounds_missed.fetch_add(1, Ordering::Relaxed);
            self.hub.skip_to(self.store.view().revision);
        }
    }

    fn handle(&mut self, control: Control) {
        let Control { queue, request, permit, .. } = control;
        if let Request::Open { requires_leader, progress_interval } = request {
            let key = self.hub.open(SharedQueue(Arc::clone(&queue)));
            queue.set_key(key);
            self.streams.insert(key, StreamTimes { requires_leader, progress_interval, tick: None });
            return;
        }
        let Some(key) = queue.key() else { return };
        let revision = self.hub.revision();
        let refused = |reason: String| Response { watch_id: -1, revision, body: Body::Refused(reason.into()) };
        match request {
            Request::Open { .. } => {}
            Request::Create(create) => self.create(key, &create, permit),
            Request::Refuse(reason) => queue.answer(refused(reason), permit),
            Request::Cancel(watch_id) => {
                if self.hub.cancel(key, watch_id) {
                    queue.answer(Response { watch_id, revision, body: Body::Canceled }, permit);
                }
            }
            Request::Progress => {
                if let Some(revision) = self.hub.stream_progress(key) {
                    let progress = Response { watch_id: -1, revision, body: Body::Progress };
                    // When it does not fit it is dropped, as the contract says; the client asks again.
                    let _ = SharedQueue(queue).offer_answer(progress, permit);
                }
            }
            Request::Close(end) => {
                self.close(key);
                queue.end(end);
            }
        }
    }

    fn create(&mut self, key: StreamKey, create: &Create, permit: Option<OwnedSemaphorePermit>) {
        let created = self.hub.create(key, create);
        let revision = self.hub.revision();
        let Some(queue) = self.hub.outlet(key) else { return };
        match created {
            Ok(watch_id) => queue.0.answer(Response { watch_id, revision, body: Body::Created }, permit),
            Err(refusal) => {
                let body = Body::Refused(refusal.to_string().into());
                return queue.0.answer(Response { watch_id: -1, revision, body }, permit);
            }
        }
        if create.options.progress
            && let Some(times) = self.streams.get_mut(&key)
            && times.tick.is_none()
        {
            let due = Instant::now() + times.progress_interval;
            times.tick = Some(due);
            self.ticks.insert((due, key));
        }
    }

    fn close(&mut self, key: StreamKey) {
        self.hub.close(key);
        if let Some(due) = self.streams.remove(&key).and_then(|times| times.tick) {
            self.ticks.remove(&(due, key));
        }
    }

    fn end_those_that_require_a_leader(&mut self) {
        let ending: Vec<StreamKey> =
            self.streams.iter().filter(|(_, times)| times.requires_leader).map(|(key, _)| *key).collect();
        for key in ending {
            if let Some(queue) = self.hub.outlet(key) {
                queue.0.end(End::NoLeader);
            }
            self.close(key);
        }
    }

    /// Says progress on streams where it is due.
    fn tick(&mut self) -> bool {
        let Some((first, _)) = self.ticks.first() else { return false };
        let now = Instant::now();
        if *first > now {
            return false;
        }
        while let Some((due, key)) = self.ticks.first().copied().filter(|(due, _)| *due <= now) {
            self.ticks.remove(&(due, key));
            self.hub.tick(key);
            if let Some(times) = self.streams.get_mut(&key) {
                let next = now + times.progress_interval;
                times.tick = Some(next);
                self.ticks.insert((next, key));
            }
        }
        true
    }

    /// Serves one group of watchers that are behind; only one that needs no read while all readers are busy.
    fn step(&mut self) -> Result<bool, Fault> {
        if !self.hub.has_turn() {
            return Ok(false);
        }
        let may_read = self.reads.len() < WATCH_CATCH_UP_READS_MAX;
        let view = self.store.view();
        let source = Source { rows: self.store.rows(), compact_revision: view.compact_revision };
        match self.hub.step(&source, may_read)? {
            Step::Idle => Ok(false),
            Step::Served => Ok(true),
            Step::Read(job) => {
                let store = Arc::clone(&self.store);
                self.reads.spawn_blocking(move || {
                    let view = store.view();
                    let history =
                        History { index: &view.index, compact_revision: view.compact_revision, rows: store.rows() };
                    job.run(&history, |from, to, visit| store.scan_rows(from, to, visit))
                });
                Ok(true)
            }
        }
    }

    fn finish(&mut self, read: Result<Result<Finished, Fault>, JoinError>) -> Result<(), Fault> {
        let finished = read.map_err(|error| Fault::new(format!("a read of watch history broke off: {error}")))??;
        self.hub.finish(finished);
        Ok(())
    }

    fn count(&self) {
        let counts = self.hub.counts();
        self.metrics.watchers.store(counts.watchers as i64, Ordering::Relaxed);
        self.metrics.slow_watchers.store(counts.slow_watchers as i64, Ordering::Relaxed);
        self.metrics.events.store(counts.events, Ordering::Relaxed);
        self.metrics.hub_revision.store(self.hub.revision(), Ordering::Relaxed);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
