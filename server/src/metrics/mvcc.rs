//! What the store did: operations, history, leases, watch events (§8.2, `etcd_mvcc_*` and `etcd_debugging_*`).

use prometheus::{Histogram, IntCounter, IntGauge};

use super::register::{Register, SECONDS};
use super::sample::{Sample, gauge_value};

/// Counters of the store. Everything that is a state and not an event comes from [`Sample`].
#[derive(Debug)]
pub struct MvccMetrics {
    /// Puts, also inside transactions.
    pub put_total: IntCounter,
    /// DeleteRange operations, also those that deleted nothing and those inside transactions.
    pub delete_total: IntCounter,
    /// Range operations, also inside transactions.
    pub range_total: IntCounter,
    /// Transactions of more than one operation.
    pub txn_total: IntCounter,
    /// Bytes of keys and values put since the start of the process.
    pub put_size_bytes: IntGauge,
    /// Events sent to watchers.
    pub events_total: IntCounter,
    /// Seconds taken by the Hash RPC.
    pub hash_seconds: Histogram,
    /// Seconds taken by the HashKV RPC.
    pub hash_rev_seconds: Histogram,
    /// Keys (revisions) removed by compaction.
    pub compaction_keys_total: IntCounter,
    /// Milliseconds one step of compaction held up the engine's writer.
    pub compaction_pause_ms: Histogram,
    /// Milliseconds from the start to the end of one compaction.
    pub compaction_total_ms: Histogram,
    /// Milliseconds one compaction of the index took.
    pub index_compaction_pause_ms: Histogram,
    /// Leases granted.
    pub lease_granted_total: IntCounter,
    /// Leases renewed at the leader.
    pub lease_renewed_total: IntCounter,
    /// Leases revoked, by request or by expiry.
    pub lease_revoked_total: IntCounter,
    /// Leases that expired.
    pub lease_expired_total: IntCounter,
    /// Seconds of TTL of the leases granted.
    pub lease_ttl_seconds: Histogram,
    compaction_last: IntGauge,
    auth_revision: IntGauge,
    compact_revision: IntGauge,
    current_revision: IntGauge,
    keys: IntGauge,
    pending_events: IntGauge,
    slow_watchers: IntGauge,
    watch_streams: IntGauge,
    watchers: IntGauge,
    open_reads: IntGauge,
    db_size: IntGauge,
    db_in_use: IntGauge,
}

