//! Reading the log back after a stop of any kind.
//!
//! Rule: never guess. Either the files say what the log was, up to a tail that was certainly never acknowledged, or
//! opening fails with a sentence and changes nothing on disk.
//!
//! ```text
//! youngest segment ──previous──▶ older ──previous──▶ … until the first, or until one that was purged and removed
//! replay from the oldest: sealed segments must read intact to the end that their successor states;
//! in the youngest the first unreadable place is the end, unless a frame of a later batch stands behind it
//! ```
//!
//! The cut is made durable by the next segment, which states where this one ends; nothing is overwritten. Segments
//! off the chain were purged, or were begun and never used.
//!
//! What cannot be told from a torn tail: damage inside the very last batch.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::error::WalError;
use super::positions::{Position, Positions};
use super::record::{
    ALIGN_BYTES, FORMAT_VERSION, Frame, HEADER_BYTES, HeaderFault, Kind, SegmentHeader, claimed_bytes, decode,
    frame_bytes,
};
use super::segment::{Name, Segment, Standing, parse_name, segment_name};
use crate::file::FileSystem;

/// Everything the files say.
pub(crate) struct Replay {
    pub(crate) standing: Standing,
    pub(crate) positions: Positions,
    /// Index and term of the last live entry.
    pub(crate) last: Option<(u64, u64)>,
    pub(crate) cut_bytes: u64,
    /// The chain, oldest first.
    pub(crate) segments: BTreeMap<u64, Arc<Segment>>,
    /// Where the frames of the youngest segment end.
    pub(crate) end: u64,
    /// The youngest segment's header if nothing but its preamble was ever written to it: its successor can replace it.
    pub(crate) replaceable: Option<SegmentHeader>,
    /// Higher than every batch number that counts.
    pub(crate) next_batch: u64,
    /// Higher than every segment id on disk.
    pub(crate) next_segment: u64,
}

/// Reads the log in `dir`; `None` if there is none yet. Changes nothing.
pub(crate) fn replay(fs: &dyn FileSystem, dir: &Path) -> Result<(Option<Replay>, Vec<String>), WalError> {
    let names = fs.list(dir).map_err(|error| WalError::io("list", dir, error))?;
    let mut ids = Vec::new();
    let mut leftovers = Vec::new();
    for name in names {
        match parse_name(&name) {
            Name::Segment(id) => ids.push(id),
            Name::Spare => leftovers.push(name),
            Name::Foreign => {}
        }
    }
    ids.sort_unstable();
    let Some(&youngest) = ids.last() else {
        return Ok((None, leftovers));
    };
    let chain = read_chain(fs, dir, &ids)?;
    leftovers
        .extend(ids.iter().filter(|id| !chain.iter().any(|(_, header)| header.id == **id)).map(|id| segment_name(*id)));
    let mut replay = Replay {
        standing: Standing::default(),
        positions: Positions::starting_at(chain[0].1.next_index),
        last: None,
        cut_bytes: 0,
        segments: BTreeMap::new(),
        end: 0,
        replaceable: None,
        next_batch: 0,
        next_segment: youngest
            .checked_add(1)
            .ok_or_else(|| corrupt(&dir.join(segment_name(youngest)), 0, "segment ids have run out"))?,
    };
    let oldest = chain[0].1.clone();
    let ends: Vec<Option<u64>> =
        chain.iter().skip(1).map(|(_, header)| Some(header.previous_end)).chain([None]).collect();
    for ((segment, header), end) in chain.into_iter().zip(ends) {
        replay.segment(segment, &header, end)?;
    }
    replay.check_complete(dir, &oldest)?;
    replay.find_last()?;
    Ok((Some(replay), leftovers))
}

