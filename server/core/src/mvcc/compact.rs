//! Which versions are no longer needed, and what the store weighs without them.
//!
//! Compaction has two halves. The *logical* one is an entry in the log: it raises the floor, and every member answers as if
//! the hidden versions were gone. The *physical* one is local: rows are removed in small steps, in its own time, and
//! nothing a client can ask shows how far it has come.
//!
//! Rule: the weight of the store, which the quota reads, belongs to the logical half: every member must count the same. So
//! each version is entered here, when it is superseded, under the floor that will hide it, and leaves the sum when the
//! floor gets there, whether or not its row is still on some disk.

use crate::ids::Revision;
use crate::mvcc::key_history::{KeyHistory, Version};
use std::collections::BTreeMap;

/// Bytes that a row takes beside its value: etcd's revision key, so that sizes compare (contract §7.4).
const ROW_KEY_BYTES: i64 = 17;

/// The logical weight of the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    in_use: i64,
    /// Floor → bytes that it hides.
    hidden_at: BTreeMap<i64, i64>,
}

impl Weight {
    /// Bytes of the rows that the floor does not hide.
    #[must_use]
    pub fn in_use(&self) -> i64 {
        self.in_use
    }

    /// Enters a version, and the one it supersedes.
    pub fn push(&mut self, version: &Version, superseded: Option<&Version>) {
        self.in_use += bytes(version);
        if version.is_tombstone() {
            *self.hidden_at.entry(version.revision.main + 1).or_default() += bytes(version);
        }
        // A superseded tombstone was entered when it was written.
        if let Some(before) = superseded.filter(|before| !before.is_tombstone()) {
            *self.hidden_at.entry(version.revision.main).or_default() += bytes(before);
        }
    }

    /// Raises the floor; answers the bytes it hid.
    pub fn compact(&mut self, floor: i64) -> i64 {
        let kept = self.hidden_at.split_off(&(floor + 1));
        let hidden = std::mem::replace(&mut self.hidden_at, kept).values().sum();
        self.in_use -= hidden;
        hidden
    }

    /// Enters the history of a key as it is found when a store is opened at `floor`; rows that the floor hides may still
    /// be there, and do not count.
    pub fn load(&mut self, history: &KeyHistory, floor: i64) {
        let mut versions = history.versions().peekable();
        while let Some(version) = versions.next() {
            let hidden_at = if version.is_tombstone() {
                Some(version.revision.main + 1)
            } else {
                versions.peek().map(|next| next.revision.main)
            };
            if hidden_at.is_some_and(|at| at <= floor) {
                continue;
            }
            self.in_use += bytes(version);
            if let Some(at) = hidden_at {
                *self.hidden_at.entry(at).or_default() += bytes(version);
            }
        }
    }
}

fn bytes(version: &Version) -> i64 {
    ROW_KEY_BYTES + i64::from(version.is_tombstone()) + i64::from(version.encoded_bytes)
}

/// How far the physical half has come: rows up to `trimmed` that were hidden are gone; the next step begins at `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The floor that is being applied to the rows.
    pub floor: i64,
    /// First row that was not visited yet.
    pub next: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LeaseId;

    fn version(main: i64, version: i64, encoded_bytes: u32) -> Version {
        let revision = Revision::new(main, 0);
        Version { revision, encoded_bytes, create_revision: 2.min(version), version, lease: LeaseId::NONE }
    }

    #[test]
    fn bytes_leave_the_sum_when_the_floor_hides_them() {
        let versions = [version(2, 1, 100), version(4, 2, 200), version(6, 0, 5)];
        let mut weight = Weight::default();
        let mut history = KeyHistory::new(b"k", versions[0]);
        weight.push(&versions[0], None);
        for pair in versions.windows(2) {
            weight.push(&pair[1], Some(&pair[0]));
            history.push(pair[1]);
        }
        assert_eq!(weight.in_use(), 117 + 217 + 23);
        for (floor, in_use) in [(3, 357), (4, 240), (5, 240), (6, 23), (7, 0)] {
            weight.compact(floor);
            assert_eq!(weight.in_use(), in_use, "floor {floor}");
            // A store opened now, with nothing trimmed yet, weighs the same.
            let mut opened = Weight::default();
            opened.load(&history, floor);
            assert_eq!(opened.in_use(), in_use, "opened at floor {floor}");
        }
    }
}
