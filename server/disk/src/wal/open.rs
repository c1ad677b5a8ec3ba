//! From files to an open log.
//!
//! Rule: nothing on disk changes until everything was read and found good. Then, in this order: leftovers are removed,
//! what was found is made durable, and a new segment that states where the old one ends is begun.
//!
//! Every opening begins a segment, so that no file is ever continued: a torn tail needs no overwriting, and stale bytes
//! behind an end can never become part of the log. It is short at first, so that opening does not wait for 64 MiB of zeros.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::WalError;
use super::positions::Positions;
use super::record::SegmentHeader;
use super::recover::{Replay, replay};
use super::segment::{
    Segment, Standing, activate, fill_with_zeros, make_spare, opening_bytes, segment_name, spare_name,
};
use super::shared::{Shared, State};
use super::spares::Spares;
use super::writer::{self, Writer};
use super::{Driver, Recovered, SyncPolicy, Wal, WalOptions};
use crate::file::FileSystem;

/// The length of the segment begun at opening. It is filled with zeros while the caller waits (2 to 5 ms).
const FIRST_SEGMENT_BYTES: u64 = 4 << 20;

const SEGMENT_BYTES_MIN: u64 = 4 << 10;
/// Frames address their batch in 32 GiB; a segment may exceed this by one append.
const SEGMENT_BYTES_MAX: u64 = 16 << 30;

impl Wal {
    /// Opens the log in `dir`, or begins one, and starts its threads. Nobody else may have it open (see [`crate::lock`]).
    pub fn open(fs: Arc<dyn FileSystem>, dir: &Path, options: WalOptions) -> Result<(Wal, Recovered), WalError> {
        let (writer, recovered) = open_writer(fs, dir, options)?;
        let shared = writer.shared.clone();
        let spares = writer.spares.clone();
        let helper = spares.start()?;
        let thread = std::thread::Builder::new()
            .name("wal-writer".to_string())
            .spawn(move || writer::run(writer))
            .map_err(|error| {
                spares.stop();
                WalError::io("start the writer thread of", dir, error)
            })?;
        let driver = Driver::Threads { writer_id: thread.thread().id(), writer: Some(thread), spares: Some(helper) };
        let wal = Wal { shared, spares, driver };
        Ok((wal, recovered))
    }

