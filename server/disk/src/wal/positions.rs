//! Where each live entry lies on disk.
//!
//! Rule: the entries known here are consecutive, and their segments ascend with their index. So a segment below the
//! first entry's segment holds nothing that is still needed.
//!
//! Bounded by purging: 16 bytes for each entry that was not purged.

use std::collections::VecDeque;

use super::record::{ALIGN_BYTES, frame_bytes};

/// The place of one entry's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) segment: u64,
    /// The frame's offset in units of [`ALIGN_BYTES`].
    offset_units: u32,
    pub(crate) payload_bytes: u32,
}

impl Position {
    /// `offset` is a multiple of [`ALIGN_BYTES`] below 32 GiB.
    pub(crate) fn new(segment: u64, offset: u64, payload_bytes: u32) -> Position {
        Position {
            segment,
            offset_units: u32::try_from(offset / ALIGN_BYTES as u64).expect("segments end before 32 GiB"),
            payload_bytes,
        }
    }

    pub(crate) fn offset(self) -> u64 {
        u64::from(self.offset_units) * ALIGN_BYTES as u64
    }

    pub(crate) fn frame_bytes(self) -> usize {
        frame_bytes(self.payload_bytes as usize)
    }
}

/// The positions of the entries `first()..next()`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    first: u64,
    items: VecDeque<Position>,
}

impl Positions {
    /// No entries; the next one to come is `next`.
    pub(crate) fn starting_at(next: u64) -> Positions {
        Positions { first: next, items: VecDeque::new() }
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn next(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    pub(crate) fn get(&self, index: u64) -> Option<Position> {
        let at = index.checked_sub(self.first)?;
        self.items.get(usize::try_from(at).ok()?).copied()
    }

    pub(crate) fn last(&self) -> Option<Position> {
        self.items.back().copied()
    }

    /// The segment of the oldest entry.
    pub(crate) fn first_segment(&self) -> Option<u64> {
        Some(self.items.front()?.segment)
    }

    /// Adds the entry `next()`; an empty list may begin anywhere.
    pub(crate) fn push(&mut self, index: u64, position: Position) {
        if self.items.is_empty() {
            self.first = index;
        }
        debug_assert_eq!(index, self.next(), "the caller checked for holes");
        self.items.push_back(position);
    }

    /// Forgets `index` and everything behind it.
    pub(crate) fn truncate_from(&mut self, index: u64) {
        if index <= self.first {
            self.items.clear();
            self.first = index;
        } else {
            let keep = usize::try_from(index - self.first).unwrap_or(usize::MAX);
            self.items.truncate(keep);
        }
    }

    /// Forgets `index` and everything before it.
    pub(crate) fn purge_through(&mut self, index: u64) {
        let first = index.saturating_add(1);
        if first >= self.next() {
            self.items.clear();
            self.first = first;
        } else if first > self.first {
            let gone = usize::try_from(first - self.first).expect("fewer than the items held");
            self.items.drain(..gone);
            self.first = first;
        }
        if self.items.capacity() > 4096 && self.items.len() < self.items.capacity() / 4 {
            self.items.shrink_to(self.items.capacity() / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(first: u64, next: u64) -> Positions {
        let mut positions = Positions::default();
        for index in first..next {
            positions.push(index, Position::new(index / 10, index * 8, 1));
        }
        positions
    }

    #[test]
    fn truncation_and_purging_keep_the_rest_in_place() {
        let mut positions = filled(5, 50);
        positions.truncate_from(40);
        positions.purge_through(19);
        assert_eq!((positions.first(), positions.next()), (20, 40));
        assert_eq!(positions.first_segment(), Some(2));
        assert_eq!(positions.get(19), None);
        assert_eq!(positions.get(39).map(Position::offset), Some(39 * 8));
        assert_eq!(positions.get(40), None);
    }

    #[test]
    fn purging_beyond_the_end_leaves_an_empty_log_that_continues_there() {
        let mut positions = filled(5, 10);
        positions.purge_through(99);
        assert_eq!(positions.last(), None);
        assert_eq!(positions.next(), 100);
        positions.purge_through(50);
        assert_eq!(positions.next(), 100, "an older marker changes nothing");
    }

    #[test]
    fn truncating_below_the_first_moves_the_end_there() {
        let mut positions = filled(5, 10);
        positions.truncate_from(3);
        assert_eq!((positions.first(), positions.next()), (3, 3));
    }
}
