//! All keys in order, with their histories: the part of the store that is always in memory.
//!
//! Rule: the index answers every question about revisions, versions, leases and counts; values are read by revision from
//! the rows. A clone is a root (see [`crate::mvcc::tree`]).

use crate::ids::Revision;
use crate::mvcc::key_history::{KeyHistory, Version};
use crate::mvcc::tree::{Entry, Iter, Tree};
use std::sync::Arc;

/// A half-open range of keys in the form that the index wants: from `start`, to `end` or to the last key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange<'a> {
    /// First key of the range.
    pub start: &'a [u8],
    /// First key after the range; `None` when it has no end.
    pub end: Option<&'a [u8]>,
    /// True when only `start` itself is meant.
    pub single: bool,
}

impl<'a> KeyRange<'a> {
    /// Reads the conventions of `key` and `range_end` (contract §2.3): an empty end means the single key, one zero byte
    /// means no end.
    #[must_use]
    pub fn new(key: &'a [u8], range_end: &'a [u8]) -> Self {
        match range_end {
            [] => Self { start: key, end: None, single: true },
            [0] => Self { start: key, end: None, single: false },
            end => Self { start: key, end: Some(end), single: false },
        }
    }

    /// True when `key` lies in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        if self.single {
            return key == self.start;
        }
        key >= self.start && self.end.is_none_or(|end| key < end)
    }
}

/// The ordered map of all keys that have a version.
#[derive(Clone, Debug, Default)]
pub struct Index {
    keys: Tree<KeyHistory>,
}

impl Index {
    /// Number of live keys.
    #[must_use]
    pub fn live_keys(&self) -> u64 {
        self.keys.weight()
    }

    /// Number of keys that have any version, tombstones included.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The history of one key.
    #[must_use]
    pub fn history(&self, key: &[u8]) -> Option<&Arc<KeyHistory>> {
        self.keys.get(key)
    }

    /// The newest version of a key that lives.
    #[must_use]
    pub fn live(&self, key: &[u8]) -> Option<&Version> {
        self.keys.get(key)?.live()
    }

    /// How many live keys the range holds; logarithmic in the number of keys.
    #[must_use]
    pub fn count_live(&self, range: KeyRange<'_>) -> u64 {
        if range.single {
            return u64::from(self.live(range.start).is_some());
        }
        self.keys.weight_between(range.start, range.end)
    }

    /// The live keys of the range, ascending.
    pub fn iter_live<'a>(&'a self, range: KeyRange<'a>) -> impl Iterator<Item = (&'a [u8], &'a Version)> {
        Bounded { iter: self.keys.iter_weighted_from(range.start), range }
            .filter_map(|history| Some((history.key(), history.live()?)))
    }

    /// The keys of the range that live at main revision `main`, ascending.
    pub fn iter_at<'a>(&'a self, range: KeyRange<'a>, main: i64) -> impl Iterator<Item = (&'a [u8], &'a Version)> {
        Bounded { iter: self.keys.iter_from(range.start), range }
            .filter_map(move |history| Some((history.key(), history.at(main)?)))
    }

    /// All histories, ascending.
    pub fn histories(&self) -> impl Iterator<Item = &Arc<KeyHistory>> {
        self.keys.iter_from(b"")
    }

    /// Adds a newer version of a key. Answers the version it supersedes, which may be a tombstone.
    pub fn push(&mut self, key: &[u8], version: Version) -> Option<Version> {
        let mut superseded = None;
        self.keys.upsert(key, |history| {
            Arc::new(match history {
                None => KeyHistory::new(key, version),
                Some(history) => {
                    superseded = Some(*history.latest());
                    let mut history = KeyHistory::clone(history);
                    history.push(version);
                    history
                }
            })
        });
        superseded
    }

    /// Adds a whole history, in place of the key's former one.
    pub(crate) fn load(&mut self, history: KeyHistory) {
        self.keys.insert(history);
    }

    /// Drops the versions of one key up to `up_to` that the floor hides; answers them.
    pub fn trim(&mut self, key: &[u8], floor: i64, up_to: Revision) -> Vec<Version> {
        let Some(history) = self.keys.get(key) else {
            return Vec::new();
        };
        let doomed: Vec<Version> = history.doomed(floor, up_to).copied().collect();
        if !doomed.is_empty() {
            match history.without_oldest(doomed.len()) {
                Some(trimmed) => self.keys.insert(trimmed),
                None => drop(self.keys.remove(key)),
            }
        }
        doomed
    }

    /// True when a read at `main` sees exactly this version of the key.
    #[must_use]
    pub fn sees(&self, key: &[u8], main: i64, revision: Revision) -> bool {
        self.keys.get(key).and_then(|history| history.at(main)).is_some_and(|version| version.revision == revision)
    }
}

struct Bounded<'a> {
    iter: Iter<'a, KeyHistory>,
    range: KeyRange<'a>,
}

impl<'a> Iterator for Bounded<'a> {
    type Item = &'a Arc<KeyHistory>;

    fn next(&mut self) -> Option<Self::Item> {
        self.iter.next().filter(|history| self.range.contains(history.key()))
    }
}
