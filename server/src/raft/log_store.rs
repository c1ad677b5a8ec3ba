//! The log as openraft wants it, over [`quorate_disk::wal::Wal`].
//!
//! Rule: what openraft is told is durable has been synced; what it may read is readable when `append` returns; and every
//! change goes through the one queue of the log, so that none overtakes another. Entries are dropped only up to what the
//! engine has flushed.
//!
//! An entry is encoded once, when it is appended, and stays decoded in the [`Tail`]; only older ones are read back.
//!
//! Left out: waiting without blocking. `append` blocks its thread while the log's queue is full (16 MiB, some ten syncs
//! behind); by then the disk is the limit and nothing is gained by taking more in.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::Stream;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{LogState, RaftLogReader};
use parking_lot::{Mutex, RwLock};
use quorate_core::error::Fault;
use quorate_core::limits;
use quorate_disk::wal::{Done, LogRecord, Wal, WalError};
use tokio::sync::oneshot;

use super::bell::Bell;
use super::codec::{CodecError, decode_entry, encode_entry, encode_log_id, encode_vote, log_id, outer, term_index};
use super::tail::Tail;
use super::types::{Entry, LogId, Types, Vote};

/// The log. Clones share it.
#[derive(Clone)]
pub(super) struct LogStore {
    shared: Arc<Shared>,
}

struct Shared {
    /// Empty once closed. Taken for reading by every call; for writing only to close.
    wal: RwLock<Option<Wal>>,
    tail: Mutex<Tail>,
    ends: Mutex<Ends>,
    /// The last entry the engine holds for good, from 1: the bound of `purge`.
    flushed_index: AtomicU64,
    bell: Arc<Bell>,
}

/// What is known of the log without reading it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    /// The last entry, or the last purged one if there is none.
    pub(super) last: Option<LogId>,
    /// How far the log is known to be committed; at start, only if it holds that entry.
    pub(super) committed: Option<LogId>,
    /// How far it was known to be committed before the restart, whether or not it holds that entry.
    pub(super) recovered_committed: Option<LogId>,
}

impl LogStore {
    /// `flushed_index`: see [`LogStore::note_flushed`].
    pub(super) fn new(wal: Wal, ends: Ends, flushed_index: u64, bell: Arc<Bell>) -> Self {
        Self {
            shared: Arc::new(Shared {
                wal: RwLock::new(Some(wal)),
                tail: Mutex::new(Tail::new(limits::LOG_TAIL_BYTES_MAX)),
                ends: Mutex::new(ends),
                flushed_index: AtomicU64::new(flushed_index),
                bell,
            }),
        }
    }

    /// The engine holds everything up to `index` (from 1) for good; the log may let go of that much.
    pub(super) fn note_flushed(&self, index: u64) {
        self.shared.flushed_index.fetch_max(index, Ordering::AcqRel);
    }

    /// The position of entry `index` (from 1); nothing if the log does not hold it.
    pub(super) fn position_of(&self, index: u64) -> io::Result<Option<LogId>> {
        let Some(raft_index) = index.checked_sub(1) else { return Ok(None) };
        let ends = self.shared.ends.lock().clone();
        for end in [ends.purged, ends.last].into_iter().flatten() {
            if end.index == raft_index {
                return Ok(Some(end));
            }
        }
        if ends.last.is_none_or(|last| raft_index > last.index) {
            return Ok(None);
        }
        if let Some(entry) = self.shared.tail.lock().get(raft_index..raft_index + 1, 0).first() {
            return Ok(Some(entry.log_id));
        }
        let records = self.with(|wal| wal.read(index, index + 1, 0))?;
        Ok(records.first().and_then(|record| log_id(record.term, record.index)))
    }

    /// Since when the log has been busy writing or syncing; nothing when it is idle or closed.
    pub(super) fn sync_in_flight_since(&self) -> Option<std::time::Instant> {
        self.shared.wal.read().as_ref()?.in_flight_sync_since()
    }

    /// Writes and syncs what waits, and closes the files. Later calls fail; nothing is told of it.
    pub(super) fn close(&self) {
        let wal = self.shared.wal.write().take();
        if let Some(wal) = wal {
            wal.close();
        }
    }

    fn with<T>(&self, call: impl FnOnce(&Wal) -> Result<T, WalError>) -> io::Result<T> {
        let answer = match &*self.shared.wal.read() {
            Some(wal) => call(wal),
            None => Err(WalError::Closed),
        };
        answer.map_err(|error| self.shared.failed(&error))
    }

    /// Queues a change and waits until it is durable.
    async fn durably(&self, call: impl FnOnce(&Wal, Done)) -> io::Result<()> {
        let (tell, told) = oneshot::channel();
        self.with(|wal| {
            call(wal, Box::new(move |result| drop(tell.send(result))));
            Ok(())
        })?;
        let result = told.await.unwrap_or(Err(WalError::Closed));
        result.map_err(|error| self.shared.failed(&error))
    }

