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

/// Versions before the newest, ascending, in chunks of falling size: each about twice the next.
#[derive(Clone, Debug, Default)]
struct Older {
    chunks: Vec<Chunk>,
}

/// Some consecutive versions. What a compaction drops is stepped over, not copied away, until the chunk is merged.
#[derive(Clone, Debug)]
struct Chunk {
    versions: Arc<[Version]>,
    dropped: usize,
}

impl Chunk {
    fn versions(&self) -> &[Version] {
        &self.versions[self.dropped..]
    }
}

impl Older {
    fn push(&mut self, version: Version) {
        self.chunks.push(Chunk { versions: Arc::from([version]), dropped: 0 });
        while let [.., left, right] = self.chunks.as_slice() {
            if left.versions().len() >= 2 * right.versions().len() {
                break;
            }
            let versions = left.versions().iter().chain(right.versions()).copied().collect();
            self.chunks.truncate(self.chunks.len() - 2);
            self.chunks.push(Chunk { versions, dropped: 0 });
        }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.chunks.iter().flat_map(|chunk| chunk.versions())
    }

    fn before(&self, bound: Revision) -> Option<&Version> {
        let chunk = self.chunks.iter().rev().find(|chunk| chunk.versions()[0].revision < bound)?.versions();
        let end = chunk.partition_point(|version| version.revision < bound);
        chunk.get(end - 1)
    }

    /// Drops the `count` oldest versions.
    fn drop_oldest(&mut self, mut count: usize) {
        let mut whole = 0;
        for chunk in &mut self.chunks {
            if count < chunk.versions().len() {
                chunk.dropped += count;
                break;
            }
            count -= chunk.versions().len();
            whole += 1;
        }
        self.chunks.drain(..whole);
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
        self.newest_before(Revision::new(main.saturating_add(1), 0))
    }

    /// The version written at exactly this revision.
    #[must_use]
    pub fn version(&self, revision: Revision) -> Option<&Version> {
        let next = Revision::new(revision.main, revision.sub.saturating_add(1));
        self.newest_before(next).filter(|version| version.revision == revision)
    }

    fn newest_before(&self, bound: Revision) -> Option<&Version> {
        if self.latest.revision < bound {
            return Some(&self.latest);
        }
        self.older.as_ref()?.before(bound)
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

    /// The versions up to `up_to` that no read at `floor` or later, and no watch from `floor`, can see.
    pub fn doomed(&self, floor: i64, up_to: Revision) -> impl Iterator<Item = &Version> {
        let newest = self.newest_up_to(floor);
        // Everything before `kept` goes; nothing when no version is at or below the floor.
        let mut kept = newest.map_or(Revision::default(), |newest| {
            let stays = !newest.is_tombstone() || newest.revision.main == floor;
            if stays { newest.revision } else { Revision::new(newest.revision.main, newest.revision.sub + 1) }
        });
        // A transaction may end a key and begin it anew; tombstones of the floor's own revision stay then as well.
        let mut earlier = kept;
        while let Some(version) = self.newest_before(earlier).filter(|version| version.revision.main == floor) {
            earlier = version.revision;
            if version.is_tombstone() {
                kept = earlier;
            }
        }
        self.versions().take_while(move |version| version.revision < kept && version.revision <= up_to)
    }

    /// The history without its `count` oldest versions; nothing when none is left.
    #[must_use]
    pub fn without_oldest(&self, count: usize) -> Option<Self> {
        let mut history = self.clone();
        match history.older.as_mut().map(Arc::make_mut) {
            None => return (count == 0).then_some(history),
            Some(older) => {
                if count > older.chunks.iter().map(|chunk| chunk.versions().len()).sum() {
                    return None;
                }
                older.drop_oldest(count);
                if older.chunks.is_empty() {
                    history.older = None;
                }
            }
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

    const ALL: Revision = Revision::new(i64::MAX, u32::MAX);

    fn doomed(key: &KeyHistory, floor: i64, up_to: Revision) -> Vec<i64> {
        key.doomed(floor, up_to).map(|version| version.revision.main).collect()
    }

    fn trimmed(key: &KeyHistory, floor: i64) -> Option<KeyHistory> {
        key.without_oldest(key.doomed(floor, ALL).count())
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
        let expected: [(i64, &[i64]); 6] =
            [(1, &[]), (3, &[]), (5, &[2]), (6, &[2, 4]), (7, &[2, 4, 6]), (8, &[2, 4, 6])];
        for (floor, gone) in expected {
            assert_eq!(doomed(&key, floor, ALL), gone, "floor {floor}");
        }
        assert_eq!(doomed(&key, 8, Revision::new(4, 0)), [2, 4], "no further than asked");
    }

    #[test]
    fn a_key_whose_last_version_is_a_tombstone_below_the_floor_is_gone() {
        let mut key = KeyHistory::new(b"k", version(2, 2, 1));
        key.push(version(3, 0, 0));
        assert!(trimmed(&key, 3).is_some());
        assert!(trimmed(&key, 4).is_none());
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
            // Trimming changes no answer at the floor or above it, and leaves a history that goes on like any other.
            let mut trimmed = trimmed(&key, floor);
            for main in floor..=main + 1 {
                prop_assert_eq!(trimmed.as_ref().and_then(|key| key.at(main)), key.at(main));
            }
            if let Some(trimmed) = &mut trimmed {
                let kept = trimmed.versions().count();
                let oldest = trimmed.versions().next().map(|version| version.revision);
                for more in 1..20 {
                    trimmed.push(version(main + more, create.max(2), count + more));
                }
                prop_assert_eq!(trimmed.versions().count(), kept + 19);
                prop_assert_eq!(trimmed.versions().next().map(|version| version.revision), oldest);
                prop_assert!(trimmed.versions().is_sorted_by_key(|version| version.revision));
            }
        }
    }
}
