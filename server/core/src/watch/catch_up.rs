//! Reading history from the store for watchers that are behind.
//!
//! Rule: a read begins at the next revision of its watchers and ends with a whole revision, at most at the one that the
//! hub had reached when it asked. It takes one view, uses it and drops it; while it runs, the hub goes on. What it finds is
//! a [`Chunk`], the same that the hub makes from its recent changes, so it does not matter to a watcher where its history
//! comes from.
//!
//! One read serves all watchers with the same next revision, whatever ranges they want.
//!
//! Left out: who runs it and how many run at once; that is the server's.

use crate::error::Fault;
use crate::ids::Revision;
use crate::limits::{WATCH_CATCH_UP_BYTES_MAX, WATCH_CATCH_UP_REVISIONS_MAX, WATCH_CATCH_UP_ROWS_MAX};
use crate::mvcc::index::Index;
use crate::mvcc::row;
use crate::mvccpb::KeyValue;
use crate::storage::Rows;
use crate::watch::hub::WatcherKey;
use crate::watch::interest::RangeId;
use crate::watch::range::WatchRange;
use crate::watch::range_index::RangeIndex;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Which encodings the watchers of a range want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Some watcher wants events without the value before.
    pub plain: bool,
    /// Some watcher wants them with it.
    pub previous: bool,
}

/// A read to do.
#[derive(Debug)]
pub struct Job {
    /// First revision wanted.
    pub from: i64,
    /// Last revision wanted: the hub's when it asked, and the header's revision of what comes of it.
    pub through: i64,
    pub(crate) ranges: BTreeMap<RangeId, (WatchRange, Needs)>,
    pub(crate) watchers: Vec<WatcherKey>,
}

/// What a read is done on: a view and the rows it sees.
#[derive(Clone, Copy)]
pub struct History<'a> {
    /// The keys.
    pub index: &'a Index,
    /// The compaction floor of the view.
    pub compact_revision: i64,
    /// The values.
    pub rows: &'a dyn Rows,
}

/// What a scan of rows calls for each, in revision order, until it breaks.
pub type VisitRow<'v> = dyn FnMut(Revision, &[u8]) -> ControlFlow<()> + 'v;

/// A piece of history.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Last revision it covers.
    pub(crate) through: i64,
    /// Events by range, each list in revision order.
    pub(crate) events: BTreeMap<RangeId, Vec<Found>>,
}

/// A change in the encodings that are needed.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) delete: bool,
    pub(crate) plain: Option<Bytes>,
    pub(crate) with_previous: Option<Bytes>,
}

/// What came of a [`Job`].
#[derive(Debug)]
pub struct Finished {
    pub(crate) job: Job,
    /// The history, or the floor when the store has it no more.
    pub(crate) outcome: Result<Chunk, i64>,
}

/// What is left of the budget of one chunk; see the three limits.
#[derive(Debug)]
pub(crate) struct Budget {
    rows: usize,
    revisions: usize,
    bytes: usize,
    last_found: i64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            rows: WATCH_CATCH_UP_ROWS_MAX,
            revisions: WATCH_CATCH_UP_REVISIONS_MAX,
            bytes: WATCH_CATCH_UP_BYTES_MAX,
            last_found: i64::MIN,
        }
    }
}

impl Budget {
    /// True when no further revision may begin.
    pub(crate) fn spent(&self) -> bool {
        self.rows == 0 || self.revisions == 0 || self.bytes == 0
    }

    pub(crate) fn visit(&mut self) {
        self.rows = self.rows.saturating_sub(1);
    }

