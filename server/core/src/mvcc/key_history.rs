//! The life of one key: its versions by revision, in generations.
//!
//! A key is born by a put, changes by puts, dies by a delete, and may be born again: that is a new generation, with a new
//! create revision and versions from 1. A delete leaves a tombstone as the generation's last version.
//!
//! ```text
//!   put 2, put 4, delete 6, put 8      create 2 · v1@2  v2@4  †6 | create 8 · v1@8
//!
//!   at(1)  nothing        at(5)  v2@4        at(6), at(7)  nothing (dead)        at(9)  v1@8
//! ```
//!
//! Compaction at revision `r` keeps what a read at `r` or later can still see: the newest version at or below `r` if it is
//! live, and everything above. A tombstone goes unless its revision is exactly `r`, so that a watch from `r` still sees the
//! delete (contract §2.8). In the example:
//!
//! ```text
//!   trim(3)  keeps v1@2 …          trim(5)  drops v1@2
//!   trim(6)  drops v1@2, v2@4, keeps †6          trim(7)  drops †6 too
//! ```
//!
//! The newest version lies in the record itself; older ones in chunks that double in size, so that a key with a million
//! versions neither copies them on each put nor walks them on a read.

use crate::ids::{LeaseId, Revision};
use crate::mvcc::tree::Entry;
use std::sync::Arc;

/// One version of a key: all that the index knows without reading the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// When it was written: the mod revision, with its place inside the transaction.
    pub revision: Revision,
    /// Length in bytes of the encoded key-value in the store (for a tombstone: of its row).
    pub encoded_bytes: u32,
    /// Main revision of the put that began the generation; 0 for a tombstone.
    pub create_revision: i64,
    /// Puts since the generation began, from 1; 0 for a tombstone.
    pub version: i64,
    /// The lease it hangs on.
    pub lease: LeaseId,
}

impl Version {
    /// True when this version is the end of a generation.
    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    /// The version itself unless it is a tombstone.
    #[must_use]
    pub fn live(&self) -> Option<&Self> {
        (!self.is_tombstone()).then_some(self)
    }
}

/// A key and its versions.
#[derive(Clone, Debug)]
pub struct KeyHistory {
    key: Box<[u8]>,
    latest: Version,
    older: Option<Arc<Older>>,
}

/// Versions before the newest, ascending, in chunks of falling size: each at least twice the next.
#[derive(Clone, Debug, Default)]
struct Older {
    chunks: Vec<Arc<[Version]>>,
}

impl Older {
    fn push(&mut self, version: Version) {
        self.chunks.push(Arc::from([version]));
        while let [.., left, right] = self.chunks.as_slice() {
            if left.len() >= 2 * right.len() {
                break;
            }
            let merged: Arc<[Version]> = left.iter().chain(right.iter()).copied().collect();
            self.chunks.truncate(self.chunks.len() - 2);
            self.chunks.push(merged);
        }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    fn at(&self, main: i64) -> Option<&Version> {
        let chunk = self.chunks.iter().rev().find(|chunk| chunk[0].revision.main <= main)?;
        let end = chunk.partition_point(|version| version.revision.main <= main);
        chunk.get(end - 1)
    }
}

impl KeyHistory {
    /// A key with its first known version.
    #[must_use]
    pub fn new(key: &[u8], first: Version) -> Self {
        Self { key: Box::from(key), latest: first, older: None }
    }

    /// The newest version, which may be a tombstone.
    #[must_use]
    pub fn latest(&self) -> &Version {
        &self.latest
    }

    /// The newest version if the key lives.
    #[must_use]
    pub fn live(&self) -> Option<&Version> {
        self.latest.live()
    }

    /// What a read at main revision `main` sees; nothing before birth and after death.
    #[must_use]
    pub fn at(&self, main: i64) -> Option<&Version> {
        self.newest_up_to(main)?.live()
    }

    /// The newest version at or below `main`, tombstones included.
    #[must_use]
    pub fn newest_up_to(&self, main: i64) -> Option<&Version> {
        if self.latest.revision.main <= main {
            return Some(&self.latest);
        }
        self.older.as_ref()?.at(main)
    }

    /// All versions, ascending.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.older.iter().flat_map(|older| older.iter()).chain(std::iter::once(&self.latest))
    }

    /// Adds a newer version.
    pub fn push(&mut self, version: Version) {
        debug_assert!(self.latest.revision < version.revision, "versions ascend");
        let before = std::mem::replace(&mut self.latest, version);
        Arc::make_mut(self.older.get_or_insert_default()).push(before);
    }

