//! New revisions for synced watchers.
//!
//! Rule: one response per watcher and revision that touches it, with that revision in the header. What a range hears is put
//! together once per kind of watcher (which changes, with or without the values before) and shared.
//!
//! A gap between what the hub knows and what it is told (rounds that were dropped because it was too slow, or a snapshot
//! from a peer) puts every synced watcher behind at the revision after the last that it was offered.

use crate::error::Fault;
use crate::machine::Change;
use crate::watch::Source;
use crate::watch::hub::{Hub, Options, State, StreamKey, WatcherKey};
use crate::watch::interest::RangeId;
use crate::watch::response::{Events, Outlet};

/// Number of ways in which watchers of one range can differ in what they hear.
const KINDS: usize = 8;

impl Options {
    /// Watchers of the same range and kind hear the same bytes.
    pub(crate) fn kind(self) -> usize {
        usize::from(self.no_put) | usize::from(self.no_delete) << 1 | usize::from(self.previous) << 2
    }

    pub(crate) fn wants(self, delete: bool) -> bool {
        if delete { !self.no_delete } else { !self.no_put }
    }
}

impl<O: Outlet> Hub<O> {
    /// A round was applied and can be read: these changes, in order, have brought the store to `revision_after`. Changes
    /// that the hub knows already are left out.
    ///
    /// # Errors
    /// A fault when values before a change cannot be read.
    pub fn publish(&mut self, revision_after: i64, changes: &[Change], source: &Source<'_>) -> Result<(), Fault> {
        let new = changes.partition_point(|change| change.revision.main <= self.revision);
        let changes = &changes[new..];
        // Every revision has a change, so a jump means that some were not told.
        if let Some(first) = changes.first() {
            self.skip_to(first.revision.main - 1);
        }
        for revision in changes.chunk_by(|a, b| a.revision.main == b.revision.main) {
            let main = revision[0].revision.main;
            let position = self.recent.position(main);
            for change in revision {
                self.recent.push(change.clone());
            }
            // Before the offers: what they say has this revision, and nothing said may be above the hub's.
            self.revision = main;
            self.publish_revision(main, position, source)?;
        }
        self.recent.shrink();
        self.skip_to(revision_after);
        self.release_futures();
        Ok(())
    }

    /// The store is at `revision`, and the changes up to there were not told.
    pub fn skip_to(&mut self, revision: i64) {
        if revision <= self.revision {
            return;
        }
        let before = std::mem::replace(&mut self.revision, revision);
        self.recent.restart(revision);
        let missed = |next: i64| next.max(before + 1) <= revision;
        let overtaken: Vec<WatcherKey> = self
            .watchers
            .iter()
            .filter(|(_, watcher)| watcher.state == State::Synced && missed(watcher.next))
            .map(|(key, _)| WatcherKey(key))
            .collect();
        // Their starts are no longer in the future, and `next` changes here only.
        self.release_futures();
        for key in overtaken {
            if let Some(watcher) = self.watchers.get_mut(key.0) {
                watcher.next = watcher.next.max(before + 1);
            }
            self.fall_behind(key);
        }
    }

    fn publish_revision(&mut self, main: i64, first: usize, source: &Source<'_>) -> Result<(), Fault> {
        let mut touched: Vec<(RangeId, usize)> = Vec::new();
        let mut position = first;
        while let Some(change) = self.recent.change(position) {
            self.interest.touched(&change.key, |range| touched.push((range, position)));
            position += 1;
        }
        // By range, then by place in the revision.
        touched.sort_unstable();
        for of_range in touched.chunk_by(|a, b| a.0 == b.0) {
            self.publish_to_range(main, of_range, source)?;
        }
        Ok(())
    }

    fn publish_to_range(&mut self, main: i64, touched: &[(RangeId, usize)], source: &Source<'_>) -> Result<(), Fault> {
        let range = touched[0].0;
        let mut of_kind: [Option<Option<Events>>; KINDS] = [const { None }; KINDS];
        for at in 0.. {
            // Nobody leaves the list meanwhile: a watcher whose queue is full only changes its state.
            let Some(key) = self.interest.watchers(range).get(at).copied() else { break };
            let Some(watcher) = self.watchers.get(key.0) else { continue };
            if watcher.state != State::Synced || watcher.next > main {
                continue;
            }
            let options = watcher.options;
            let events = match &of_kind[options.kind()] {
                Some(events) => events.clone(),
                None => {
                    let events = self.events_of_kind(options, touched, source)?;
                    of_kind[options.kind()].insert(events).clone()
                }
            };
            if let Some(events) = events {
                self.offer_events(key, main, main, events);
            }
        }
        Ok(())
    }

    fn events_of_kind(
        &mut self,
        options: Options,
        touched: &[(RangeId, usize)],
        source: &Source<'_>,
    ) -> Result<Option<Events>, Fault> {
        let mut events = Vec::with_capacity(touched.len());
        for (_, position) in touched {
            let wanted = self.recent.change(*position).is_some_and(|change| options.wants(change.delete));
            if wanted {
                events.push(self.recent.event(*position, options.previous, source)?);
            }
        }
        Ok(Events::new(events))
    }

    /// Watchers whose start has come are like the others from here on.
    fn release_futures(&mut self) {
        while let Some((start, key)) = self.futures.first().copied().filter(|(start, _)| *start <= self.revision) {
            self.futures.remove(&(start, key));
            let Some(watcher) = self.watchers.get_mut(key.0) else { continue };
            watcher.future = false;
            if let Some(stream) = self.streams.get_mut(watcher.stream.0) {
                stream.future -= 1;
            }
        }
    }

    /// The outlet of a stream.
    #[must_use]
    pub fn outlet(&self, key: StreamKey) -> Option<&O> {
        Some(&self.streams.get(key.0)?.outlet)
    }
}
