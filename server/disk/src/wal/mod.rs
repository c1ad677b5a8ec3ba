//! The log: what the member promised to remember before it answered.
//!
//! Rule: a callback says `Ok` only when its records are durable; what was acknowledged is found again after any
//! crash; what was never appended is never found. Damage is reported, not repaired.
//!
//! ```text
//! append ─▶ queue ─▶ one writer thread: one write + one fdatasync per batch ─▶ callbacks, in order
//!    └───▶ tail in memory (readable at once)             segments: preallocated, zero-filled, recycled
//! ```
//!
//! While a sync is in flight the next batch collects; an idle writer writes at once. Everything a caller can do is a
//! method of [`Wal`]; the bytes are described in `record.rs`, recovery in `recover.rs`.
//!
//! Left out: what the payloads mean (the Raft adapter knows), and any repair (a damaged member is restored from a
//! peer or a snapshot).

mod error;
mod open;
mod positions;
mod read;
mod record;
mod recover;
mod segment;
mod shared;
mod spares;
mod writer;

use std::sync::Arc;
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

pub use error::WalError;

use record::frame_bytes;
use shared::{Job, Op, Shared};
use spares::Spares;
use writer::Writer;

/// The largest append or vote the log takes, in bytes on disk; a segment holds it with room to spare in its offsets.
const APPEND_BYTES_MAX: usize = 1 << 30;

/// How the log is kept. `Default` is right for production.
#[derive(Clone)]
pub struct WalOptions {
    /// The length of a segment file. Smaller: more file changes. Larger: more space held for a short log. Default 64 MiB,
    /// brought into 4 KiB to 16 GiB.
    pub segment_bytes: u64,
    /// What one write and sync take at most, unless a single append is larger. Default 1 MiB.
    pub batch_bytes_max: usize,
    /// What may wait for the writer before callers have to wait too. Default 16 MiB.
    pub queue_bytes_max: usize,
    /// Written entries kept in memory for readers, the newest ones. Default 16 MiB.
    pub tail_bytes_max: usize,
    /// Files prepared or kept for the next segments. Default 1.
    pub spare_segments: usize,
    /// Whether to sync. Default [`SyncPolicy::Fsync`].
    pub sync: SyncPolicy,
    /// Told about each write and sync, on the writer thread.
    pub observer: Option<Arc<dyn WalObserver>>,
}

impl Default for WalOptions {
    fn default() -> WalOptions {
        WalOptions {
            segment_bytes: 64 << 20,
            batch_bytes_max: 1 << 20,
            queue_bytes_max: 16 << 20,
            tail_bytes_max: 16 << 20,
            spare_segments: 1,
            sync: SyncPolicy::Fsync,
            observer: None,
        }
    }
}

/// When written bytes are forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before every callback.
    Fsync,
    /// Never (`--unsafe-no-fsync`): the process may be killed, but a power cut may lose acknowledged records or leave
    /// a log that refuses to open.
    Never,
}

/// Receives the durations that become metrics. Called on the writer thread; must not block.
pub trait WalObserver: Send + Sync {
    /// A batch of `bytes` was handed to the operating system.
    fn wrote(&self, bytes: usize, took: Duration);
    /// A batch was synced.
    fn synced(&self, took: Duration);
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Consecutive; below `u64::MAX`.
    pub index: u64,
    /// The leader's term.
    pub term: u64,
    /// Opaque. Kept by reference while in memory, so a slice of a large buffer keeps that buffer.
    pub payload: Bytes,
}

/// What [`Wal::open`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The last durable vote.
    pub vote: Option<Bytes>,
    /// The last committed position on disk; it may lag behind the last one saved.
    pub committed: Option<Bytes>,
    /// Index and term of the last purged entry.
    pub purged: Option<(u64, u64)>,
    /// The first entry that [`Wal::read`] can return, or the next to be appended if there is none.
    pub first_index: u64,
    /// Index and term of the last live entry; `None` if there is none (`purged` then tells where the log stands).
    pub last: Option<(u64, u64)>,
    /// Length of the torn tail that was cut, as far as it was recognisable; 0 if none.
    pub cut_bytes: u64,
}

/// Called once, on the writer thread (or on the caller's, if the log has already failed). May call the log; must not block.
pub type Done = Box<dyn FnOnce(Result<(), WalError>) + Send>;

/// Counters since the log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalMetrics {
    /// Bytes of all batches, framing included.
    pub appended_bytes: u64,
    /// Batches written.
    pub batches: u64,
    /// Batches synced.
    pub syncs: u64,
    /// How long the last sync took.
    pub sync_last: Duration,
    /// How long the slowest sync took.
    pub sync_longest: Duration,
    /// Bytes that wait for the writer.
    pub queue_bytes: usize,
    /// Segment files that hold the log.
    pub segments: usize,
    /// Prepared files.
    pub spares: usize,
}

/// The open log. All methods may be called from any thread; calls that change the log take effect in call order.
///
/// Dropping it does what [`Wal::close`] does, except for a stepped log, which simply stops.
pub struct Wal {
    shared: Arc<Shared>,
    spares: Arc<Spares>,
    driver: Driver,
}

enum Driver {
    Threads {
        writer: Option<JoinHandle<()>>,
        spares: Option<JoinHandle<()>>,
        writer_id: ThreadId,
    },
    Stepped {
        writer: Box<Mutex<Writer>>,
        batch_bytes_max: usize,
        /// Called when work arrives.
        wake: Arc<dyn Fn() + Send + Sync>,
    },
}

