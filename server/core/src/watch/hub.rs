//! All watchers of a member and what each is still to hear.
//!
//! A watcher is in one of these states:
//!
//! ```text
//!             start ≤ now ┌────────┐ taken   ┌─────────┐
//!   create ──────────────▶│ Behind │────────▶│ Reading │  (history from the store)
//!      │ start > now      └────────┘◀────────└─────────┘
//!      ▼                   │  ▲  │ next < floor   not there yet, or
//!   ┌────────┐ caught up   │  │  └────────▶ Compacted    caught up ──▶ Synced
//!   │ Synced │◀────────────┘  │ room
//!   └────────┘ queue full ┌────────┐
//!        └───────────────▶│ Parked │◀── queue full, from Behind and Reading too
//!                         └────────┘
//! ```
//!
//! Rules:
//!
//! 1. `next` of a watcher is the first revision it was not offered yet. For a synced one it is the larger of the field and
//!    the hub's revision + 1, so that publishing need not touch watchers it has nothing for.
//! 2. Everything said has a revision at or below the hub's, and the hub's revision only rises.
//! 3. A watcher cancelled by compaction keeps its id, and keeps its stream from being in sync, until the client cancels the
//!    id (contract §2.9, Q4).
//!
//! Work other than requests is in [`crate::watch::publish`], [`crate::watch::resume`] and [`crate::watch::progress`].

use crate::error::Refusal;
use crate::limits::WATCHERS_PER_STREAM_MAX;
use crate::watch::catch_up::Needs;
use crate::watch::interest::{Interest, RangeId};
use crate::watch::range::WatchRange;
use crate::watch::recent::Recent;
use crate::watch::response::{Body, Events, Outlet, Response};
use crate::watch::slab::{Key, Slab};
use crate::watch::stream::Ids;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Names a stream of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey(pub(crate) Key);

/// Names a watcher of a hub, across streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatcherKey(pub(crate) Key);

/// What a client asks for when it creates a watcher (contract §2.9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Create {
    /// As sent.
    pub key: bytes::Bytes,
    /// As sent.
    pub range_end: bytes::Bytes,
    /// 0 for "from now on".
    pub start_revision: i64,
    /// 0 for "any".
    pub watch_id: i64,
    /// What it wants of each change.
    pub options: Options,
}

/// What a watcher wants of each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Leave out puts.
    pub no_put: bool,
    /// Leave out deletions.
    pub no_delete: bool,
    /// Attach the value before.
    pub previous: bool,
    /// Large responses may come in pieces.
    pub fragment: bool,
    /// Say now and then that nothing is missing.
    pub progress: bool,
}

/// Why a watcher was not created. The text goes to the client as the cancel reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateRefusal {
    /// The id is in use on this stream.
    #[error("mvcc: duplicate watch ID provided on the WatchStream")]
    DuplicateId,
    /// No key can lie in the range.
    #[error("mvcc: watcher range is empty")]
    EmptyRange,
    /// The start revision is negative.
    #[error("{}", Refusal::Compacted)]
    NegativeStart,
    /// More watchers than one stream may have.
    #[error("quorate: this stream has {WATCHERS_PER_STREAM_MAX} watchers; open another one")]
    TooMany,
    /// The stream has ended.
    #[error("quorate: the watch stream has ended")]
    Ended,
}

/// Numbers of the hub, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Watchers that hear something or will.
    pub watchers: usize,
    /// Those among them that are not synced.
    pub slow_watchers: usize,
    /// Events offered so far and accepted, counted per watcher.
    pub events: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Synced,
    Behind,
    Reading,
    Parked,
    Compacted,
}

impl State {
    fn slow(self) -> bool {
        matches!(self, Self::Behind | Self::Reading | Self::Parked)
    }
}

#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) stream: StreamKey,
    pub(crate) id: i64,
    pub(crate) next: i64,
    pub(crate) range: RangeId,
    position: u32,
    pub(crate) state: State,
    pub(crate) options: Options,
    /// No event since the last tick of its stream.
    pub(crate) quiet: bool,
    /// Its start was above the hub's revision and still is.
    pub(crate) future: bool,
}

impl Watcher {
    pub(crate) fn needs(&self) -> Needs {
        Needs { plain: !self.options.previous, previous: self.options.previous }
    }
}