impl MvccMetrics {
    pub(super) fn new(r: &Register<'_>) -> Self {
        Self {
            put_total: r.counter("etcd_mvcc_put_total", "Puts seen by this member."),
            delete_total: r.counter("etcd_mvcc_delete_total", "DeleteRange operations seen by this member."),
            range_total: r.counter("etcd_mvcc_range_total", "Range operations seen by this member."),
            txn_total: r.counter("etcd_mvcc_txn_total", "Transactions of more than one operation."),
            put_size_bytes: r.gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of keys and values put."),
            events_total: r.counter("etcd_debugging_mvcc_events_total", "Events sent to watchers."),
            hash_seconds: r.histogram(
                "etcd_mvcc_hash_duration_seconds",
                "Seconds taken by a hash of the whole store.",
                (0.01, 2.0, 15),
            ),
            hash_rev_seconds: r.histogram(
                "etcd_mvcc_hash_rev_duration_seconds",
                "Seconds taken by a hash of the keys at a revision.",
                (0.01, 2.0, 15),
            ),
            compaction_keys_total: r
                .counter("etcd_debugging_mvcc_db_compaction_keys_total", "Revisions removed by compaction."),
            compaction_pause_ms: r.histogram(
                "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
                "Milliseconds one step of compaction held up the writer.",
                (1.0, 2.0, 13),
            ),
            compaction_total_ms: r.histogram(
                "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
                "Milliseconds one compaction took in all.",
                (100.0, 2.0, 14),
            ),
            index_compaction_pause_ms: r.histogram(
                "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
                "Milliseconds one compaction of the index took.",
                (0.5, 2.0, 14),
            ),
            lease_granted_total: r.counter("etcd_debugging_lease_granted_total", "Leases granted."),
            lease_renewed_total: r.counter("etcd_debugging_lease_renewed_total", "Renewals seen by the leader."),
            lease_revoked_total: r.counter("etcd_debugging_lease_revoked_total", "Leases revoked."),
            lease_expired_total: r.counter("etcd_debugging_server_lease_expired_total", "Leases that expired."),
            lease_ttl_seconds: r.histogram(
                "etcd_debugging_lease_ttl_total",
                "Seconds of TTL of the leases granted.",
                (1.0, 2.0, 24),
            ),
            compaction_last: r
                .gauge("etcd_debugging_mvcc_db_compaction_last", "Unix time in seconds of the last compaction."),
            auth_revision: r.gauge("etcd_debugging_auth_revision", "Revision of users and roles."),
            compact_revision: r.gauge("etcd_debugging_mvcc_compact_revision", "Last compacted revision."),
            current_revision: r.gauge("etcd_debugging_mvcc_current_revision", "Current revision."),
            keys: r.gauge("etcd_debugging_mvcc_keys_total", "Live keys."),
            pending_events: r.gauge("etcd_debugging_mvcc_pending_events_total", "Events waiting for slow watchers."),
            slow_watchers: r
                .gauge("etcd_debugging_mvcc_slow_watcher_total", "Watchers that are behind the current revision."),
            watch_streams: r.gauge("etcd_debugging_mvcc_watch_stream_total", "Open watch streams."),
            watchers: r.gauge("etcd_debugging_mvcc_watcher_total", "Watchers."),
            open_reads: r.gauge("etcd_mvcc_db_open_read_transactions", "Reads that hold a view of the engine."),
            db_size: r.gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes the database takes."),
            db_in_use: r.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of the database that hold data."),
        }
    }

    pub(super) fn set(&self, sample: &Sample) {
        self.compaction_last.set(sample.last_compaction_unix_seconds);
        self.auth_revision.set(gauge_value(sample.auth_revision));
        self.compact_revision.set(sample.compact_revision);
        self.current_revision.set(sample.revision);
        self.keys.set(gauge_value(sample.live_keys));
        self.pending_events.set(gauge_value(sample.pending_events));
        self.slow_watchers.set(gauge_value(sample.slow_watchers));
        self.watch_streams.set(gauge_value(sample.watch_streams));
        self.watchers.set(gauge_value(sample.watchers));
        self.open_reads.set(gauge_value(sample.open_reads));
        self.db_size.set(gauge_value(sample.db_size_bytes));
        self.db_in_use.set(gauge_value(sample.db_in_use_bytes));
    }
}

/// Seconds that sending on watch streams took.
#[derive(Debug)]
pub struct WatchMetrics {
    /// One answer to a create or cancel request.
    pub control_send_seconds: Histogram,
    /// One progress notification.
    pub progress_send_seconds: Histogram,
    /// One response with events.
    pub events_send_seconds: Histogram,
    /// The same, divided by the number of events in the response.
    pub event_send_seconds: Histogram,
}

impl WatchMetrics {
    pub(super) fn new(r: &Register<'_>) -> Self {
        let histogram = |part: &str, help: &str| {
            r.histogram(&format!("etcd_debugging_server_watch_send_loop_{part}_seconds"), help, SECONDS)
        };
        Self {
            control_send_seconds: histogram("control_stream_duration", "Seconds to send a control response."),
            progress_send_seconds: histogram("progress_duration", "Seconds to send a progress notification."),
            events_send_seconds: histogram("watch_stream_duration", "Seconds to send a response with events."),
            event_send_seconds: histogram("watch_stream_duration_per_event", "Seconds to send one event."),
        }
    }
}
