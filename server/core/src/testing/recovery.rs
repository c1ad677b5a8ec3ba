//! Crashes, restarts, and removing what compaction hid.

use super::runner::Runner;
use super::words::{Words, Wrong};
use super::{print, queries};
use crate::machine::{Machine, Round};
use crate::mvcc::view::View;
use crate::storage::EngineRows;

impl Runner {
    pub(super) fn crash(&mut self) -> Result<(), Wrong> {
        self.finish_round()?;
        let before = state(&self.machine.view());
        self.held.clear();
        self.store.crash().map_err(fault)?;
        self.recover()?;
        same(&before, &state(&self.machine.view()), "a crash and a replay")
    }

    pub(super) fn reopen(&mut self) -> Result<(), Wrong> {
        self.finish_round()?;
        let before = state(&self.machine.view());
        self.held.clear();
        self.store.reopen().map_err(fault)?;
        self.recover()?;
        same(&before, &state(&self.machine.view()), "opening the store again")
    }

    /// Loads the store and replays the log behind it, as a start does; the answers must be those given before.
    fn recover(&mut self) -> Result<(), Wrong> {
        self.machine = Machine::load(self.store.engine()).map_err(fault)?;
        let from = self.machine.applied_index();
        for entry in self.log.iter().filter(|entry| entry.position.index > from) {
            let mut round = Round::default();
            let rows = EngineRows(self.store.engine());
            let again = self.machine.apply(&mut round, &rows, entry.position, &entry.command).map_err(fault)?;
            if again != entry.applied {
                return Err(format!("replay of entry {} answered {again:?}", entry.position.index));
            }
            let finished = self.machine.finish(round);
            self.store.engine().write(&finished.writes).map_err(fault)?;
        }
        Ok(())
    }

    /// Removes rows that may go, in at most so many steps; answers the rows removed, the steps, and where it ended.
    pub(super) fn trim(&mut self, step_rows: usize, steps_max: usize) -> Result<(usize, usize, i64), Wrong> {
        self.finish_round()?;
        let before = state(&self.machine.view());
        let (mut removed, mut steps) = (0, 0);
        let mut pending = self.machine.trim_pending();
        while let Some(progress) = pending.filter(|_| steps < steps_max) {
            let step = self.machine.trim_step(self.store.engine(), progress, step_rows).map_err(fault)?;
            self.store.engine().write(&step.writes).map_err(fault)?;
            removed += step.removed;
            steps += 1;
            pending = step.next;
        }
        same(&before, &state(&self.machine.view()), "removing hidden rows")?;
        Ok((removed, steps, self.machine.trimmed()))
    }

    pub(super) fn trim_command(&mut self, words: &mut Words<'_>) -> Result<Vec<String>, Wrong> {
        let count = |number: Option<i64>, default| number.map_or(Ok(default), usize::try_from);
        let step_rows = count(words.number("step")?, 1_000).map_err(|_| "a negative step")?;
        let steps_max = count(words.number("steps")?, usize::MAX).map_err(|_| "a negative number")?;
        let (removed, steps, trimmed) = self.trim(step_rows, steps_max)?;
        Ok(vec![format!("removed={removed} steps={steps} trimmed={trimmed}")])
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
pub(super) fn fault(fault: crate::error::Fault) -> Wrong {
    format!("fault: {fault}")
}

/// All that clients can see of a state, except values: those are compared by the commands of the script.
fn state(view: &View) -> Vec<String> {
    let mut lines = vec![format!(
        "rev={} compacted={} applied={}/{} bytes={} {:?}",
        view.revision, view.compact_revision, view.applied_term, view.applied_index, view.bytes_in_use, view.members
    )];
    lines.extend(print::alarms(&view.alarms.list(0)));
    lines.extend(queries::leases(view));
    for lease in view.leases.iter() {
        lines.extend(view.leases.keys(lease.id).map(|key| format!("{} {key:?}", lease.id)));
    }
    for history in view.index.histories() {
        // Whether what the floor hides is still there is nobody's business.
        let seen = history.versions().filter(|version| version.revision.main > view.compact_revision);
        lines.extend(seen.map(|version| format!("{version:?}")));
        lines.extend(history.at(view.compact_revision).map(|version| format!("{version:?}")));
    }
    lines
}

fn same(before: &[String], after: &[String], what: &str) -> Result<(), Wrong> {
    if before == after {
        return Ok(());
    }
    let first = before.iter().zip(after).find(|(before, after)| before != after);
    Err(format!("{what} changed the state: {first:?} first, {} lines became {}", before.len(), after.len()))
}
