//! The watcher ids of one stream (contract §2.9).
//!
//! Rule: an id names one watcher until the client cancels it. Ids the server picks count up from 0 and skip those in use;
//! they are not picked again. A client may use any other number, also a negative one, once at a time.

use crate::watch::hub::WatcherKey;
use std::collections::BTreeMap;

/// The ids in use.
#[derive(Debug, Default)]
pub struct Ids {
    used: BTreeMap<i64, WatcherKey>,
    next: i64,
}

impl Ids {
    /// The id for a create request that asks for `requested`, 0 meaning "any"; nothing when it is in use. The id is not
    /// taken before [`Ids::insert`].
    #[must_use]
    pub fn choose(&self, requested: i64) -> Option<i64> {
        if requested != 0 {
            return (!self.used.contains_key(&requested)).then_some(requested);
        }
        let mut free = self.next;
        for used in self.used.range(self.next..).map(|(used, _)| *used) {
            if used > free {
                break;
            }
            free = used + 1;
        }
        Some(free)
    }

    /// Takes an id.
    pub fn insert(&mut self, requested: i64, id: i64, watcher: WatcherKey) {
        if requested == 0 {
            self.next = id + 1;
        }
        self.used.insert(id, watcher);
    }

    /// Gives an id back.
    pub fn remove(&mut self, id: i64) -> Option<WatcherKey> {
        self.used.remove(&id)
    }

    /// Ids in use with their watchers, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (i64, WatcherKey)> {
        self.used.iter().map(|(id, watcher)| (*id, *watcher))
    }

    /// How many are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// True when none is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::slab::Slab;

    #[test]
    fn the_server_counts_from_zero_and_skips_what_clients_took() {
        let mut ids = Ids::default();
        let watcher = WatcherKey(Slab::default().insert(()));
        let mut create = |requested: i64| {
            let id = ids.choose(requested)?;
            ids.insert(requested, id, watcher);
            Some(id)
        };
        assert_eq!([create(0), create(2), create(0), create(0), create(0)], [0, 2, 1, 3, 4].map(Some));
        assert_eq!([create(2), create(-7), create(-7)], [None, Some(-7), None]);
        ids.remove(1);
        assert_eq!([ids.choose(0), ids.choose(1)], [Some(5), Some(1)]);
    }
}