impl Wal {
    /// Adds consecutive `records` to the end of the log. They are readable when this returns; `done` is called when
    /// they are durable. Blocks while the queue is full. If it returns an error, nothing was added and `done` is dropped.
    /// Refused: a hole, or more than 1 GiB at once.
    pub fn append(&self, records: Vec<LogRecord>, done: Done) -> Result<(), WalError> {
        let mut bytes = 0usize;
        for record in &records {
            bytes = bytes.saturating_add(frame_bytes(record.payload.len()));
        }
        let refused = self.enqueue(bytes, done, |state| {
            state.check_append(&records)?;
            state.append(&records);
            Ok(Op::Append(records))
        });
        refused.map_err(|(_, error)| error)
    }

    /// Makes `vote` the latest; `done` when it and everything appended before is durable.
    pub fn save_vote(&self, vote: Bytes, done: Done) {
        let bytes = frame_bytes(vote.len());
        self.enqueue_or_answer(bytes, done, |_| Ok(Op::Vote(vote)));
    }

    /// Remembers how far the log is committed. Written with the next batch or at [`Wal::close`], not synced for itself,
    /// so after a crash an older position may be found. Does nothing on a failed log. A few bytes, as a vote.
    pub fn save_committed(&self, committed: Bytes) {
        let mut state = self.shared.lock();
        if state.usable().is_ok() {
            state.committed_waiting = Some(committed);
        }
    }

    /// Drops the entries from `index` on; they are unreadable when this returns, and gone for good at `done`.
    /// Purged entries cannot be truncated: `done` gets [`WalError::Refused`].
    pub fn truncate_from(&self, index: u64, done: Done) {
        self.enqueue_or_answer(frame_bytes(0), done, |state| {
            state.truncate_from(index)?;
            Ok(Op::Truncate(index))
        });
    }

    /// Drops the entries up to and including `index`, whose term is `term`. An `index` beyond the end empties the log,
    /// which then continues at `index + 1`. Segments that hold nothing else are reused after the marker is durable.
    pub fn purge_through(&self, index: u64, term: u64, done: Done) {
        self.enqueue_or_answer(frame_bytes(0), done, |state| {
            state.purge_through(index, term)?;
            Ok(Op::Purge(index, term))
        });
    }

    /// Counters and lengths as of now.
    pub fn metrics(&self) -> WalMetrics {
        let spares = self.spares.ready();
        let state = self.shared.lock();
        WalMetrics { queue_bytes: state.queue_bytes, segments: state.segments.len(), spares, ..state.metrics.clone() }
    }

    /// Since when the writer has been busy with the batch it is at: writing, syncing or beginning a segment. `None`
    /// when it is not. For the watchdog that tells a stalled disk from an idle member.
    pub fn in_flight_sync_since(&self) -> Option<Instant> {
        self.shared.lock().busy_since
    }

    /// Writes and syncs what waits, answers its callbacks and ends the threads.
    pub fn close(mut self) {
        self.shut();
        if let Driver::Stepped { .. } = self.driver {
            while self.step() {}
        }
    }

    /// Does one round of a stepped log; false if there was nothing to do. A log with threads steps by itself.
    pub fn step(&self) -> bool {
        let Driver::Stepped { writer, batch_bytes_max, .. } = &self.driver else {
            return false;
        };
        let mut writer = writer.lock();
        let work = {
            let mut state = self.shared.lock();
            self.shared.take_work(&mut state, *batch_bytes_max)
        };
        let Some(work) = work else {
            return false;
        };
        let answers = writer.round(work);
        drop(writer);
        answers.give();
        true
    }

    fn enqueue_or_answer(
        &self,
        bytes: usize,
        done: Done,
        make: impl FnOnce(&mut shared::State) -> Result<Op, WalError>,
    ) {
        if let Err((done, error)) = self.enqueue(bytes, done, make) {
            done(Err(error));
        }
    }

    /// Waits for room, lets `make` change the logical log, and queues the job.
    fn enqueue(
        &self,
        bytes: usize,
        done: Done,
        make: impl FnOnce(&mut shared::State) -> Result<Op, WalError>,
    ) -> Result<(), (Done, WalError)> {
        let mut state = self.shared.lock();
        match &self.driver {
            // A callback that calls the log must not wait for the thread it runs on.
            Driver::Threads { writer_id, .. } => {
                if std::thread::current().id() != *writer_id {
                    self.shared.wait_for_room(&mut state, bytes);
                }
            }
            Driver::Stepped { .. } => {
                while self.shared.is_full(&state, bytes) {
                    drop(state);
                    self.step();
                    state = self.shared.lock();
                }
            }
        }
        let fits = if bytes > APPEND_BYTES_MAX {
            Err(WalError::Refused(format!("to take {bytes} bytes at once; the most is {APPEND_BYTES_MAX}")))
        } else {
            state.usable()
        };
        let op = match fits.and_then(|()| make(&mut state)) {
            Ok(op) => op,
            Err(error) => return Err((done, error)),
        };
        let last_seq = state.last_seq();
        state.queue.push_back(Job { op, bytes, done, last_seq });
        state.queue_bytes += bytes;
        self.shared.ring(&state);
        drop(state);
        if let Driver::Stepped { wake, .. } = &self.driver {
            wake();
        }
        Ok(())
    }

    fn shut(&mut self) {
        self.shared.close();
        if let Driver::Threads { writer, spares, writer_id } = &mut self.driver {
            // The last owner may be a callback; the writer thread then ends by itself when the callback returns.
            let joinable = std::thread::current().id() != *writer_id;
            if let Some(handle) = writer.take()
                && joinable
            {
                // A panic of the writer was answered by its guard.
                handle.join().ok();
            }
            self.spares.stop();
            if let Some(handle) = spares.take() {
                handle.join().ok();
            }
        }
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        if let Driver::Threads { .. } = self.driver {
            self.shut();
        }
    }
}
