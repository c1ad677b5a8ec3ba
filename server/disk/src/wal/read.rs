//! Reading entries back while the log lives.
//!
//! Rule: what is read is checked: a frame from disk counts only if it validates in its place. No lock is held while
//! the disk is read; a segment that is retired meanwhile stays readable, because it is reused only when nobody holds it.

use std::sync::Arc;

use bytes::Bytes;

use super::error::WalError;
use super::positions::Position;
use super::record::{FRAME_BYTES, decode, frame_bytes};
use super::segment::Segment;
use super::{LogRecord, Wal};

/// Neighbouring frames are fetched together up to this length.
const RUN_BYTES_MAX: usize = 1 << 20;

/// Neighbouring frames of one segment.
struct Run {
    segment: Arc<Segment>,
    first_index: u64,
    frames: Vec<Position>,
    bytes: usize,
}

impl Wal {
    /// The entries `from..to_exclusive` as far as they are in the log, in order and without holes, until they take more
    /// than `bytes_max` on disk; at least one if there is any. Purged entries are left out, so the first record may be
    /// later than `from`.
    pub fn read(&self, from: u64, to_exclusive: u64, bytes_max: usize) -> Result<Vec<LogRecord>, WalError> {
        let mut runs: Vec<Run> = Vec::new();
        let mut recent = Vec::new();
        {
            let state = self.shared.lock();
            state.usable()?;
            let mut bytes = 0usize;
            for index in from.max(state.first_index)..to_exclusive.min(state.next_index) {
                let length = if index < state.tail_first() {
                    let position = state.positions.get(index).expect("below the tail every live entry has a position");
                    if bytes > 0 && bytes + position.frame_bytes() > bytes_max {
                        break;
                    }
                    plan(&mut runs, index, position, &state.segments);
                    position.frame_bytes()
                } else {
                    let record = state.tail_record(index).expect("the tail reaches to the end of the log");
                    let length = frame_bytes(record.payload.len());
                    if bytes > 0 && bytes + length > bytes_max {
                        break;
                    }
                    recent.push(record);
                    length
                };
                bytes += length;
            }
        }
        let mut records = Vec::with_capacity(runs.iter().map(|run| run.frames.len()).sum::<usize>() + recent.len());
        for run in runs {
            run.fetch(&mut records)?;
        }
        records.append(&mut recent);
        Ok(records)
    }
}

fn plan(runs: &mut Vec<Run>, index: u64, position: Position, segments: &std::collections::BTreeMap<u64, Arc<Segment>>) {
    if let Some(run) = runs.last_mut()
        && run.continues_at(position)
    {
        run.bytes += position.frame_bytes();
        run.frames.push(position);
        return;
    }
    let segment = segments.get(&position.segment).expect("a segment is freed only when no position points into it");
    runs.push(Run {
        segment: segment.clone(),
        first_index: index,
        frames: vec![position],
        bytes: position.frame_bytes(),
    });
}

impl Run {
    fn start(&self) -> u64 {
        self.frames[0].offset()
    }

    fn continues_at(&self, position: Position) -> bool {
        position.segment == self.segment.id
            && position.offset() == self.start() + self.bytes as u64
            && self.bytes + position.frame_bytes() <= RUN_BYTES_MAX
    }

    fn fetch(self, records: &mut Vec<LogRecord>) -> Result<(), WalError> {
        let mut buf = vec![0; self.bytes];
        self.segment
            .file
            .read_at(self.start(), &mut buf)
            .map_err(|error| WalError::io("read", &self.segment.path, error))?;
        // The payloads share the one buffer instead of being copied out of it.
        let buf = Bytes::from(buf);
        let mut at = 0;
        for (index, position) in (self.first_index..).zip(&self.frames) {
            let frame = decode(&buf[at..], self.segment.id, position.offset(), 0)
                .filter(|frame| frame.index == index && frame.payload.len() == position.payload_bytes as usize)
                .ok_or_else(|| WalError::Corrupt {
                    file: self.segment.path.clone(),
                    offset: position.offset(),
                    what: format!("entry {index} does not validate"),
                })?;
            let payload = at + FRAME_BYTES..at + FRAME_BYTES + frame.payload.len();
            records.push(LogRecord { index, term: frame.term, payload: buf.slice(payload) });
            at += position.frame_bytes();
        }
        Ok(())
    }
}
