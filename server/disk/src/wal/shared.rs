//! What callers and the writer thread share: the queue of work, the tail of the log in memory, the positions on disk.
//!
//! Rule: the lock is never held while the disk works, and nobody but the writer changes the positions. Callers change
//! the *logical* log at once (so that what was appended is readable when the call returns); the writer follows in the
//! same order.
//!
//! ```text
//!            first_index        tail_first                      next_index
//!  purged ──────┤ on disk, positions ┤ in memory: written │ not yet written ├──▶
//! ```
//!
//! An index at or above `tail_first` is served from memory; below it the positions are right, because a record leaves
//! the tail only after its position was entered, and a truncation below `tail_first` only shortens.
//!
//! Bounds: the queue by `queue_bytes_max`, the written part of the tail by `tail_bytes_max`, positions by purging.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::error::WalError;
use super::positions::Positions;
use super::record::frame_bytes;
use super::segment::Segment;
use super::{Done, LogRecord, WalMetrics};

pub(crate) struct Shared {
    state: Mutex<State>,
    /// The writer waits here for work.
    work: Condvar,
    /// Callers wait here for room in the queue.
    room: Condvar,
    queue_bytes_max: usize,
    tail_bytes_max: usize,
}

pub(crate) struct State {
    pub(crate) queue: VecDeque<Job>,
    pub(crate) queue_bytes: usize,
    /// Rides with the next batch; nothing is written or synced for it alone.
    pub(crate) committed_waiting: Option<Bytes>,
    pub(crate) first_index: u64,
    pub(crate) next_index: u64,
    pub(crate) purged: Option<(u64, u64)>,
    tail: VecDeque<TailRecord>,
    tail_first: u64,
    tail_bytes: usize,
    next_seq: u64,
    pub(crate) positions: Positions,
    pub(crate) segments: BTreeMap<u64, Arc<Segment>>,
    pub(crate) failed: Option<WalError>,
    pub(crate) closing: bool,
    pub(crate) writer_waits: bool,
    pub(crate) busy_since: Option<Instant>,
    pub(crate) metrics: WalMetrics,
}

/// One call, waiting for the writer.
pub(crate) struct Job {
    pub(crate) op: Op,
    /// What it takes in a segment.
    pub(crate) bytes: usize,
    pub(crate) done: Done,
    /// Records up to this one are written when the job is.
    pub(crate) last_seq: u64,
}

pub(crate) enum Op {
    Append(Vec<LogRecord>),
    Vote(Bytes),
    Truncate(u64),
    Purge(u64, u64),
}

struct TailRecord {
    /// Ascends over the log's life, also across truncations: two records with one index are told apart by it.
    seq: u64,
    term: u64,
    payload: Bytes,
}

impl TailRecord {
    fn bytes(&self) -> usize {
        frame_bytes(self.payload.len())
    }
}

/// The work of one round of the writer.
pub(crate) struct Work {
    pub(crate) jobs: Vec<Job>,
    pub(crate) committed: Option<Bytes>,
}

impl Shared {
    pub(crate) fn new(state: State, queue_bytes_max: usize, tail_bytes_max: usize) -> Shared {
        Shared { state: Mutex::new(state), work: Condvar::new(), room: Condvar::new(), queue_bytes_max, tail_bytes_max }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// True when a job of `bytes` must wait. A job larger than the whole queue goes when the queue is empty.
    pub(crate) fn is_full(&self, state: &State, bytes: usize) -> bool {
        state.queue_bytes > 0
            && state.queue_bytes + bytes > self.queue_bytes_max
            && state.failed.is_none()
            && !state.closing
    }

    pub(crate) fn wait_for_room(&self, state: &mut MutexGuard<'_, State>, bytes: usize) {
        while self.is_full(state, bytes) {
            self.room.wait(state);
        }
    }

    /// Wakes the writer if it sleeps.
    pub(crate) fn ring(&self, state: &State) {
        if state.writer_waits {
            self.work.notify_one();
        }
    }

    /// Sleeps until there is work; `None` when the log is closing and nothing is left, or has failed.
    pub(crate) fn wait_for_work(&self, batch_bytes_max: usize) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if let Some(work) = self.take_work(&mut state, batch_bytes_max) {
                return Some(work);
            }
            if state.closing || state.failed.is_some() {
                return None;
            }
            state.writer_waits = true;
            self.work.wait(&mut state);
            state.writer_waits = false;
        }
    }

    /// Takes jobs up to `batch_bytes_max` (at least one), oldest first.
    pub(crate) fn take_work(&self, state: &mut State, batch_bytes_max: usize) -> Option<Work> {
        if state.failed.is_some() {
            return None;
        }
        let mut bytes = 0;
        let mut count = 0;
        for job in &state.queue {
            if count > 0 && bytes + job.bytes > batch_bytes_max {
                break;
            }
            bytes += job.bytes;
            count += 1;
        }
        if count == 0 && !(state.closing && state.committed_waiting.is_some()) {
            return None;
        }
        let jobs = state.queue.drain(..count).collect();
        state.queue_bytes -= bytes;
        state.busy_since = Some(Instant::now());
        self.room.notify_all();
        Some(Work { jobs, committed: state.committed_waiting.take() })
    }

    /// Records of the tail up to `seq` are on disk: those over the budget may leave memory.
    pub(crate) fn written(&self, state: &mut State, seq: u64) {
        while state.tail_bytes > self.tail_bytes_max
            && let Some(record) = state.tail.front()
            && record.seq <= seq
        {
            state.pop_tail();
        }
    }

    /// Stops the log for good. Returns the callbacks of everything that waited, which the caller must answer.
    pub(crate) fn fail(&self, error: &WalError) -> Vec<Done> {
        let mut state = self.state.lock();
        state.failed.get_or_insert_with(|| error.clone());
        state.busy_since = None;
        state.queue_bytes = 0;
        let jobs = std::mem::take(&mut state.queue);
        self.room.notify_all();
        self.work.notify_all();
        drop(state);
        jobs.into_iter().map(|job| job.done).collect()
    }

    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closing = true;
        self.room.notify_all();
        self.work.notify_all();
    }
}