    /// The versions that no read at `floor` or later, and no watch from `floor`, can see.
    #[must_use]
    pub fn doomed(&self, floor: i64) -> Vec<Version> {
        let Some(newest) = self.newest_up_to(floor).copied() else {
            return Vec::new();
        };
        let keeps_newest = !newest.is_tombstone() || newest.revision.main == floor;
        let goes = |version: &&Version| {
            version.revision < newest.revision || (version.revision == newest.revision && !keeps_newest)
        };
        self.versions().take_while(goes).copied().collect()
    }

    /// The history without the versions of [`Self::doomed`]; nothing when none is left.
    #[must_use]
    pub fn trimmed(&self, floor: i64) -> Option<Self> {
        let doomed = self.doomed(floor).len();
        let mut kept = self.versions().skip(doomed).copied();
        let mut history = Self::new(&self.key, kept.next()?);
        let rest: Vec<Version> = kept.collect();
        if let Some((latest, middle)) = rest.split_last() {
            let older = std::iter::once(history.latest).chain(middle.iter().copied()).collect();
            history.older = Some(Arc::new(Older { chunks: vec![older] }));
            history.latest = *latest;
        }
        Some(history)
    }
}

impl Entry for KeyHistory {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn weight(&self) -> u64 {
        u64::from(!self.latest.is_tombstone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(main: i64, create: i64, version: i64) -> Version {
        Version {
            revision: Revision::new(main, 0),
            encoded_bytes: 10,
            create_revision: create,
            version,
            lease: LeaseId::NONE,
        }
    }

    /// The example of the module's first lines.
    fn example() -> KeyHistory {
        let mut key = KeyHistory::new(b"k", version(2, 2, 1));
        key.push(version(4, 2, 2));
        key.push(version(6, 0, 0));
        key.push(version(8, 8, 1));
        key
    }

    fn mains(versions: &[Version]) -> Vec<i64> {
        versions.iter().map(|version| version.revision.main).collect()
    }

    #[test]
    fn reads_see_the_newest_live_version_at_their_revision() {
        let key = example();
        let seen: Vec<_> = (1..=9).map(|main| key.at(main).map(|version| version.revision.main)).collect();
        assert_eq!(seen, [None, Some(2), Some(2), Some(4), Some(4), None, None, Some(8), Some(8)]);
    }

    #[test]
    fn trimming_keeps_what_the_floor_can_see() {
        let key = example();
        for (floor, doomed) in [(1, vec![]), (3, vec![]), (5, vec![2]), (6, vec![2, 4]), (7, vec![2, 4, 6])] {
            assert_eq!(mains(&key.doomed(floor)), doomed, "floor {floor}");
        }
        assert_eq!(mains(&key.doomed(8)), [2, 4, 6]);
    }

    #[test]
    fn a_key_whose_last_version_is_a_tombstone_below_the_floor_is_gone() {
        let mut key = KeyHistory::new(b"k", version(2, 2, 1));
        key.push(version(3, 0, 0));
        assert!(key.trimmed(3).is_some());
        assert!(key.trimmed(4).is_none());
    }

    proptest! {
        #[test]
        fn long_histories_answer_like_a_plain_list(
            gaps in prop::collection::vec((1i64..4, prop::bool::weighted(0.2)), 1..300),
            floor in 0i64..700,
        ) {
            let (mut main, mut create, mut count) = (1, 0, 0);
            let mut plain: Vec<Version> = Vec::new();
            for (gap, delete) in gaps {
                main += gap;
                if delete && count > 0 {
                    plain.push(version(main, 0, 0));
                    (create, count) = (0, 0);
                } else {
                    if count == 0 {
                        create = main;
                    }
                    count += 1;
                    plain.push(version(main, create, count));
                }
            }
            let mut key = KeyHistory::new(b"k", plain[0]);
            plain[1..].iter().for_each(|version| key.push(*version));
            prop_assert_eq!(key.versions().copied().collect::<Vec<_>>(), plain.clone());
            for main in 0..=main + 1 {
                let expected = plain.iter().rev().find(|version| version.revision.main <= main);
                prop_assert_eq!(key.newest_up_to(main), expected);
            }
            // Trimming changes no answer at the floor or above it.
            let trimmed = key.trimmed(floor);
            for main in floor..=main + 1 {
                prop_assert_eq!(trimmed.as_ref().and_then(|key| key.at(main)), key.at(main));
            }
        }
    }
}
