//! One revision of everything, as readers hold it.
//!
//! Rule: a view never changes, costs a few reference counts to make, and keeps what it sees: rows that a later compaction
//! hides are removed only after the last view that saw them is dropped (its [`FloorPin`] is gone). So a reader takes a view
//! once and then owes nobody anything.

use crate::ids::{LogIndex, Term};
use crate::machine::alarm::Alarms;
use crate::machine::lease::Leases;
use crate::machine::members::Members;
use crate::mvcc::index::Index;
use std::sync::{Arc, Weak};

/// The state of the store at one revision.
#[derive(Clone, Debug)]
pub struct View {
    /// Newest main revision.
    pub revision: i64,
    /// Logical compaction floor; −1 on a store that was never compacted.
    pub compact_revision: i64,
    /// Last applied entry.
    pub applied_index: LogIndex,
    /// Its term.
    pub applied_term: Term,
    /// Logical bytes in use (see [`crate::mvcc::compact`]).
    pub bytes_in_use: i64,
    /// All keys.
    pub index: Index,
    /// All leases.
    pub leases: Leases,
    /// Active alarms.
    pub alarms: Arc<Alarms>,
    /// The members and what the cluster knows about itself.
    pub members: Arc<Members>,
    /// Keeps the rows above the floor.
    pub pin: Arc<FloorPin>,
}

/// Alive as long as a view with this floor is.
#[derive(Debug)]
pub struct FloorPin {
    /// The floor that the views see.
    pub floor: i64,
}

/// Tells when rows hidden by a floor may go: when nobody holds a view with a lower one.
#[derive(Debug)]
pub struct FloorPins {
    current: Arc<FloorPin>,
    earlier: Vec<Weak<FloorPin>>,
}

impl FloorPins {
    /// Starts with the floor that the store was opened with.
    #[must_use]
    pub fn new(floor: i64) -> Self {
        Self { current: Arc::new(FloorPin { floor }), earlier: Vec::new() }
    }

    /// The pin for views made now.
    #[must_use]
    pub fn pin(&self) -> Arc<FloorPin> {
        Arc::clone(&self.current)
    }

    /// Raises the floor for views made from now on.
    pub fn raise(&mut self, floor: i64) {
        self.earlier.retain(|pin| pin.strong_count() > 0);
        let before = std::mem::replace(&mut self.current, Arc::new(FloorPin { floor }));
        self.earlier.push(Arc::downgrade(&before));
    }

    /// The highest floor whose hidden rows nobody can see any more.
    #[must_use]
    pub fn reclaimable(&self) -> i64 {
        let held = self.earlier.iter().filter_map(Weak::upgrade).map(|pin| pin.floor).min();
        held.unwrap_or(self.current.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_may_go_when_the_last_view_that_saw_them_is_dropped() {
        let mut pins = FloorPins::new(-1);
        let first = pins.pin();
        pins.raise(5);
        let second = pins.pin();
        pins.raise(9);
        assert_eq!(pins.reclaimable(), -1);
        drop(first);
        assert_eq!(pins.reclaimable(), 5);
        drop(second);
        assert_eq!(pins.reclaimable(), 9);
    }
}
