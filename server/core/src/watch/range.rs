//! The keys that one watcher wants, owned.
//!
//! Rule: the conventions of `key` and `range_end` are read once, here (contract §2.3, §2.9). An empty key means the key
//! of one zero byte.

use bytes::Bytes;
use std::cmp::Ordering;

/// Where a range ends. Ordered: before any bound, "no end" comes last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RangeEnd {
    /// The range is its first key and nothing else.
    Single,
    /// First key after the range.
    Before(Bytes),
    /// The range has no end.
    Open,
}

/// A key or a half-open range of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchRange {
    /// First key.
    pub start: Bytes,
    /// Where it ends.
    pub end: RangeEnd,
}

impl WatchRange {
    /// The range that a create request means; nothing when it can hold no key. Copies the keys, so that a watcher does
    /// not keep the buffer that its request came in.
    #[must_use]
    pub fn new(key: &[u8], range_end: &[u8]) -> Option<Self> {
        let key = if key.is_empty() { &[0] } else { key };
        let end = match range_end {
            [] => RangeEnd::Single,
            [0] => RangeEnd::Open,
            end if end <= key => return None,
            end => RangeEnd::Before(Bytes::copy_from_slice(end)),
        };
        Some(Self { start: Bytes::copy_from_slice(key), end })
    }

    /// True when `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match key.cmp(&self.start) {
            Ordering::Less => false,
            Ordering::Equal => true,
            Ordering::Greater => self.end_is_after(key),
        }
    }

    /// True when the range ends after `key`, wherever it begins. A single key ends right after itself.
    #[must_use]
    pub fn end_is_after(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => *key == *self.start,
            RangeEnd::Before(end) => key < &**end,
            RangeEnd::Open => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_range_end_mean_what_the_contract_says() {
        let holds = |key: &str, end: &str, probe: &str| {
            WatchRange::new(key.as_bytes(), end.as_bytes()).map(|range| range.contains(probe.as_bytes()))
        };
        assert_eq!([holds("b", "", "b"), holds("b", "", "ba"), holds("b", "", "a")], [true, false, false].map(Some));
        assert_eq!([holds("b", "d", "b"), holds("b", "d", "cc"), holds("b", "d", "d")], [true, true, false].map(Some));
        assert_eq!([holds("b", "\0", "z"), holds("b", "\0", "a")], [true, false].map(Some));
        assert_eq!([holds("", "", "\0"), holds("", "", "a"), holds("", "\0", "a")], [true, false, true].map(Some));
        assert_eq!([holds("b", "b", "b"), holds("b", "a", "b")], [None, None]);
    }
}