    pub(crate) fn find(&mut self, main: i64, bytes: usize) {
        if main != self.last_found {
            self.last_found = main;
            self.revisions = self.revisions.saturating_sub(1);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// A row that somebody wants, before its value-before is read.
struct Hit {
    revision: Revision,
    row: Bytes,
    tombstone: bool,
    previous: Option<Revision>,
    ranges: Vec<RangeId>,
}

impl Job {
    /// Reads. `scan` visits the rows from one revision to another, exclusive.
    ///
    /// # Errors
    /// A fault of the rows, or a row that cannot be decoded.
    pub fn run(
        self,
        history: &History<'_>,
        scan: impl FnOnce(Revision, Revision, &mut VisitRow<'_>) -> Result<(), Fault>,
    ) -> Result<Finished, Fault> {
        if self.from < history.compact_revision {
            return Ok(Finished { job: self, outcome: Err(history.compact_revision) });
        }
        let (hits, through) = self.hits(history, scan)?;
        let mut chunk = Chunk { through, events: BTreeMap::new() };
        let wanted: Vec<Revision> = hits.iter().filter_map(|hit| hit.previous).collect();
        let mut previous_rows = if wanted.is_empty() { Vec::new() } else { history.rows.rows(&wanted)? }.into_iter();
        for hit in hits {
            let previous_row = match hit.previous {
                None => Bytes::new(),
                Some(_) => previous_rows.next().ok_or_else(|| Fault::new("a row reader answered too few rows"))?,
            };
            self.encode(&mut chunk, &hit, &previous_row)?;
        }
        Ok(Finished { job: self, outcome: Ok(chunk) })
    }

    fn hits(
        &self,
        history: &History<'_>,
        scan: impl FnOnce(Revision, Revision, &mut VisitRow<'_>) -> Result<(), Fault>,
    ) -> Result<(Vec<Hit>, i64), Fault> {
        let mut index = RangeIndex::default();
        for (id, (range, _)) in &self.ranges {
            index.insert(range.clone(), id.0);
        }
        let mut hits = Vec::new();
        let mut budget = Budget::default();
        let mut through = self.through;
        let mut current = None;
        let mut fault = None;
        scan(Revision::new(self.from, 0), Revision::new(self.through.saturating_add(1), 0), &mut |revision, row| {
            if current != Some(revision.main) && budget.spent() {
                through = revision.main - 1;
                return ControlFlow::Break(());
            }
            current = Some(revision.main);
            budget.visit();
            match self.hit(&index, history, revision, row) {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some((hit, bytes))) => {
                    budget.find(revision.main, bytes);
                    hits.push(hit);
                    ControlFlow::Continue(())
                }
                Err(damage) => {
                    fault = Some(damage);
                    ControlFlow::Break(())
                }
            }
        })?;
        fault.map_or(Ok((hits, through)), Err)
    }

    /// The row if somebody wants it, and how many bytes its event will have.
    fn hit(
        &self,
        index: &RangeIndex,
        history: &History<'_>,
        revision: Revision,
        row: &[u8],
    ) -> Result<Option<(Hit, usize)>, Fault> {
        let head = row::head(row)?;
        let mut ranges = Vec::new();
        index.touched(head.key, |tag| ranges.push(RangeId(tag)));
        if ranges.is_empty() {
            return Ok(None);
        }
        let needs_previous = ranges.iter().any(|id| self.ranges.get(id).is_some_and(|(_, needs)| needs.previous));
        let before = (needs_previous && revision.main > history.compact_revision)
            .then(|| {
                let key = history.index.history(head.key)?;
                // A key may end and begin anew in one revision: a creation has nothing before.
                let created = key.version(revision)?.create_revision == revision.main;
                if created { None } else { key.at(revision.main - 1) }
            })
            .flatten();
        let bytes = row.len() + before.map_or(0, |version| version.encoded_bytes as usize);
        let hit = Hit {
            revision,
            tombstone: head.tombstone,
            row: Bytes::copy_from_slice(row),
            previous: before.map(|version| version.revision),
            ranges,
        };
        Ok(Some((hit, bytes)))
    }

    fn encode(&self, chunk: &mut Chunk, hit: &Hit, previous_row: &[u8]) -> Result<(), Fault> {
        let told;
        let kv = if hit.tombstone {
            let key = row::head(&hit.row)?.key;
            let mod_revision = hit.revision.main;
            told = row::encode(&KeyValue { key: Bytes::copy_from_slice(key), mod_revision, ..KeyValue::default() });
            &told
        } else {
            &hit.row
        };
        let (mut plain, mut with_previous) = (None, None);
        for id in &hit.ranges {
            let needs = self.ranges.get(id).map(|(_, needs)| *needs).unwrap_or_default();
            if needs.plain && plain.is_none() {
                plain = Some(row::event(hit.tombstone, kv, &[]));
            }
            if needs.previous && with_previous.is_none() {
                with_previous = Some(row::event(hit.tombstone, kv, previous_row));
            }
            chunk.events.entry(*id).or_default().push(Found {
                delete: hit.tombstone,
                plain: plain.clone().filter(|_| needs.plain),
                with_previous: with_previous.clone().filter(|_| needs.previous),
            });
        }
        Ok(())
    }
}
