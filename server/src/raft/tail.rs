//! The newest entries of the log, decoded.
//!
//! Rule: it is a cache and nothing but a cache. What it holds is what the log holds, without holes; what it does not hold
//! is read from the log. It exists so that an entry that was just proposed is applied and replicated without being decoded
//! from its own bytes.
//!
//! Bound: [`quorate_core::limits::LOG_TAIL_BYTES_MAX`]. When full, the oldest entries leave.

use std::collections::VecDeque;
use std::ops::Range;

use openraft::EntryPayload;

use super::types::Entry;

/// What an entry weighs beyond its command.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// Consecutive entries up to the end of the log. Indexes are openraft's.
pub(super) struct Tail {
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

/// The bytes an entry is counted with, here and in the bounds of reads and rounds.
pub(super) fn weight(entry: &Entry) -> usize {
    ENTRY_OVERHEAD_BYTES
        + match &entry.payload {
            EntryPayload::Normal(proposal) => proposal.bytes,
            EntryPayload::Blank | EntryPayload::Membership(_) => 0,
        }
}

impl Tail {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds an entry at the end of the log. One that does not follow the last begins the tail anew.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.entries.back().is_some_and(|last| last.log_id.index + 1 != entry.log_id.index) {
            self.entries.clear();
            self.bytes = 0;
        }
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= weight(&oldest);
        }
    }

    /// Forgets `index` and what follows.
    pub(super) fn truncate_from(&mut self, index: u64) {
        while let Some(last) = self.entries.back()
            && last.log_id.index >= index
        {
            self.bytes -= weight(last);
            self.entries.pop_back();
        }
    }

    /// Forgets `index` and what precedes it.
    pub(super) fn purge_through(&mut self, index: u64) {
        while let Some(first) = self.entries.front()
            && first.log_id.index <= index
        {
            self.bytes -= weight(first);
            self.entries.pop_front();
        }
    }

    /// The entries of `range` from its start on, up to `bytes_max` but at least one; nothing if the first is not held.
    pub(super) fn get(&self, range: Range<u64>, bytes_max: usize) -> Vec<Entry> {
        let Some(first) = self.entries.front().map(|entry| entry.log_id.index) else { return Vec::new() };
        let Some(skip) = range.start.checked_sub(first).and_then(|skip| usize::try_from(skip).ok()) else {
            return Vec::new();
        };
        let mut bytes = 0;
        self.entries
            .iter()
            .skip(skip)
            .take_while(|entry| entry.log_id.index < range.end)
            .take_while(|entry| {
                let before = bytes;
                bytes += weight(entry);
                before == 0 || bytes <= bytes_max
            })
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::LogId;

    fn blank(index: u64) -> Entry {
        Entry { log_id: LogId::new_term_index(1, index), payload: EntryPayload::Blank }
    }

    fn held(tail: &Tail) -> Vec<u64> {
        tail.entries.iter().map(|entry| entry.log_id.index).collect()
    }

    fn filled(indexes: Range<u64>) -> Tail {
        let mut tail = Tail::new(10 * ENTRY_OVERHEAD_BYTES);
        for index in indexes {
            tail.push(blank(index));
        }
        tail
    }

    #[test]
    fn the_oldest_leave_when_it_is_full() {
        assert_eq!(held(&filled(0..25)), (15..25).collect::<Vec<u64>>());
    }

    #[test]
    fn an_entry_larger_than_the_tail_is_not_held() {
        let mut tail = Tail::new(10);
        tail.push(blank(3));
        assert_eq!(held(&tail), Vec::<u64>::new());
        assert_eq!(tail.bytes, 0);
    }

    #[test]
    fn both_ends_can_be_dropped_and_the_weight_follows() {
        let mut tail = filled(0..10);
        tail.truncate_from(8);
        tail.purge_through(4);
        assert_eq!(held(&tail), [5, 6, 7]);
        assert_eq!(tail.bytes, 3 * ENTRY_OVERHEAD_BYTES);
        tail.purge_through(100);
        assert_eq!((held(&tail), tail.bytes), (Vec::new(), 0));
    }

    #[test]
    fn a_gap_begins_it_anew() {
        let mut tail = filled(0..5);
        tail.push(blank(9));
        assert_eq!((held(&tail), tail.bytes), (vec![9], ENTRY_OVERHEAD_BYTES));
    }

    #[test]
    fn a_read_stops_at_the_end_of_its_range_or_budget_but_gives_at_least_one() {
        let tail = filled(10..20);
        let read = |range, bytes_max| -> Vec<u64> {
            tail.get(range, bytes_max).iter().map(|entry| entry.log_id.index).collect()
        };
        assert_eq!(read(12..15, usize::MAX), [12, 13, 14]);
        assert_eq!(read(12..15, 2 * ENTRY_OVERHEAD_BYTES), [12, 13]);
        assert_eq!(read(12..15, 0), [12]);
        assert_eq!(read(9..15, usize::MAX), Vec::<u64>::new(), "it does not hold the first");
        assert_eq!(read(20..30, usize::MAX), Vec::<u64>::new());
    }
}