impl State {
    /// The log as recovery found it.
    pub(crate) fn new(
        first_index: u64,
        purged: Option<(u64, u64)>,
        positions: Positions,
        segments: BTreeMap<u64, Arc<Segment>>,
    ) -> State {
        let next_index = positions.next();
        State {
            queue: VecDeque::new(),
            queue_bytes: 0,
            committed_waiting: None,
            first_index,
            next_index,
            purged,
            tail: VecDeque::new(),
            tail_first: next_index,
            tail_bytes: 0,
            next_seq: 1,
            positions,
            segments,
            failed: None,
            closing: false,
            writer_waits: false,
            busy_since: None,
            metrics: WalMetrics::default(),
        }
    }

    /// An error once the log has failed or closed.
    pub(crate) fn usable(&self) -> Result<(), WalError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.closing => Err(WalError::Closed),
            None => Ok(()),
        }
    }

    /// A log that never held and never purged anything may begin at any index.
    fn is_untouched(&self) -> bool {
        self.next_index == 0 && self.purged.is_none()
    }

    /// Refuses records that are not consecutive from the end of the log.
    pub(crate) fn check_append(&self, records: &[LogRecord]) -> Result<(), WalError> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        if u64::MAX - first.index < records.len() as u64 {
            return Err(WalError::Refused(format!("to append entry {}, because the numbers end there", first.index)));
        }
        let start = if self.is_untouched() { first.index } else { self.next_index };
        for (expected, record) in (start..u64::MAX).zip(records) {
            if record.index != expected {
                return Err(WalError::Refused(format!(
                    "to append entry {} where entry {expected} comes next",
                    record.index
                )));
            }
        }
        Ok(())
    }

    /// Makes checked `records` part of the logical log.
    pub(crate) fn append(&mut self, records: &[LogRecord]) {
        if let Some(first) = records.first()
            && self.is_untouched()
        {
            self.first_index = first.index;
            self.next_index = first.index;
            self.tail_first = first.index;
        }
        for record in records {
            let record = TailRecord { seq: self.next_seq, term: record.term, payload: record.payload.clone() };
            self.next_seq += 1;
            self.next_index += 1;
            self.tail_bytes += record.bytes();
            self.tail.push_back(record);
        }
    }

    /// Takes `index` and everything behind it out of the logical log.
    pub(crate) fn truncate_from(&mut self, index: u64) -> Result<(), WalError> {
        if let Some((purged, _)) = self.purged
            && index <= purged
        {
            return Err(WalError::Refused(format!(
                "to truncate from entry {index}, because entries up to {purged} are purged and therefore committed"
            )));
        }
        while self.next_index > index && self.next_index > self.tail_first {
            let record = self.tail.pop_back().expect("the tail reaches from tail_first to next_index");
            self.tail_bytes -= record.bytes();
            self.next_index -= 1;
        }
        if self.next_index > index {
            self.next_index = index;
            self.tail_first = index;
            self.first_index = self.first_index.min(index);
        }
        Ok(())
    }

    /// Takes `index` and everything before it out of the logical log.
    pub(crate) fn purge_through(&mut self, index: u64, term: u64) -> Result<(), WalError> {
        if index == u64::MAX {
            return Err(WalError::Refused("to purge through the last number there is".to_string()));
        }
        if self.purged.is_some_and(|(purged, _)| index <= purged) {
            return Ok(());
        }
        self.purged = Some((index, term));
        self.first_index = index + 1;
        while self.tail_first <= index && !self.tail.is_empty() {
            self.pop_tail();
        }
        if self.next_index <= index {
            self.next_index = index + 1;
        }
        if self.tail.is_empty() {
            self.tail_first = self.next_index;
        }
        Ok(())
    }

    /// The sequence number of the youngest record.
    pub(crate) fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// The first index that is served from memory.
    pub(crate) fn tail_first(&self) -> u64 {
        self.tail_first
    }

    /// The record `index` if it is in memory.
    pub(crate) fn tail_record(&self, index: u64) -> Option<LogRecord> {
        let at = usize::try_from(index.checked_sub(self.tail_first)?).ok()?;
        let record = self.tail.get(at)?;
        Some(LogRecord { index, term: record.term, payload: record.payload.clone() })
    }

    /// Takes the segments below everything that is still needed out of the map; never the youngest. Only after a purge:
    /// the marker is what tells recovery that nothing is missing.
    pub(crate) fn free_segments(&mut self) -> Vec<Arc<Segment>> {
        let Some((&youngest, _)) = self.segments.last_key_value() else {
            return Vec::new();
        };
        let keep_from = self.positions.first_segment().unwrap_or(youngest);
        let kept = self.segments.split_off(&keep_from);
        std::mem::replace(&mut self.segments, kept).into_values().collect()
    }

    pub(crate) fn count_batch(&mut self, bytes: usize, synced: Option<Duration>) {
        self.metrics.appended_bytes += bytes as u64;
        self.metrics.batches += 1;
        let Some(took) = synced else {
            return;
        };
        self.metrics.syncs += 1;
        self.metrics.sync_last = took;
        self.metrics.sync_longest = self.metrics.sync_longest.max(took);
    }

    fn pop_tail(&mut self) {
        if let Some(record) = self.tail.pop_front() {
            self.tail_bytes -= record.bytes();
            self.tail_first += 1;
        }
    }
}
