//! One file of the log, from its making to its first frame.
//!
//! Rule: a file gets its log name only after its header and preamble are durable, and nothing is written behind them
//! before that name is durable. So a file with a log name always has a good header, or it is damaged.
//!
//! The preamble repeats what must outlive older segments: the purge marker, the vote, the committed position.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::WalError;
use super::record::{Frame, HEADER_BYTES, Kind, SegmentHeader, encode};
use crate::file::{FileSystem, LogFile};

/// The ending of files that are part of the log.
const LOG_ENDING: &str = ".wal";
/// The ending of files that hold nothing: prepared, being prepared, or waiting for a second life.
const SPARE_ENDING: &str = ".spare";
/// Files end at multiples of this.
const BLOCK_BYTES: u64 = 4096;
/// The unit in which a new file is filled with zeros: small, so that nobody waits long behind its sync.
const FILL_BYTES: usize = 1 << 20;

/// An open segment.
pub(crate) struct Segment {
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn LogFile>,
    /// The file's length in bytes.
    pub(crate) bytes: u64,
}

/// A file that is ready to become a segment.
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn LogFile>,
    pub(crate) bytes: u64,
}

/// What a new segment repeats of the log before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) vote: Option<Bytes>,
    pub(crate) committed: Option<Bytes>,
    /// Index and term.
    pub(crate) purged: Option<(u64, u64)>,
}

/// What a name in the log's directory means.
pub(crate) enum Name {
    Segment(u64),
    Spare,
    Foreign,
}

pub(crate) fn parse_name(name: &str) -> Name {
    if let Some(id) = name.strip_suffix(LOG_ENDING)
        && id.len() == 16
        && let Ok(id) = u64::from_str_radix(id, 16)
        && segment_name(id) == name
    {
        return Name::Segment(id);
    }
    if name.ends_with(SPARE_ENDING) {
        return Name::Spare;
    }
    Name::Foreign
}

pub(crate) fn segment_name(id: u64) -> String {
    format!("{id:016x}{LOG_ENDING}")
}

/// `kind` and `number` make the name unique among spares: they come from a segment's id or a counter.
pub(crate) fn spare_name(kind: &str, number: u64) -> String {
    format!("{kind}-{number:016x}{SPARE_ENDING}")
}

/// Makes a file of at least `bytes` with its space reserved. Its name is not durable yet.
pub(crate) fn make_spare(fs: &dyn FileSystem, path: PathBuf, bytes: u64) -> Result<Spare, WalError> {
    let bytes = bytes.next_multiple_of(BLOCK_BYTES);
    let file = fs.create(&path).map_err(|error| WalError::stopped("create", &path, &error))?;
    file.allocate(bytes).map_err(|error| WalError::stopped("reserve space for", &path, &error))?;
    Ok(Spare { path, file, bytes })
}

/// Fills `spare` with synced zeros, so that later syncs write data only and no file system metadata. `keep_going` is
/// asked between the pieces; returns whether the end was reached.
pub(crate) fn fill_with_zeros(spare: &Spare, mut keep_going: impl FnMut() -> bool) -> Result<bool, WalError> {
    let zeros = vec![0; FILL_BYTES.min(usize::try_from(spare.bytes).unwrap_or(FILL_BYTES))];
    let mut at = 0;
    while at < spare.bytes {
        if !keep_going() {
            return Ok(false);
        }
        let piece = (spare.bytes - at).min(zeros.len() as u64);
        spare
            .file
            .write_at(at, &zeros[..piece as usize])
            .and_then(|()| spare.file.sync_data())
            .map_err(|error| WalError::stopped("prepare", &spare.path, &error))?;
        at += piece;
    }
    Ok(true)
}

/// The header and preamble of a new segment. `header.preamble_end` is filled in here.
pub(crate) fn opening_bytes(header: &SegmentHeader, standing: &Standing) -> Vec<u8> {
    let mut buf = vec![0; HEADER_BYTES];
    let mut put = |kind, index, term, payload: &[u8]| {
        let frame = Frame { kind, batch: header.batch, batch_start: HEADER_BYTES as u64, index, term, payload };
        encode(&mut buf, header.id, 0, &frame);
    };
    if let Some((index, term)) = standing.purged {
        put(Kind::Purge, index, term, &[]);
    }
    if let Some(vote) = &standing.vote {
        put(Kind::Vote, 0, 0, vote);
    }
    if let Some(committed) = &standing.committed {
        put(Kind::Committed, 0, 0, committed);
    }
    let header = SegmentHeader { preamble_end: buf.len() as u64, ..header.clone() };
    buf[..HEADER_BYTES].copy_from_slice(&header.encode());
    buf
}

/// Turns `spare` into the segment that begins with `opening` (see [`opening_bytes`]) and makes that durable.
pub(crate) fn activate(
    fs: &dyn FileSystem,
    dir: &Path,
    spare: Spare,
    id: u64,
    opening: &[u8],
    sync: bool,
) -> Result<Segment, WalError> {
    let path = dir.join(segment_name(id));
    spare.file.write_at(0, opening).map_err(|error| WalError::stopped("write", &spare.path, &error))?;
    if sync {
        spare.file.sync_data().map_err(|error| WalError::stopped("sync", &spare.path, &error))?;
    }
    fs.rename(&spare.path, &path).map_err(|error| WalError::stopped("rename a prepared file to", &path, &error))?;
    if sync {
        fs.sync_dir(dir).map_err(|error| WalError::stopped("sync the directory", dir, &error))?;
    }
    Ok(Segment { id, path, file: spare.file, bytes: spare.bytes })
}
