//! What must reach the hub even when its queues are full.
//!
//! Rule: raising a signal never waits and never fails, and one raised is seen: the hub looks at all of them after every
//! wake. Each is a state ("something was missed"), not a list of happenings, so it needs no bound; the list of streams with
//! room holds a stream at most once.

use parking_lot::Mutex;
use quorate_core::watch::hub::StreamKey;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// States that the hub looks at.
#[derive(Debug, Default)]
pub struct Signals {
    missed: AtomicBool,
    leaderless: AtomicBool,
    stopping: AtomicBool,
    roomy: Mutex<Vec<StreamKey>>,
    queued_bytes: AtomicUsize,
    wake: Notify,
}

impl Signals {
    /// A round was dropped.
    pub(crate) fn miss(&self) {
        self.missed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn take_missed(&self) -> bool {
        self.missed.swap(false, Ordering::AcqRel)
    }

    /// This member knows no leader, or knows one again.
    pub(crate) fn set_leaderless(&self, leaderless: bool) {
        self.leaderless.store(leaderless, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn leaderless(&self) -> bool {
        self.leaderless.load(Ordering::Acquire)
    }

    /// The member stops.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A queue that had refused has room. It says so once per refusal.
    pub(crate) fn room(&self, stream: StreamKey) {
        self.roomy.lock().push(stream);
        self.wake.notify_one();
    }

    pub(crate) fn take_roomy(&self) -> Vec<StreamKey> {
        std::mem::take(&mut self.roomy.lock())
    }

    /// Counts bytes of rounds into the hub's queue and out of it; answers how many there were before.
    pub(crate) fn add_queued(&self, bytes: usize) -> usize {
        self.queued_bytes.fetch_add(bytes, Ordering::AcqRel)
    }

    pub(crate) fn remove_queued(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(crate) async fn raised(&self) {
        self.wake.notified().await;
    }
}