/// Follows the links back from the youngest segment. Oldest first.
fn read_chain(fs: &dyn FileSystem, dir: &Path, ids: &[u64]) -> Result<Vec<(Segment, SegmentHeader)>, WalError> {
    let mut chain = Vec::new();
    let mut next = ids.last().copied();
    while let Some(id) = next {
        let (segment, header) = open_segment(fs, dir, id)?;
        let previous = header.previous_id;
        if previous >= id {
            return Err(corrupt(&segment.path, 24, "a segment names an older one before it"));
        }
        chain.push((segment, header));
        next = ids.binary_search(&previous).ok().map(|at| ids[at]);
    }
    chain.reverse();
    Ok(chain)
}

fn open_segment(fs: &dyn FileSystem, dir: &Path, id: u64) -> Result<(Segment, SegmentHeader), WalError> {
    let path = dir.join(segment_name(id));
    let file = fs.open(&path).map_err(|error| WalError::io("open", &path, error))?;
    let bytes = file.len().map_err(|error| WalError::io("read the length of", &path, error))?;
    let mut head = [0; HEADER_BYTES];
    if bytes < HEADER_BYTES as u64 {
        return Err(corrupt(&path, 0, "the file is shorter than its header"));
    }
    file.read_at(0, &mut head).map_err(|error| WalError::io("read", &path, error))?;
    let header = match SegmentHeader::decode(&head) {
        Ok(header) => header,
        Err(HeaderFault::Damaged) => {
            return Err(corrupt(&path, 0, "the segment's header does not validate"));
        }
        Err(HeaderFault::Version(version)) => {
            return Err(WalError::UnknownFormat { file: path, version, supported: FORMAT_VERSION });
        }
    };
    if header.id != id {
        return Err(corrupt(&path, 16, &format!("the header belongs to segment {:016x}", header.id)));
    }
    if header.preamble_end < HEADER_BYTES as u64 || header.preamble_end > bytes {
        return Err(corrupt(&path, 56, "the preamble ends outside the file"));
    }
    let segment = Segment { id, path, file, bytes };
    Ok((segment, header))
}

impl Replay {
    /// Replays one segment; `sealed` is where its successor says it ends.
    fn segment(&mut self, segment: Segment, header: &SegmentHeader, sealed: Option<u64>) -> Result<(), WalError> {
        let limit = sealed.unwrap_or(segment.bytes);
        if limit < header.preamble_end || limit > segment.bytes {
            return Err(corrupt(
                &segment.path,
                segment.bytes.min(limit),
                &format!("the next segment says that this one has {limit} bytes"),
            ));
        }
        if header.next_index != self.positions.next() {
            return Err(corrupt(
                &segment.path,
                40,
                &format!(
                    "the segment begins at entry {}, the one before ends at {}",
                    header.next_index,
                    self.positions.next()
                ),
            ));
        }
        let length =
            usize::try_from(limit).map_err(|_| corrupt(&segment.path, 0, "the file does not fit into memory"))?;
        let mut bytes = vec![0; length];
        segment.file.read_at(0, &mut bytes).map_err(|error| WalError::io("read", &segment.path, error))?;

        let mut at = HEADER_BYTES as u64;
        let mut batch = header.batch;
        let mut batch_start = at;
        while at < limit {
            let rest = &bytes[at as usize..];
            let Some(frame) = decode(rest, segment.id, at, batch) else {
                break;
            };
            let fits = if frame.batch == batch { frame.batch_start == batch_start } else { frame.batch_start == at };
            if !fits {
                return Err(corrupt(&segment.path, at, "a frame stands outside its batch"));
            }
            batch = frame.batch;
            batch_start = frame.batch_start;
            self.frame(&segment, at, &frame).map_err(|what| corrupt(&segment.path, at, &what))?;
            at += frame_bytes(frame.payload.len()) as u64;
        }
        if at < header.preamble_end {
            return Err(corrupt(&segment.path, at, "the preamble does not validate"));
        }
        if sealed.is_some_and(|end| at != end) {
            return Err(corrupt(&segment.path, at, "a synced record does not validate"));
        }
        if sealed.is_none() {
            self.cut_bytes = torn_tail(&bytes, &segment, at, batch)? - at;
            self.next_batch = batch + 1;
            self.replaceable = (batch == header.batch).then(|| header.clone());
            self.end = at;
        }
        self.segments.insert(segment.id, Arc::new(segment));
        Ok(())
    }

