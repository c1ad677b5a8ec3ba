//! Which of many ranges hold a key.
//!
//! Rule: single keys cost one lookup whatever their number; ranges cost what the ranges around the key cost (see
//! [`crate::watch::interval`]). Answers come in a fixed order: the single key first, then ranges by start and end.

use crate::watch::interval::{IntervalTree, Tag};
use crate::watch::range::{RangeEnd, WatchRange};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Single keys and ranges, each with a tag. No two are equal.
#[derive(Debug, Default)]
pub struct RangeIndex {
    singles: BTreeMap<Bytes, Tag>,
    intervals: IntervalTree,
}

impl RangeIndex {
    /// The tag of exactly this range.
    #[must_use]
    pub fn get(&self, range: &WatchRange) -> Option<Tag> {
        match range.end {
            RangeEnd::Single => self.singles.get(&range.start).copied(),
            _ => self.intervals.get(range),
        }
    }

    /// Enters a range that is not in yet.
    pub fn insert(&mut self, range: WatchRange, tag: Tag) {
        match range.end {
            RangeEnd::Single => drop(self.singles.insert(range.start, tag)),
            _ => self.intervals.insert(range, tag),
        }
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: &WatchRange) {
        match range.end {
            RangeEnd::Single => drop(self.singles.remove(&range.start)),
            _ => drop(self.intervals.remove(range)),
        }
    }

    /// Calls `found` with the tag of each range that holds `key`.
    pub fn touched(&self, key: &[u8], mut found: impl FnMut(Tag)) {
        if let Some(tag) = self.singles.get(key) {
            found(*tag);
        }
        self.intervals.touched(key, &mut found);
    }
}
