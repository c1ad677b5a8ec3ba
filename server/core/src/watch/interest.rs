//! Which watchers want a key.
//!
//! Rule: watchers of the same range stand in one list under one [`RangeId`], so that finding them, and encoding what they
//! get, costs once per range and not once per watcher.

use crate::watch::hub::WatcherKey;
use crate::watch::range::WatchRange;
use crate::watch::range_index::RangeIndex;

/// A range that somebody watches; used again when nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RangeId(pub(crate) u32);

/// All ranges that are watched, with their watchers.
#[derive(Debug, Default)]
pub struct Interest {
    index: RangeIndex,
    ranges: Vec<Option<Watched>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Watched {
    range: WatchRange,
    watchers: Vec<WatcherKey>,
}

impl Interest {
    /// Enters a watcher; answers its range and its position in the list of that range.
    pub fn insert(&mut self, range: WatchRange, watcher: WatcherKey) -> (RangeId, u32) {
        let id = self.index.get(&range).unwrap_or_else(|| self.enter(range));
        let watchers = &mut self.ranges[id as usize].as_mut().expect("the index names ranges that are there").watchers;
        watchers.push(watcher);
        let position = u32::try_from(watchers.len() - 1).expect("memory ends before four thousand million watchers");
        (RangeId(id), position)
    }

    fn enter(&mut self, range: WatchRange) -> u32 {
        let watched = Some(Watched { range: range.clone(), watchers: Vec::with_capacity(1) });
        let id = match self.free.pop() {
            Some(id) => {
                self.ranges[id as usize] = watched;
                id
            }
            None => {
                self.ranges.push(watched);
                u32::try_from(self.ranges.len() - 1).expect("memory ends before four thousand million ranges")
            }
        };
        self.index.insert(range, id);
        id
    }

    /// Takes out the watcher at this position. Answers the watcher that now stands there, if another one moved.
    pub fn remove(&mut self, id: RangeId, position: u32) -> Option<WatcherKey> {
        let place = self.ranges.get_mut(id.0 as usize)?;
        let watched = place.as_mut()?;
        watched.watchers.swap_remove(position as usize);
        let moved = watched.watchers.get(position as usize).copied();
        if watched.watchers.is_empty() {
            self.index.remove(&watched.range);
            *place = None;
            self.free.push(id.0);
        }
        moved
    }

    /// Calls `found` with each watched range that holds `key`.
    pub fn touched(&self, key: &[u8], mut found: impl FnMut(RangeId)) {
        self.index.touched(key, |tag| found(RangeId(tag)));
    }

    /// The watchers of a range.
    #[must_use]
    pub fn watchers(&self, id: RangeId) -> &[WatcherKey] {
        self.ranges.get(id.0 as usize).and_then(Option::as_ref).map_or(&[], |watched| &watched.watchers)
    }

    /// The range itself.
    #[must_use]
    pub fn range(&self, id: RangeId) -> Option<&WatchRange> {
        Some(&self.ranges.get(id.0 as usize)?.as_ref()?.range)
    }
}
