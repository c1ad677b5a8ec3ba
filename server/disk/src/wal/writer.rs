//! The one place that writes the log: a round takes what waits, writes it with one write and one sync, and answers.
//!
//! Rule: a callback says `Ok` only after the sync that covers it, and callbacks are answered in the order of their
//! calls. The first failed write or sync is the last thing the log does: nothing is retried, because after a failed
//! sync nobody knows what the disk holds.
//!
//! While a round is on the disk the next one collects; an idle writer starts at once. There is no timer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::error::WalError;
use super::positions::Position;
use super::record::{Frame, Kind, SegmentHeader, encode, frame_bytes};
use super::segment::{Segment, Spare, Standing, activate, opening_bytes};
use super::shared::{Job, Op, Shared, Work};
use super::spares::Spares;
use super::{Done, SyncPolicy, WalOptions};
use crate::file::FileSystem;

/// After a batch this many times larger than usual its buffer is given back.
const BUFFER_KEEP_FACTOR: usize = 4;

pub(crate) struct Writer {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) dir: PathBuf,
    pub(crate) options: WalOptions,
    pub(crate) shared: Arc<Shared>,
    pub(crate) spares: Arc<Spares>,
    pub(crate) active: Arc<Segment>,
    /// Where the next frame goes in the active segment.
    pub(crate) end: u64,
    pub(crate) next_batch: u64,
    /// The index of the next entry, as written so far.
    pub(crate) next_index: u64,
    /// What the next segment's preamble must repeat, as written so far.
    pub(crate) standing: Standing,
    pub(crate) buffer: Vec<u8>,
}

/// The answers of one round; given after every lock is released.
pub(crate) struct Answers(Vec<(Done, Result<(), WalError>)>);

impl Answers {
    pub(crate) fn give(self) {
        for (done, result) in self.0 {
            done(result);
        }
    }
}

/// What a durable batch changes.
struct Batch {
    bytes: usize,
    changes: Vec<Change>,
    synced: Option<Duration>,
}

/// A change of the positions.
enum Change {
    Push(u64, Position),
    Truncate(u64),
    Purge(u64),
}

impl Writer {
    /// Writes, syncs and enters one round of work.
    pub(crate) fn round(&mut self, work: Work) -> Answers {
        match self.write(&work) {
            Ok(batch) => {
                // Entered before it is answered: a callback that reads finds the log where the answer says it is.
                let freed = self.enter(&work, batch);
                let answers = work.jobs.into_iter().map(|job| (job.done, Ok(()))).collect();
                self.spares.retire(freed);
                Answers(answers)
            }
            Err(error) => {
                tracing::error!(%error, "the log stops");
                let waiting = self.shared.fail(&error);
                let dones = work.jobs.into_iter().map(|job| job.done).chain(waiting);
                Answers(dones.map(|done| (done, Err(error.clone()))).collect())
            }
        }
    }

    fn write(&mut self, work: &Work) -> Result<Batch, WalError> {
        let committed_bytes = work.committed.as_ref().map_or(0, |committed| frame_bytes(committed.len()));
        let bytes = work.jobs.iter().map(|job| job.bytes).sum::<usize>() + committed_bytes;
        if self.end + bytes as u64 > self.active.bytes {
            self.begin_segment(bytes as u64)?;
        }
        let mut changes = Vec::new();
        self.buffer.clear();
        self.buffer.reserve(bytes);
        for job in &work.jobs {
            self.encode_job(job, &mut changes);
        }
        if let Some(committed) = &work.committed {
            self.encode(Kind::Committed, 0, 0, committed);
            self.standing.committed = Some(committed.clone());
        }
        debug_assert_eq!(bytes, self.buffer.len(), "jobs know their length");
        let synced = self.write_buffer()?;
        self.end += bytes as u64;
        self.next_batch += 1;
        if self.buffer.capacity() > self.options.batch_bytes_max.saturating_mul(BUFFER_KEEP_FACTOR) {
            self.buffer = Vec::new();
        }
        Ok(Batch { bytes, changes, synced })
    }

