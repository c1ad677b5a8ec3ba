//! The apply loop's end of the watches.
//!
//! Rule: publishing costs the writer a bounded, small amount of work, whatever the watchers do.

use crate::watch::signals::Signals;
use quorate_core::limits::WATCH_HUB_BYTES_MAX;
use quorate_core::machine::Change;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a change takes in the hub's queue beside key and value.
const CHANGE_BYTES: usize = size_of::<Change>();

/// A round that readers can see.
#[derive(Debug)]
pub struct Published {
    /// The store's revision after the round.
    pub revision_after: i64,
    /// What it changed, in revision order.
    pub changes: Vec<Change>,
}

impl Published {
    pub(crate) fn bytes(&self) -> usize {
        self.changes.iter().map(|change| CHANGE_BYTES + change.key.len() + change.kv.len()).sum()
    }
}

/// Hands rounds to the hub.
#[derive(Debug)]
pub struct Publisher {
    rounds: mpsc::Sender<Published>,
    signals: Arc<Signals>,
}

impl Publisher {
    pub(crate) fn new(rounds: mpsc::Sender<Published>, signals: Arc<Signals>) -> Self {
        Self { rounds, signals }
    }

    /// Tells the hub of a round whose view is stored. Never waits: a round that does not fit is dropped, and the hub learns
    /// that it missed something.
    pub fn publish(&self, round: Published) {
        let bytes = round.bytes();
        if self.signals.add_queued(bytes) + bytes > WATCH_HUB_BYTES_MAX || self.rounds.try_send(round).is_err() {
            self.signals.remove_queued(bytes);
            self.signals.miss();
        }
    }
}
