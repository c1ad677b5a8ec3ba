//! Numbers of the watches, for whoever exports them (contract §8.2).
//!
//! Rule: written where the thing happens, read whenever somebody asks; each is right by itself, not all at one instant.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The numbers.
#[derive(Debug, Default)]
pub struct WatchMetrics {
    pub(crate) streams: AtomicI64,
    pub(crate) streams_canceled: AtomicU64,
    pub(crate) watchers: AtomicI64,
    pub(crate) slow_watchers: AtomicI64,
    pub(crate) events: AtomicU64,
    pub(crate) pending_events: AtomicI64,
    pub(crate) hub_revision: AtomicI64,
    pub(crate) rounds_missed: AtomicU64,
}

impl WatchMetrics {
    /// Open streams.
    #[must_use]
    pub fn streams(&self) -> i64 {
        self.streams.load(Ordering::Relaxed)
    }

    /// Streams whose client went away without ending them, since the start. They count as `Canceled` (contract §8.3).
    #[must_use]
    pub fn streams_canceled(&self) -> u64 {
        self.streams_canceled.load(Ordering::Relaxed)
    }

    /// Watchers.
    #[must_use]
    pub fn watchers(&self) -> i64 {
        self.watchers.load(Ordering::Relaxed)
    }

    /// Watchers that are behind.
    #[must_use]
    pub fn slow_watchers(&self) -> i64 {
        self.slow_watchers.load(Ordering::Relaxed)
    }

    /// Events put into queues since the start, counted per watcher.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Events in queues.
    #[must_use]
    pub fn pending_events(&self) -> i64 {
        self.pending_events.load(Ordering::Relaxed)
    }

    /// The last revision the hub has handled; the store's revision less this one is how far the hub is behind.
    #[must_use]
    pub fn hub_revision(&self) -> i64 {
        self.hub_revision.load(Ordering::Relaxed)
    }

    /// How often the hub was so far behind that it had to read what it missed.
    #[must_use]
    pub fn rounds_missed(&self) -> u64 {
        self.rounds_missed.load(Ordering::Relaxed)
    }
}