    /// Returns how long the sync took, if there was one.
    fn write_buffer(&self) -> Result<Option<Duration>, WalError> {
        let started = Instant::now();
        self.active
            .file
            .write_at(self.end, &self.buffer)
            .map_err(|error| WalError::stopped("write", &self.active.path, &error))?;
        let wrote = Instant::now();
        if let Some(observer) = &self.options.observer {
            observer.wrote(self.buffer.len(), wrote - started);
        }
        if self.options.sync == SyncPolicy::Never {
            return Ok(None);
        }
        self.active.file.sync_data().map_err(|error| WalError::stopped("sync", &self.active.path, &error))?;
        let took = wrote.elapsed();
        if let Some(observer) = &self.options.observer {
            observer.synced(took);
        }
        Ok(Some(took))
    }

    fn encode_job(&mut self, job: &Job, changes: &mut Vec<Change>) {
        match &job.op {
            Op::Append(records) => {
                changes.reserve(records.len());
                for record in records {
                    let offset = self.end + self.buffer.len() as u64;
                    let length = record.payload.len() as u32;
                    changes.push(Change::Push(record.index, Position::new(self.active.id, offset, length)));
                    self.encode(Kind::Entry, record.index, record.term, &record.payload);
                    self.next_index = record.index + 1;
                }
            }
            Op::Vote(vote) => {
                self.encode(Kind::Vote, 0, 0, vote);
                self.standing.vote = Some(vote.clone());
            }
            Op::Truncate(index) => {
                self.encode(Kind::Truncate, *index, 0, &Bytes::new());
                self.next_index = self.next_index.min(*index);
                changes.push(Change::Truncate(*index));
            }
            Op::Purge(index, term) => {
                self.encode(Kind::Purge, *index, *term, &Bytes::new());
                self.next_index = self.next_index.max(index + 1);
                if self.standing.purged.is_none_or(|(purged, _)| purged < *index) {
                    self.standing.purged = Some((*index, *term));
                }
                changes.push(Change::Purge(*index));
            }
        }
    }

    fn encode(&mut self, kind: Kind, index: u64, term: u64, payload: &Bytes) {
        let frame = Frame { kind, batch: self.next_batch, batch_start: self.end, index, term, payload };
        encode(&mut self.buffer, self.active.id, self.end, &frame);
    }

    /// Enters a durable round: positions, metrics, memory. Returns the segments nobody needs any more.
    fn enter(&self, work: &Work, batch: Batch) -> Vec<Arc<Segment>> {
        let mut state = self.shared.lock();
        let mut purged = false;
        for change in batch.changes {
            match change {
                Change::Push(index, position) => state.positions.push(index, position),
                Change::Truncate(index) => state.positions.truncate_from(index),
                Change::Purge(index) => {
                    state.positions.purge_through(index);
                    purged = true;
                }
            }
        }
        if let Some(job) = work.jobs.last() {
            self.shared.written(&mut state, job.last_seq);
        }
        state.count_batch(batch.bytes, batch.synced);
        state.busy_since = None;
        if purged { state.free_segments() } else { Vec::new() }
    }

    /// Seals the active segment and begins one with room for `batch_bytes`.
    fn begin_segment(&mut self, batch_bytes: u64) -> Result<(), WalError> {
        let header = SegmentHeader {
            id: self.active.id + 1,
            previous_id: self.active.id,
            previous_end: self.end,
            next_index: self.next_index,
            batch: self.next_batch,
            preamble_end: 0,
        };
        let opening = opening_bytes(&header, &self.standing);
        let bytes = opening.len() as u64 + batch_bytes;
        let spare: Spare = match self.spares.take(bytes) {
            Some(spare) => spare,
            None => self.spares.make_now(header.id, bytes)?,
        };
        let sync = self.options.sync == SyncPolicy::Fsync;
        let segment = activate(&*self.fs, &self.dir, spare, header.id, &opening, sync)?;
        self.active = Arc::new(segment);
        self.end = opening.len() as u64;
        self.next_batch += 1;
        let mut state = self.shared.lock();
        state.segments.insert(header.id, self.active.clone());
        Ok(())
    }
}

/// The writer thread.
pub(crate) fn run(mut writer: Writer) {
    let guard = StopOnPanic(writer.shared.clone());
    while let Some(work) = writer.shared.wait_for_work(writer.options.batch_bytes_max) {
        writer.round(work).give();
    }
    drop(guard);
}

/// A panicking callback must not leave callers waiting for a thread that is gone.
struct StopOnPanic(Arc<Shared>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = WalError::Failed("the log's writer thread panicked; this member stops".into());
            for done in self.0.fail(&error) {
                done(Err(error.clone()));
            }
        }
    }
}
