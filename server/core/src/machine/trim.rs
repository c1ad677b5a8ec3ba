//! The physical half of compaction: removing the rows that the floor hides, in small steps.
//!
//! Rule: a step visits a bounded number of rows, its deletions are one batch, and stopping between two steps (by a crash
//! or because writers are waiting) loses nothing: the next start visits the same rows again. Nothing that a client can ask
//! depends on it. It is never ahead of a view that still sees the rows.
//!
//! A step walks the rows in revision order. Each row it meets lets go of the versions of its key up to itself that the
//! floor hides: at most itself and the one that the last compaction had kept. Every hidden version is met that way,
//! because what superseded it was written after the last floor. So the work follows what was written, not how much is
//! stored, and a key with a million versions goes in as many small steps as a million keys.

use crate::error::Fault;
use crate::ids::Revision;
use crate::machine::Machine;
use crate::mvcc::compact::Progress;
use crate::mvcc::row;
use crate::storage::codec::{index_key, row_key, row_revision};
use crate::storage::table::local;
use crate::storage::{Engine, Table, Write};
use bytes::Bytes;
use std::ops::ControlFlow;

/// What one step did.
#[derive(Debug)]
pub struct TrimStep {
    /// The deletions, and at the end the mark; write them as one batch.
    pub writes: Vec<Write>,
    /// Versions removed.
    pub removed: usize,
    /// Where the next step begins; nothing when the floor is reached.
    pub next: Option<Progress>,
}

impl Machine {
    /// The floor up to which rows are gone.
    #[must_use]
    pub fn trimmed(&self) -> i64 {
        self.trimmed
    }

    /// The work there is: nothing while all hidden rows are gone, or while a view still sees the rest.
    #[must_use]
    pub fn trim_pending(&self) -> Option<Progress> {
        let floor = self.compact_revision.min(self.pins.reclaimable());
        // At the last floor a tombstone was kept; so its own revision is visited again.
        (floor > self.trimmed).then(|| Progress { floor, next: Revision::new(self.trimmed.max(0), 0) })
    }

    /// True while rows are there that the floor hides, whether or not they may go yet.
    #[must_use]
    pub fn is_untrimmed(&self) -> bool {
        self.compact_revision > self.trimmed
    }

    /// Does one step of at most `rows_max` rows.
    ///
    /// # Errors
    /// A fault of the engine.
    pub fn trim_step(&mut self, engine: &dyn Engine, progress: Progress, rows_max: usize) -> Result<TrimStep, Fault> {
        let start = row_key(progress.next);
        let end = row_key(Revision::new(progress.floor.saturating_add(1), 0));
        let mut met: Vec<(Bytes, Revision)> = Vec::new();
        let mut visited = 0;
        let mut stopped_at = None;
        let mut fault = None;
        engine.scan(Table::Row, &start, Some(&end), &mut |row_key, value| {
            let read = row_revision(row_key).and_then(|revision| Ok((revision, row::head(value)?)));
            match read {
                Ok((revision, _)) if visited == rows_max => {
                    stopped_at = Some(revision);
                    ControlFlow::Break(())
                }
                Ok((revision, head)) => {
                    visited += 1;
                    met.push((Bytes::copy_from_slice(head.key), revision));
                    ControlFlow::Continue(())
                }
                Err(damage) => {
                    fault = Some(damage);
                    ControlFlow::Break(())
                }
            }
        })?;
        if let Some(fault) = fault {
            return Err(fault);
        }
        // The newest meeting with each key does for the earlier ones.
        met.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        met.dedup_by(|later, kept| later.0 == kept.0);
        let mut step = TrimStep { writes: Vec::new(), removed: 0, next: None };
        for (key, up_to) in met {
            for version in self.index.trim(&key, progress.floor, up_to) {
                step.removed += 1;
                let row = Bytes::copy_from_slice(&row_key(version.revision));
                step.writes.push(Write::Delete { table: Table::Row, key: row });
                let index = index_key(&key, version.revision);
                step.writes.push(Write::Delete { table: Table::Index, key: index });
            }
        }
        step.next = stopped_at.map(|next| Progress { floor: progress.floor, next });
        if step.next.is_none() {
            self.trimmed = progress.floor;
            step.writes.push(Write::Put {
                table: Table::Local,
                key: Bytes::from_static(local::TRIMMED),
                value: Bytes::copy_from_slice(&progress.floor.to_be_bytes()),
            });
        }
        Ok(step)
    }
}