    /// Opens the log without threads, for a simulator: nothing is written until [`Wal::step`] is called, which `wake`
    /// asks for whenever work arrives. A full queue steps by itself.
    pub fn open_stepped(
        fs: Arc<dyn FileSystem>,
        dir: &Path,
        options: WalOptions,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<(Wal, Recovered), WalError> {
        let batch_bytes_max = options.batch_bytes_max;
        let (writer, recovered) = open_writer(fs, dir, options)?;
        let wal = Wal {
            shared: writer.shared.clone(),
            spares: writer.spares.clone(),
            driver: Driver::Stepped { writer: Box::new(Mutex::new(writer)), batch_bytes_max, wake },
        };
        Ok((wal, recovered))
    }
}

fn open_writer(fs: Arc<dyn FileSystem>, dir: &Path, mut options: WalOptions) -> Result<(Writer, Recovered), WalError> {
    options.segment_bytes = options.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
    fs.create_dir_all(dir).map_err(|error| WalError::io("create the directory", dir, error))?;
    let (found, leftovers) = replay(&*fs, dir)?;
    let mut found = found.unwrap_or_else(nothing);
    sweep(&*fs, dir, &leftovers)?;
    let sync = options.sync == SyncPolicy::Fsync;
    let sealed = found.segments.last_key_value().map(|(_, s)| s.clone());
    if let Some(sealed) = &sealed
        && sync
    {
        // What was read may so far exist in memory only; from here on it counts as durable.
        sealed.file.sync_data().map_err(|error| WalError::io("sync", &sealed.path, error))?;
    }
    let recovered = found.recovered();
    let mut segments = std::mem::take(&mut found.segments);
    let (previous_id, previous_end) = match (&found.replaceable, &sealed) {
        (Some(header), _) => (header.previous_id, header.previous_end),
        (None, Some(sealed)) => (sealed.id, found.end),
        (None, None) => (0, 0),
    };
    let header = SegmentHeader {
        id: found.next_segment,
        previous_id,
        previous_end,
        next_index: found.positions.next(),
        batch: found.next_batch,
        preamble_end: 0,
    };
    let (active, end) = begin(&*fs, dir, &header, &found.standing, &options)?;
    if let Some(sealed) = sealed {
        if found.replaceable.is_some() {
            segments.remove(&sealed.id);
            sweep(&*fs, dir, &[segment_name(sealed.id)])?;
        } else if let Err(error) = sealed.file.set_len(found.end) {
            // The rest of the file is not part of the log any more; it only takes space.
            tracing::warn!(%error, file = %sealed.path.display(), "could not shorten a sealed log file");
        }
    }
    let active = Arc::new(active);
    segments.insert(active.id, active.clone());
    let next_index = found.positions.next();
    let mut state = State::new(recovered.first_index, recovered.purged, found.positions, segments);
    // A crash between a purge marker and its consequences leaves them to do.
    let freed = match recovered.purged {
        Some(_) => state.free_segments(),
        None => Vec::new(),
    };
    let spares = Spares::new(fs.clone(), dir.to_path_buf(), options.segment_bytes, options.spare_segments);
    spares.retire(freed);
    let writer = Writer {
        shared: Arc::new(Shared::new(state, options.queue_bytes_max, options.tail_bytes_max)),
        spares,
        fs,
        dir: dir.to_path_buf(),
        active,
        end,
        next_batch: header.batch + 1,
        next_index,
        standing: found.standing,
        buffer: Vec::new(),
        options,
    };
    Ok((writer, recovered))
}

/// A log that does not exist yet.
fn nothing() -> Replay {
    Replay {
        standing: Standing::default(),
        positions: Positions::default(),
        last: None,
        cut_bytes: 0,
        segments: BTreeMap::new(),
        end: 0,
        replaceable: None,
        next_batch: 1,
        next_segment: 1,
    }
}

impl Replay {
    fn recovered(&self) -> Recovered {
        Recovered {
            vote: self.standing.vote.clone(),
            committed: self.standing.committed.clone(),
            purged: self.standing.purged,
            first_index: match self.standing.purged {
                Some((index, _)) => index + 1,
                None => self.positions.first(),
            },
            last: self.last,
            cut_bytes: self.cut_bytes,
        }
    }
}

/// Begins the segment `header` describes. Returns it and where its first batch goes.
fn begin(
    fs: &dyn FileSystem,
    dir: &Path,
    header: &SegmentHeader,
    standing: &Standing,
    options: &WalOptions,
) -> Result<(Segment, u64), WalError> {
    let opening = opening_bytes(header, standing);
    let bytes = options.segment_bytes.min(FIRST_SEGMENT_BYTES).max(opening.len() as u64);
    let spare = make_spare(fs, dir.join(spare_name("open", header.id)), bytes)?;
    fill_with_zeros(&spare, || true)?;
    let sync = options.sync == SyncPolicy::Fsync;
    let segment = activate(fs, dir, spare, header.id, &opening, sync)?;
    Ok((segment, opening.len() as u64))
}

/// Removes files that hold nothing. Spares go too instead of being used: nobody knows how far they were prepared, and
/// one may hold bytes written under an id that never became part of the log and is about to be used again.
fn sweep(fs: &dyn FileSystem, dir: &Path, names: &[String]) -> Result<(), WalError> {
    for name in names {
        let path = dir.join(name);
        fs.remove(&path).map_err(|error| WalError::io("remove", &path, error))?;
    }
    Ok(())
}
