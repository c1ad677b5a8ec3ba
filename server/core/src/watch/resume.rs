//! History for watchers that are behind.
//!
//! Rule: watchers with the same next revision are served together, the groups in turn. A group whose history is compacted
//! away is cancelled; one that the recent changes cover is served at once; for any other the store must be read, away from
//! the hub, and the hub goes on meanwhile. Afterwards a watcher is synced if nothing is missing up to the hub's revision,
//! and waits for its next turn if something is.

use crate::error::Fault;
use crate::limits::WATCH_CATCH_UP_WATCHERS_MAX;
use crate::watch::Source;
use crate::watch::catch_up::{Budget, Chunk, Finished, Found, Job, Needs};
use crate::watch::hub::{Hub, Options, State, WatcherKey};
use crate::watch::interest::RangeId;
use crate::watch::response::{Events, Outlet};
use std::collections::BTreeMap;

/// What came of one step.
#[derive(Debug)]
pub enum Step {
    /// No watcher that has room is behind.
    Idle,
    /// A group was served.
    Served,
    /// A group needs the store: run this and hand the result to [`Hub::finish`].
    Read(Job),
}

impl<O: Outlet> Hub<O> {
    /// True when some group waits for its turn.
    #[must_use]
    pub fn has_turn(&self) -> bool {
        !self.behind.is_empty()
    }

    /// Serves the group whose turn it is; without `may_read`, one that the recent changes cover.
    ///
    /// # Errors
    /// A fault when values before a change cannot be read.
    pub fn step(&mut self, source: &Source<'_>, may_read: bool) -> Result<Step, Fault> {
        let turn = if may_read { self.take_turn() } else { self.take_recent() };
        let Some((next, group)) = turn else { return Ok(Step::Idle) };
        if next < source.compact_revision {
            self.tell_compacted(&group, source.compact_revision);
            return Ok(Step::Served);
        }
        if next < self.recent.first() {
            let ranges = self.needs_by_range(&group).into_iter();
            let ranges =
                ranges.filter_map(|(id, needs)| Some((id, (self.interest.range(id)?.clone(), needs)))).collect();
            for key in &group {
                self.set_state(*key, State::Reading);
            }
            return Ok(Step::Read(Job { from: next, through: self.revision, ranges, watchers: group }));
        }
        let chunk = self.recent_chunk(next, &group, source)?;
        let header_revision = self.revision;
        self.deliver(next, header_revision, &group, &chunk);
        Ok(Step::Served)
    }

    /// Takes what a read has found.
    pub fn finish(&mut self, finished: Finished) {
        let Finished { job, outcome } = finished;
        let alive = |key: &WatcherKey| self.watchers.get(key.0).is_some_and(|watcher| watcher.state == State::Reading);
        let group: Vec<WatcherKey> = job.watchers.into_iter().filter(alive).collect();
        match outcome {
            Ok(chunk) => self.deliver(job.from, job.through, &group, &chunk),
            Err(floor) => self.tell_compacted(&group, floor),
        }
    }

    /// The next group. A turn whose group is gone was served out of turn.
    fn take_turn(&mut self) -> Option<(i64, Vec<WatcherKey>)> {
        loop {
            let next = self.turns.pop_front()?;
            let group = self.take_group(next);
            if !group.is_empty() {
                return Some((next, group));
            }
        }
    }

    /// The first group that needs no read, out of turn.
    fn take_recent(&mut self) -> Option<(i64, Vec<WatcherKey>)> {
        loop {
            let next = *self.behind.range(self.recent.first()..).next()?.0;
            let group = self.take_group(next);
            if !group.is_empty() {
                return Some((next, group));
            }
        }
    }

    /// Watchers with this next revision, without those that were cancelled since.
    fn take_group(&mut self, next: i64) -> Vec<WatcherKey> {
        let mut group = self.behind.remove(&next).unwrap_or_default();
        group.retain(|key| {
            self.watchers.get(key.0).is_some_and(|held| held.state == State::Behind && held.next == next)
        });
        if group.len() > WATCH_CATCH_UP_WATCHERS_MAX {
            let rest = group.split_off(WATCH_CATCH_UP_WATCHERS_MAX);
            self.behind.insert(next, rest);
            self.turns.push_back(next);
        }
        if self.behind.is_empty() {
            self.turns.clear();
        }
        group
    }

    fn tell_compacted(&mut self, group: &[WatcherKey], floor: i64) {
        for key in group {
            self.offer_compacted(*key, floor);
        }
    }

    fn needs_by_range(&self, group: &[WatcherKey]) -> BTreeMap<RangeId, Needs> {
        let mut ranges: BTreeMap<RangeId, Needs> = BTreeMap::new();
        for watcher in group.iter().filter_map(|key| self.watchers.get(key.0)) {
            let needs = ranges.entry(watcher.range).or_default();
            needs.plain |= watcher.needs().plain;
            needs.previous |= watcher.needs().previous;
        }
        ranges
    }

    /// What the recent changes hold for a group, from `next` on.
    fn recent_chunk(&mut self, next: i64, group: &[WatcherKey], source: &Source<'_>) -> Result<Chunk, Fault> {
        let needs = self.needs_by_range(group);
        let mut chunk = Chunk { through: self.revision, events: BTreeMap::new() };
        let mut budget = Budget::default();
        let mut current = None;
        let mut touched: Vec<RangeId> = Vec::new();
        let mut position = self.recent.position(next);
        while let Some(change) = self.recent.change(position) {
            let (main, delete) = (change.revision.main, change.delete);
            if current != Some(main) && budget.spent() {
                chunk.through = main - 1;
                break;
            }
            current = Some(main);
            budget.visit();
            touched.clear();
            self.interest.touched(&change.key, |range| touched.push(range));
            for range in &touched {
                let Some(needs) = needs.get(range) else { continue };
                let mut event = |needed: bool, previous: bool| {
                    needed.then(|| self.recent.event(position, previous, source)).transpose()
                };
                let (plain, with_previous) = (event(needs.plain, false)?, event(needs.previous, true)?);
                budget.find(main, plain.iter().chain(&with_previous).map(bytes::Bytes::len).max().unwrap_or(0));
                chunk.events.entry(*range).or_default().push(Found { delete, plain, with_previous });
            }
            position += 1;
        }
        Ok(chunk)
    }

    /// Offers a chunk that begins at `next` to a group that is there.
    fn deliver(&mut self, next: i64, header_revision: i64, group: &[WatcherKey], chunk: &Chunk) {
        let mut of_kind: BTreeMap<(RangeId, usize), Option<Events>> = BTreeMap::new();
        for key in group {
            let Some(watcher) = self.watchers.get(key.0) else { continue };
            let (range, options) = (watcher.range, watcher.options);
            let events =
                of_kind.entry((range, options.kind())).or_insert_with(|| events_of_kind(chunk, range, options));
            if let Some(events) = events.clone()
                && !self.offer_events(*key, next, header_revision, events)
            {
                continue;
            }
            if let Some(watcher) = self.watchers.get_mut(key.0) {
                watcher.next = chunk.through + 1;
            }
            if chunk.through < self.revision {
                self.fall_behind(*key);
            } else {
                self.set_state(*key, State::Synced);
            }
        }
    }
}

fn events_of_kind(chunk: &Chunk, range: RangeId, options: Options) -> Option<Events> {
    let found = chunk.events.get(&range)?.iter().filter(|found| options.wants(found.delete));
    let encoded = found.filter_map(|found| if options.previous { &found.with_previous } else { &found.plain }.clone());
    Events::new(encoded.collect())
}
