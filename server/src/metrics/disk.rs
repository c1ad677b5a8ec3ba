//! What the disk costs: log, engine and snapshots (§8.2, `etcd_disk_*`, `etcd_snap_*`).
//!
//! etcd's names, our work: "backend commit" is one engine batch of an apply round, "fsync" is one sync of the log.

use prometheus::{Histogram, IntGauge};

use super::register::{Register, SECONDS};

/// Durations and sizes on the disk side, all in seconds or bytes.
#[derive(Debug)]
pub struct DiskMetrics {
    /// Writing one batch of an apply round to the engine.
    pub backend_commit_seconds: Histogram,
    /// One Defragment.
    pub defrag_seconds: Histogram,
    /// 1 while defragmenting.
    pub defrag_in_flight: IntGauge,
    /// Streaming one snapshot of the database to a client.
    pub backend_snapshot_seconds: Histogram,
    /// One sync of the log.
    pub wal_fsync_seconds: Histogram,
    /// One write of a batch to the log, without its sync.
    pub wal_write_seconds: Histogram,
    /// Bytes appended to the log since the start of the process.
    pub wal_write_bytes: IntGauge,
    /// Encoding the description of a snapshot.
    pub snapshot_encode_seconds: Histogram,
    /// Saving the description of a snapshot.
    pub snapshot_save_seconds: Histogram,
    /// Syncing the description of a snapshot.
    pub snapshot_fsync_seconds: Histogram,
    /// Syncing a database that another member sent.
    pub received_fsync_seconds: Histogram,
    /// Saving a database that another member sent.
    pub received_save_seconds: Histogram,
}

impl DiskMetrics {
    pub(super) fn new(r: &Register<'_>) -> Self {
        Self {
            backend_commit_seconds: r.histogram(
                "etcd_disk_backend_commit_duration_seconds",
                "Seconds to write one batch to the engine.",
                SECONDS,
            ),
            defrag_seconds: r.histogram(
                "etcd_disk_backend_defrag_duration_seconds",
                "Seconds taken by a defragmentation.",
                (0.1, 2.0, 13),
            ),
            defrag_in_flight: r.gauge("etcd_disk_defrag_inflight", "1 while a defragmentation runs."),
            backend_snapshot_seconds: r.histogram(
                "etcd_disk_backend_snapshot_duration_seconds",
                "Seconds to send a snapshot of the database.",
                (0.01, 2.0, 17),
            ),
            wal_fsync_seconds: r.histogram(
                "etcd_disk_wal_fsync_duration_seconds",
                "Seconds taken by a sync of the log.",
                SECONDS,
            ),
            wal_write_seconds: r.histogram(
                "etcd_disk_wal_write_duration_seconds",
                "Seconds to write a batch to the log, without its sync.",
                SECONDS,
            ),
            wal_write_bytes: r.gauge("etcd_disk_wal_write_bytes_total", "Bytes appended to the log."),
            snapshot_encode_seconds: r.histogram(
                "etcd_debugging_snap_save_marshalling_duration_seconds",
                "Seconds to encode the description of a snapshot.",
                SECONDS,
            ),
            snapshot_save_seconds: r.histogram(
                "etcd_debugging_snap_save_total_duration_seconds",
                "Seconds to save the description of a snapshot.",
                SECONDS,
            ),
            snapshot_fsync_seconds: r.histogram(
                "etcd_snap_fsync_duration_seconds",
                "Seconds to sync the description of a snapshot.",
                SECONDS,
            ),
            received_fsync_seconds: r.histogram(
                "etcd_snap_db_fsync_duration_seconds",
                "Seconds to sync a database received from another member.",
                SECONDS,
            ),
            received_save_seconds: r.histogram(
                "etcd_snap_db_save_total_duration_seconds",
                "Seconds to save a database received from another member.",
                (0.1, 2.0, 10),
            ),
        }
    }
}
