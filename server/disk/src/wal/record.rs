//! The bytes of the log: one header per segment file, then frames.
//!
//! Rule: a frame validates only in the place it was written for. Its checksum is seeded with the segment's id and the
//! frame's offset, and segment ids are never used twice, so bytes left from a file's earlier life never validate.
//! The seed is not the previous frame's checksum: after damage the scan can find later frames again.
//!
//! ```text
//! segment header, 64 bytes                        frame, 40 bytes + payload, padded to 8
//!  0 magic "QRWALSEG"    32 previous end           0 crc of 4.. and payload    16 batch number
//!  8 format version      40 next index             4 payload length            24 index
//! 12 crc of the rest     48 batch number           8 kind (9..12 zero)         32 term
//! 16 segment id          56 preamble end          12 batch start / 8           40 payload
//! 24 previous id
//! ```
//!
//! All numbers are little-endian. *Batch start* is the offset in the same segment of the first frame of the frame's
//! batch. One batch is one sync, and a batch begins only when the one before is durable. So a frame that validates
//! behind unreadable bytes tells what those bytes were: if its batch starts behind them, they had been synced and this
//! is damage; if its batch starts before them, they belong to the same unfinished batch, a torn tail.
//!
//! Left out: compression and encryption. The payload is opaque.

use crc32fast::Hasher;

/// The length of a segment's header in bytes; the first frame starts there.
pub(crate) const HEADER_BYTES: usize = 64;
/// The length of a frame without its payload in bytes.
pub(crate) const FRAME_BYTES: usize = 40;
/// Frames start at multiples of this.
pub(crate) const ALIGN_BYTES: usize = 8;
/// The format this code reads and writes.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"QRWALSEG";

/// What a segment says about itself. Synced before the file gets its name, never rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Ascending, never used twice, never 0.
    pub(crate) id: u64,
    /// The segment before this one; 0 for the first of a log.
    pub(crate) previous_id: u64,
    /// Where the previous segment's frames end: bytes behind it are not part of the log.
    pub(crate) previous_end: u64,
    /// The index the next entry would have had when this segment was begun.
    pub(crate) next_index: u64,
    /// The batch number of the preamble; every batch in this segment has a higher one.
    pub(crate) batch: u64,
    /// Where the preamble (purge marker, vote, committed as of the beginning) ends. It is synced with the header.
    pub(crate) preamble_end: u64,
}

/// Why 64 bytes are not a header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// The checksum does not fit.
    Damaged,
    /// An intact header of another format.
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let fields = [self.id, self.previous_id, self.previous_end, self.next_index, self.batch, self.preamble_end];
        for (slot, field) in bytes[16..].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        let crc = header_crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<SegmentHeader, HeaderFault> {
        // Every format keeps magic, version and the checksum over these 64 bytes, so that a flipped bit in the
        // version is told from a newer version.
        if bytes[0..8] != MAGIC || u32_at(bytes, 12) != header_crc(bytes) {
            return Err(HeaderFault::Damaged);
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Version(version));
        }
        Ok(SegmentHeader {
            id: u64_at(bytes, 16),
            previous_id: u64_at(bytes, 24),
            previous_end: u64_at(bytes, 32),
            next_index: u64_at(bytes, 40),
            batch: u64_at(bytes, 48),
            preamble_end: u64_at(bytes, 56),
        })
    }
}

fn header_crc(bytes: &[u8; HEADER_BYTES]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[0..12]);
    hasher.update(&bytes[16..]);
    hasher.finalize()
}

/// What a frame records. Numbers are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// One log entry: index, term, payload.
    Entry = 1,
    /// The latest vote: payload.
    Vote = 2,
    /// The latest committed position: payload.
    Committed = 3,
    /// Entries from `index` on are gone.
    Truncate = 4,
    /// Entries up to and including `index`, whose term was `term`, are gone.
    Purge = 5,
}

impl Kind {
    fn from_u8(kind: u8) -> Option<Kind> {
        Some(match kind {
            1 => Kind::Entry,
            2 => Kind::Vote,
            3 => Kind::Committed,
            4 => Kind::Truncate,
            5 => Kind::Purge,
            _ => return None,
        })
    }
}

/// One frame, its payload borrowed from where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) batch: u64,
    /// In bytes from the start of the segment; a multiple of [`ALIGN_BYTES`].
    pub(crate) batch_start: u64,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) payload: &'a [u8],
}

/// The bytes a frame with such a payload takes in a segment, padding included.
pub(crate) fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_BYTES + payload_bytes).next_multiple_of(ALIGN_BYTES)
}