    /// Entries of `range`, which the log holds, from its start on: up to `bytes_max` but at least one.
    fn entries(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let held = self.shared.tail.lock().get(range.clone(), bytes_max);
        if !held.is_empty() {
            return Ok(held);
        }
        let records = self.with(|wal| wal.read(outer(range.start), outer(range.end), bytes_max))?;
        if records.is_empty() {
            // An entry left out here would be one that is never applied.
            let fault = Fault::new(format!("the log has lost its entry {}; this is a defect", outer(range.start)));
            self.shared.bell.ring(fault.clone());
            return Err(io::Error::other(fault));
        }
        records.into_iter().map(|record| self.decode(record)).collect()
    }

    fn decode(&self, record: LogRecord) -> io::Result<Entry> {
        let index = record.index;
        decode_entry(record).map_err(|error| {
            let fault = damaged(index, &error);
            self.shared.bell.ring(fault.clone());
            io::Error::other(fault)
        })
    }

    /// The part of `range` that the log holds.
    fn held(&self, range: impl RangeBounds<u64>) -> Range<u64> {
        let ends = self.shared.ends.lock();
        let first = ends.purged.map_or(0, |purged| purged.index + 1);
        let next = ends.last.map_or(0, |last| last.index + 1);
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => next,
        };
        start.max(first)..end.min(next)
    }
}

/// What an operator is told about an entry that validates and means nothing.
pub(super) fn damaged(index: u64, error: &CodecError) -> Fault {
    Fault::new(format!(
        "the log holds {error} (entry {index}). If this member was downgraded, start the newer version again; else restore \
         it from a peer or a snapshot. Do not delete files of the data directory by hand."
    ))
}

/// The index (openraft's) after entries that were read; there is at least one.
fn after(entries: &[Entry]) -> u64 {
    entries.last().map_or(0, |last| last.log_id.index + 1)
}

impl Shared {
    /// Tells a failure of the log and makes it an error for openraft, which then stops.
    fn failed(&self, error: &WalError) -> io::Error {
        if !matches!(error, WalError::Closed) {
            self.bell.ring(Fault::new(error.to_string()));
        }
        io::Error::other(error.clone())
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let mut range = self.held(range);
        let mut all = Vec::new();
        while !range.is_empty() {
            let some = self.entries(range.clone(), limits::APPLY_ROUND_BYTES_MAX)?;
            range.start = after(&some);
            all.extend(some);
        }
        Ok(all)
    }

    /// Reads as it goes: what was committed while this member was away can be far more than fits into memory.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let store = self.clone();
        let range = store.held(range);
        futures::stream::iter(Chunks { store, range, read: Vec::new().into_iter(), failed: false })
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.entries(self.held(start..end), limits::REPLICATION_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.ends.lock().vote)
    }
}

/// Entries, read a round's worth at a time.
struct Chunks {
    store: LogStore,
    range: Range<u64>,
    read: std::vec::IntoIter<Entry>,
    failed: bool,
}

impl Iterator for Chunks {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.read.next() {
            return Some(Ok(entry));
        }
        if self.range.is_empty() || self.failed {
            return None;
        }
        match self.store.entries(self.range.clone(), limits::APPLY_ROUND_BYTES_MAX) {
            Ok(entries) => {
                self.range.start = after(&entries);
                self.read = entries.into_iter();
                self.read.next().map(Ok)
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let ends = self.shared.ends.lock();
        Ok(LogState { last_purged_log_id: ends.purged, last_log_id: ends.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let bytes = encode_vote(vote);
        self.durably(|wal, done| wal.save_vote(bytes, done)).await?;
        self.shared.ends.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        if let Some(committed) = committed {
            self.with(|wal| {
                wal.save_committed(encode_log_id(committed));
                Ok(())
            })?;
        }
        self.shared.ends.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.ends.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let records = entries.iter().map(encode_entry).collect();
        let shared = Arc::clone(&self.shared);
        let done: Done = Box::new(move |result| {
            callback.io_completed(result.map_err(|error| shared.failed(&error)));
        });
        // Should this fail, `callback` is dropped and openraft stops on the error.
        self.with(|wal| wal.append(records, done))?;
        if let Some(last) = entries.last() {
            self.shared.ends.lock().last = Some(last.log_id);
        }
        let mut tail = self.shared.tail.lock();
        for entry in entries {
            tail.push(entry);
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.shared.tail.lock().truncate_from(from);
        {
            let mut ends = self.shared.ends.lock();
            ends.last = ends.last.min(last);
        }
        self.durably(|wal, done| wal.truncate_from(outer(from), done)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let (term, index) = term_index(upto);
        let flushed = self.shared.flushed_index.load(Ordering::Acquire);
        debug_assert!(index <= flushed, "entry {index} is purged while the engine has flushed only up to {flushed}");
        if index > flushed {
            // Keeping too much is harmless; a crash after dropping too much loses what was acknowledged.
            tracing::error!(index, flushed, "kept log entries that the engine has not flushed");
            return Ok(());
        }
        self.shared.tail.lock().purge_through(upto.index);
        {
            let mut ends = self.shared.ends.lock();
            if ends.purged.is_none_or(|purged| purged.index < upto.index) {
                ends.purged = Some(upto);
            }
            if ends.last.is_none_or(|last| last.index <= upto.index) {
                ends.last = Some(upto);
            }
        }
        self.durably(|wal, done| wal.purge_through(index, term, done)).await
    }
}
