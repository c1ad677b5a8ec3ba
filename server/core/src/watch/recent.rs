//! The last changes, with their encoded events.
//!
//! Rule: what is here is without gaps: every change of every revision from [`Recent::first`] to the newest the hub knows.
//! An event is encoded when the first watcher needs it, once with and once without the value before, and then shared.
//!
//! Live watchers are served from here, and so are those that are a little behind. That closes the gap between "the store
//! was read up to here" and "now": without it a watcher could chase a busy writer for ever, one short read after another.
//!
//! Left out: anything older; when the budget is spent the oldest revisions go, and whoever needs them reads the store.

use crate::error::Fault;
use crate::machine::Change;
use crate::mvcc::row;
use crate::watch::Source;
use bytes::Bytes;
use std::collections::VecDeque;

/// What an entry takes beside the bytes it points to.
const ENTRY_BYTES: usize = size_of::<Entry>() + 64;

/// The newest changes.
#[derive(Debug)]
pub struct Recent {
    entries: VecDeque<Entry>,
    first: i64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry {
    change: Change,
    plain: Option<Bytes>,
    /// With the value before. The same bytes as `plain` when there is none.
    with_previous: Option<Bytes>,
}

impl Entry {
    fn bytes(&self) -> usize {
        let encoded = [&self.plain, &self.with_previous].into_iter().flatten().map(Bytes::len).sum::<usize>();
        ENTRY_BYTES + self.change.key.len() + self.change.kv.len() + encoded
    }
}

impl Recent {
    /// Nothing yet, after `revision`.
    #[must_use]
    pub fn new(revision: i64, bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), first: revision + 1, bytes: 0, bytes_max }
    }

    /// First revision from which all changes are here.
    #[must_use]
    pub fn first(&self) -> i64 {
        self.first
    }

    /// Forgets everything up to `revision`.
    pub fn restart(&mut self, revision: i64) {
        let bytes_max = self.bytes_max;
        *self = Self::new(revision, bytes_max);
    }

    /// Adds the next change.
    pub fn push(&mut self, change: Change) {
        let entry = Entry { change, plain: None, with_previous: None };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    /// Drops the oldest revisions, whole, until the rest fits the budget.
    pub fn shrink(&mut self) {
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.entries.front()
        {
            let main = oldest.change.revision.main;
            let revision_changes = self.position(main + 1);
            self.bytes -= self.entries.drain(..revision_changes).map(|entry| entry.bytes()).sum::<usize>();
            self.first = main + 1;
        }
        if self.entries.capacity() > 1024 && self.entries.capacity() / 8 > self.entries.len() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// Position of the first change at or after a revision.
    #[must_use]
    pub fn position(&self, main: i64) -> usize {
        self.entries.partition_point(|entry| entry.change.revision.main < main)
    }

    /// The change at a position.
    #[must_use]
    pub fn change(&self, position: usize) -> Option<&Change> {
        Some(&self.entries.get(position)?.change)
    }

    /// The encoded event at a position, which must be there.
    ///
    /// # Errors
    /// A fault when the value before cannot be read.
    pub fn event(&mut self, position: usize, previous: bool, source: &Source<'_>) -> Result<Bytes, Fault> {
        let entry = &mut self.entries[position];
        let before = entry.bytes();
        let event = entry.event(previous, source)?;
        self.bytes += entry.bytes() - before;
        Ok(event)
    }
}

impl Entry {
    fn event(&mut self, previous: bool, source: &Source<'_>) -> Result<Bytes, Fault> {
        let change = &self.change;
        // The value before is that of the revision before; below the floor it is gone, even if its row is still there.
        let wanted = change.previous.filter(|_| previous && change.revision.main > source.compact_revision);
        if let Some(revision) = wanted {
            if let Some(event) = &self.with_previous {
                return Ok(event.clone());
            }
            let event = row::event(change.delete, &change.kv, &source.rows.row(revision)?);
            return Ok(self.with_previous.insert(event).clone());
        }
        Ok(self.plain.get_or_insert_with(|| row::event(change.delete, &change.kv, &[])).clone())
    }
}