/// Appends `frame` to `buf`, whose first byte will lie at `base` in segment `segment`. The payload is below 4 GiB.
pub(crate) fn encode(buf: &mut Vec<u8>, segment: u64, base: u64, frame: &Frame<'_>) {
    let at = buf.len();
    let length = u32::try_from(frame.payload.len()).expect("append refuses larger payloads");
    let batch_start = u32::try_from(frame.batch_start / ALIGN_BYTES as u64).expect("segments end before 32 GiB");
    let mut head = [0; FRAME_BYTES];
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8] = frame.kind as u8;
    head[12..16].copy_from_slice(&batch_start.to_le_bytes());
    head[16..24].copy_from_slice(&frame.batch.to_le_bytes());
    head[24..32].copy_from_slice(&frame.index.to_le_bytes());
    head[32..40].copy_from_slice(&frame.term.to_le_bytes());
    buf.extend_from_slice(&head);
    buf.extend_from_slice(frame.payload);
    let crc = frame_crc(segment, base + at as u64, &buf[at + 4..]);
    buf[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    buf.resize(at + frame_bytes(frame.payload.len()), 0);
}

/// The frame at the start of `bytes`, which lie at `offset` in segment `segment`, if it validates there and its batch
/// number is at least `batch_min`.
pub(crate) fn decode(bytes: &[u8], segment: u64, offset: u64, batch_min: u64) -> Option<Frame<'_>> {
    let head = bytes.get(..FRAME_BYTES)?;
    let kind = Kind::from_u8(head[8])?;
    let batch_start = u64::from(u32_at(head, 12)) * ALIGN_BYTES as u64;
    let batch = u64_at(head, 16);
    // Cheap checks first: a scan over a recycled file tries every eighth byte.
    if head[9..12] != [0; 3] || batch < batch_min || batch_start > offset {
        return None;
    }
    let payload_bytes = u32_at(head, 4) as usize;
    bytes.get(..frame_bytes(payload_bytes))?;
    let body = &bytes[..FRAME_BYTES + payload_bytes];
    if u32_at(head, 0) != frame_crc(segment, offset, &body[4..]) {
        return None;
    }
    Some(Frame {
        kind,
        batch,
        batch_start,
        index: u64_at(head, 24),
        term: u64_at(head, 32),
        payload: &body[FRAME_BYTES..],
    })
}

/// The length that the frame at the start of `bytes` claims although it does not validate, if its head is one that the
/// batch after `batch`, or `batch` itself, could have written at `offset`. For reporting a torn tail, never for reading.
pub(crate) fn claimed_bytes(bytes: &[u8], offset: u64, batch: u64) -> Option<u64> {
    let head = bytes.get(..FRAME_BYTES)?;
    Kind::from_u8(head[8])?;
    let batch_start = u64::from(u32_at(head, 12)) * ALIGN_BYTES as u64;
    let its_batch = u64_at(head, 16);
    let plausible = its_batch >= batch && its_batch - batch <= 1 && batch_start <= offset;
    plausible.then(|| frame_bytes(u32_at(head, 4) as usize) as u64)
}

fn frame_crc(segment: u64, offset: u64, body: &[u8]) -> u32 {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&segment.to_le_bytes());
    seed[8..].copy_from_slice(&offset.to_le_bytes());
    let mut hasher = Hasher::new();
    hasher.update(&seed);
    hasher.update(body);
    hasher.finalize()
}

/// The caller guarantees four bytes at `at`.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The caller guarantees eight bytes at `at`.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> SegmentHeader {
        SegmentHeader { id: 7, previous_id: 6, previous_end: 4096, next_index: 100, batch: 55, preamble_end: 64 }
    }

    #[test]
    fn the_format_is_frozen() {
        // If this fails, files in the field became unreadable: add a version instead.
        let mut buf = header().encode().to_vec();
        let frame = Frame { kind: Kind::Entry, batch: 56, batch_start: 64, index: 100, term: 3, payload: b"hello" };
        encode(&mut buf, 7, 0, &frame);
        let hex: String = buf.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("golden_v1.hex").trim());
    }

    #[test]
    fn a_header_with_any_flipped_bit_is_damaged_and_a_newer_one_is_named() {
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Err(HeaderFault::Damaged), "bit {bit}");
        }
        let mut newer = bytes;
        newer[8] = 2;
        let crc = header_crc(&newer);
        newer[12..16].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&newer), Err(HeaderFault::Version(2)));
    }

    proptest! {
        #[test]
        fn a_frame_validates_only_where_it_was_written(
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            index: u64, term: u64, batch: u64,
            segment in 1..1000u64, units in 8..1000u64, bit: proptest::sample::Index,
        ) {
            let offset = units * 8;
            let frame = Frame { kind: Kind::Entry, batch, batch_start: offset, index, term, payload: &payload };
            let mut buf = Vec::new();
            encode(&mut buf, segment, offset, &frame);
            prop_assert_eq!(buf.len(), frame_bytes(payload.len()));
            prop_assert_eq!(decode(&buf, segment, offset, 0), Some(frame));
            prop_assert_eq!(decode(&buf, segment + 1, offset, 0), None);
            prop_assert_eq!(decode(&buf, segment, offset + 8, 0), None);
            prop_assert_eq!(decode(&buf[..buf.len() - 1], segment, offset, 0), None);
            let bit = bit.index((FRAME_BYTES + payload.len()) * 8);
            buf[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(&buf, segment, offset, 0), None);
        }

        #[test]
        fn arbitrary_bytes_are_not_a_frame_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&bytes, 1, 64, 0), None);
        }
    }
}