    fn frame(&mut self, segment: &Segment, at: u64, frame: &Frame<'_>) -> Result<(), String> {
        match frame.kind {
            Kind::Entry => {
                let next = self.positions.next();
                let untouched = next == 0 && self.standing.purged.is_none();
                if frame.index == u64::MAX || (frame.index != next && !untouched) {
                    return Err(format!("entry {} stands where entry {next} comes next", frame.index));
                }
                let position = Position::new(segment.id, at, frame.payload.len() as u32);
                self.positions.push(frame.index, position);
            }
            Kind::Vote => self.standing.vote = Some(Bytes::copy_from_slice(frame.payload)),
            Kind::Committed => {
                self.standing.committed = Some(Bytes::copy_from_slice(frame.payload));
            }
            Kind::Truncate => {
                if frame.index < self.positions.next() {
                    self.positions.truncate_from(frame.index);
                }
            }
            Kind::Purge => {
                if frame.index == u64::MAX {
                    return Err("a purge marker without an end".to_string());
                }
                self.positions.purge_through(frame.index);
                if self.standing.purged.is_none_or(|(index, _)| index < frame.index) {
                    self.standing.purged = Some((frame.index, frame.term));
                }
            }
        }
        Ok(())
    }

    /// The chain must reach back to the first entry that was not purged.
    fn check_complete(&self, dir: &Path, oldest: &SegmentHeader) -> Result<(), WalError> {
        let first_needed = self.standing.purged.map_or(0, |(index, _)| index + 1);
        if oldest.previous_id == 0 || self.positions.first() <= first_needed {
            return Ok(());
        }
        Err(corrupt(
            &dir.join(segment_name(oldest.previous_id)),
            0,
            &format!("the file is missing, and with it entries {first_needed} to {}", self.positions.first() - 1),
        ))
    }

    fn find_last(&mut self) -> Result<(), WalError> {
        let Some(position) = self.positions.last() else {
            return Ok(());
        };
        let segment = &self.segments[&position.segment];
        let mut bytes = vec![0; position.frame_bytes()];
        segment
            .file
            .read_at(position.offset(), &mut bytes)
            .map_err(|error| WalError::io("read", &segment.path, error))?;
        let frame = decode(&bytes, segment.id, position.offset(), 0)
            .ok_or_else(|| corrupt(&segment.path, position.offset(), "a record changed while it was read"))?;
        self.last = Some((frame.index, frame.term));
        Ok(())
    }
}

/// Looks behind the first unreadable place `at` of the youngest segment. `batch` is the last good batch. Returns where
/// what is left of the torn batch ends: `at` itself if nothing of it is recognisable.
fn torn_tail(bytes: &[u8], segment: &Segment, at: u64, batch: u64) -> Result<u64, WalError> {
    let mut end = at;
    let mut here = at;
    while (here as usize) < bytes.len() {
        let Some(frame) = decode(&bytes[here as usize..], segment.id, here, batch) else {
            here += ALIGN_BYTES as u64;
            continue;
        };
        if frame.batch_start > at {
            return Err(corrupt(
                &segment.path,
                at,
                &format!("a synced record does not validate, but later ones do, at offset {here}"),
            ));
        }
        here += frame_bytes(frame.payload.len()) as u64;
        end = here;
    }
    if end == at {
        let rest = &bytes[at as usize..];
        let claimed = claimed_bytes(rest, at, batch).unwrap_or(0);
        end += claimed.min(rest.len() as u64);
    }
    Ok(end)
}

fn corrupt(file: &Path, offset: u64, what: &str) -> WalError {
    WalError::Corrupt { file: file.to_path_buf(), offset, what: what.to_string() }
}
