//! What Quorate counts and etcd has no name for: how well work is batched, and what is about to be late.

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

use super::register::Register;
use super::sample::{Sample, gauge_value};

/// Sizes of batches, in entries or requests.
const BATCH: super::register::Buckets = (1.0, 2.0, 14);

/// The `quorate_*` metrics.
#[derive(Debug)]
pub struct OwnMetrics {
    /// Log entries applied in one round.
    pub apply_round_entries: Histogram,
    /// Seconds of one apply round, from its first entry to its answers.
    pub apply_round_seconds: Histogram,
    /// Reads of a key-value that found it in memory.
    pub row_cache_hits: IntCounter,
    /// Reads of a key-value that went to the engine.
    pub row_cache_misses: IntCounter,
    /// Log entries made durable by one sync.
    pub wal_batch_entries: Histogram,
    /// Linearizable reads answered by one read-index round.
    pub read_index_round_size: Histogram,
    watch_hub_lag: IntGauge,
    wal_sync_in_flight: Gauge,
}

impl OwnMetrics {
    pub(super) fn new(r: &Register<'_>) -> Self {
        Self {
            apply_round_entries: r.histogram("quorate_apply_round_entries", "Log entries applied in one round.", BATCH),
            apply_round_seconds: r.histogram(
                "quorate_apply_duration_seconds",
                "Seconds taken by one apply round.",
                (0.000_01, 2.0, 20),
            ),
            row_cache_hits: r.counter("quorate_row_cache_hits_total", "Key-values read from memory."),
            row_cache_misses: r.counter("quorate_row_cache_misses_total", "Key-values read from the engine."),
            wal_batch_entries: r.histogram("quorate_wal_batch_entries", "Log entries made durable by one sync.", BATCH),
            read_index_round_size: r.histogram(
                "quorate_read_index_round_size",
                "Reads answered by one read-index round.",
                BATCH,
            ),
            watch_hub_lag: r.gauge(
                "quorate_watch_hub_lag_revisions",
                "Revisions that are readable and not yet handed to watchers.",
            ),
            wal_sync_in_flight: r.float_gauge(
                "quorate_wal_sync_in_flight_seconds",
                "Age of the log's sync in flight in seconds, 0 if there is none. Grows while a disk is stuck.",
            ),
        }
    }

    pub(super) fn set(&self, sample: &Sample) {
        self.watch_hub_lag.set(gauge_value(sample.watch_hub_lag_revisions));
        self.wal_sync_in_flight.set(sample.wal_sync_in_flight.map_or(0.0, |age| age.as_secs_f64()));
    }
}