#[derive(Debug)]
pub(crate) struct Stream<O> {
    pub(crate) outlet: O,
    pub(crate) ids: Ids,
    /// Watchers in another state than synced.
    pub(crate) unsynced: usize,
    /// Watchers whose start has not come yet.
    pub(crate) future: usize,
    pub(crate) parked: Vec<WatcherKey>,
}

/// All watchers of a member.
#[derive(Debug)]
pub struct Hub<O> {
    pub(crate) revision: i64,
    pub(crate) streams: Slab<Stream<O>>,
    pub(crate) watchers: Slab<Watcher>,
    pub(crate) interest: Interest,
    pub(crate) recent: Recent,
    /// Watchers in state behind by their next revision. An entry counts only while its watcher says the same.
    pub(crate) behind: BTreeMap<i64, Vec<WatcherKey>>,
    /// The keys of `behind` in the order in which they are served.
    pub(crate) turns: VecDeque<i64>,
    pub(crate) futures: BTreeSet<(i64, WatcherKey)>,
    pub(crate) counts: Counts,
}

impl<O: Outlet> Hub<O> {
    /// A hub that has heard of all revisions up to this one and keeps so many bytes of recent changes
    /// ([`crate::limits::WATCH_RECENT_BYTES_MAX`], unless a test wants less).
    #[must_use]
    pub fn new(revision: i64, recent_bytes_max: usize) -> Self {
        Self {
            revision,
            streams: Slab::default(),
            watchers: Slab::default(),
            interest: Interest::default(),
            recent: Recent::new(revision, recent_bytes_max),
            behind: BTreeMap::new(),
            turns: VecDeque::new(),
            futures: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// The last revision it has heard of: that of created, canceled and progress headers.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Its numbers.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A stream begins.
    pub fn open(&mut self, outlet: O) -> StreamKey {
        let stream = Stream { outlet, ids: Ids::default(), unsynced: 0, future: 0, parked: Vec::new() };
        StreamKey(self.streams.insert(stream))
    }

    /// A stream ends, and its watchers with it.
    pub fn close(&mut self, key: StreamKey) -> Option<O> {
        let stream = self.streams.remove(key.0)?;
        for (_, watcher) in stream.ids.iter() {
            self.forget(watcher);
        }
        Some(stream.outlet)
    }

    /// The open streams.
    pub fn streams(&self) -> impl Iterator<Item = (StreamKey, &O)> {
        self.streams.iter().map(|(key, stream)| (StreamKey(key), &stream.outlet))
    }

    /// Creates a watcher; answers its id. The caller says so to the client before it lets the hub do anything else.
    ///
    /// # Errors
    /// The reason for the client.
    pub fn create(&mut self, stream_key: StreamKey, create: &Create) -> Result<i64, CreateRefusal> {
        let stream = self.streams.get_mut(stream_key.0).ok_or(CreateRefusal::Ended)?;
        if create.start_revision < 0 {
            return Err(CreateRefusal::NegativeStart);
        }
        let range = WatchRange::new(&create.key, &create.range_end).ok_or(CreateRefusal::EmptyRange)?;
        let id = stream.ids.choose(create.watch_id).ok_or(CreateRefusal::DuplicateId)?;
        if stream.ids.len() >= WATCHERS_PER_STREAM_MAX {
            return Err(CreateRefusal::TooMany);
        }
        let next = if create.start_revision == 0 { self.revision + 1 } else { create.start_revision };
        let watcher = WatcherKey(self.watchers.insert(Watcher {
            stream: stream_key,
            id,
            next,
            range: RangeId(0),
            position: 0,
            state: State::Synced,
            options: create.options,
            quiet: true,
            future: create.start_revision > self.revision,
        }));
        stream.ids.insert(create.watch_id, id, watcher);
        stream.future += usize::from(create.start_revision > self.revision);
        let (range, position) = self.interest.insert(range, watcher);
        let entered = self.watchers.get_mut(watcher.0).expect("it was put in just now");
        (entered.range, entered.position) = (range, position);
        self.counts.watchers += 1;
        if create.start_revision > self.revision {
            self.futures.insert((create.start_revision, watcher));
        }
        if next <= self.revision {
            self.fall_behind(watcher);
        }
        Ok(id)
    }

    /// Cancels a watcher as its client asked; false when no watcher has the id.
    pub fn cancel(&mut self, stream_key: StreamKey, id: i64) -> bool {
        let Some(watcher) = self.streams.get_mut(stream_key.0).and_then(|stream| stream.ids.remove(id)) else {
            return false;
        };
        self.forget(watcher);
        true
    }

    /// The queue of a stream has room again.
    pub fn room(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key.0) else { return };
        for watcher in std::mem::take(&mut stream.parked) {
            if self.watchers.get(watcher.0).is_some_and(|parked| parked.state == State::Parked) {
                self.fall_behind(watcher);
            }
        }
    }

    /// Takes a watcher out of everything but the ids of its stream.
    fn forget(&mut self, key: WatcherKey) {
        self.set_state(key, State::Synced);
        let Some(watcher) = self.watchers.remove(key.0) else { return };
        if watcher.future {
            self.futures.remove(&(watcher.next, key));
            if let Some(stream) = self.streams.get_mut(watcher.stream.0) {
                stream.future -= 1;
            }
        }
        if watcher.position != u32::MAX {
            self.lose_interest(watcher.range, watcher.position);
        }
    }

    fn lose_interest(&mut self, range: RangeId, position: u32) {
        if let Some(moved) = self.interest.remove(range, position)
            && let Some(moved) = self.watchers.get_mut(moved.0)
        {
            moved.position = position;
        }
        self.counts.watchers -= 1;
    }

    /// Moves a watcher to another state, and all counts with it.
    pub(crate) fn set_state(&mut self, key: WatcherKey, state: State) {
        let Some(watcher) = self.watchers.get_mut(key.0) else { return };
        let before = std::mem::replace(&mut watcher.state, state);
        self.counts.slow_watchers -= usize::from(before.slow());
        self.counts.slow_watchers += usize::from(state.slow());
        // The stream is gone already when it is being closed.
        if let Some(stream) = self.streams.get_mut(watcher.stream.0) {
            stream.unsynced -= usize::from(before != State::Synced);
            stream.unsynced += usize::from(state != State::Synced);
        }
    }

    /// A watcher has history to hear from its next revision on.
    pub(crate) fn fall_behind(&mut self, key: WatcherKey) {
        self.set_state(key, State::Behind);
        let Some(watcher) = self.watchers.get(key.0) else { return };
        let next = watcher.next;
        self.behind.entry(next).or_insert_with(|| {
            self.turns.push_back(next);
            Vec::new()
        });
        self.behind.entry(next).or_default().push(key);
    }

    /// The watcher's queue was full when it was to hear of `next`.
    pub(crate) fn park(&mut self, key: WatcherKey, next: i64) {
        self.set_state(key, State::Parked);
        let Some(watcher) = self.watchers.get_mut(key.0) else { return };
        watcher.next = next;
        if let Some(stream) = self.streams.get_mut(watcher.stream.0) {
            stream.parked.push(key);
        }
    }

    /// Offers events to a watcher; parks it when its queue is full.
    pub(crate) fn offer_events(&mut self, key: WatcherKey, first: i64, header_revision: i64, events: Events) -> bool {
        let Some(watcher) = self.watchers.get_mut(key.0) else { return true };
        let Some(stream) = self.streams.get(watcher.stream.0) else { return true };
        let count = events.as_slice().len() as u64;
        let body = Body::Events { events, fragment: watcher.options.fragment };
        if stream.outlet.offer(Response { watch_id: watcher.id, revision: header_revision, body }) {
            watcher.quiet = false;
            self.counts.events += count;
            return true;
        }
        self.park(key, first);
        false
    }

    /// Tells a watcher that its history is gone; parks it when its queue is full.
    pub(crate) fn offer_compacted(&mut self, key: WatcherKey, floor: i64) {
        let Some(watcher) = self.watchers.get_mut(key.0) else { return };
        let Some(stream) = self.streams.get(watcher.stream.0) else { return };
        // The header's revision is 0 in this one response (contract §2.9).
        if !stream.outlet.offer(Response { watch_id: watcher.id, revision: 0, body: Body::Compacted(floor) }) {
            let next = watcher.next;
            return self.park(key, next);
        }
        let (range, position) = (watcher.range, std::mem::replace(&mut watcher.position, u32::MAX));
        self.lose_interest(range, position);
        self.set_state(key, State::Compacted);
    }
}
