//! What a member is, read once per scrape: the gauges that nobody keeps up to date in between.
//!
//! Rule: a sample is taken without waiting for apply, disk or peers. A scrape must work best when all of them are stuck.

use std::time::Duration;

/// Says how the member stands at this moment.
pub trait MetricsSource: Send + Sync {
    /// Reads the state. Called on a thread that may block briefly, once per scrape and per `/debug/vars`.
    fn sample(&self) -> Sample;
}

/// The state of a member at one moment. Counts are counts, sizes are bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// This member.
    pub member_id: u64,
    /// The leader, if one is known.
    pub leader_id: Option<u64>,
    /// A leader is known and was heard of recently enough to be believed.
    pub has_leader: bool,
    /// This member leads.
    pub is_leader: bool,
    /// This member does not vote.
    pub is_learner: bool,
    /// The term.
    pub term: u64,
    /// Index of the last committed log entry.
    pub committed_index: u64,
    /// Index of the last applied log entry.
    pub applied_index: u64,
    /// Proposals that wait for their answer.
    pub pending_proposals: u64,
    /// Current revision.
    pub revision: i64,
    /// Last compacted revision, -1 before the first.
    pub compact_revision: i64,
    /// Unix time of the last compaction in seconds, 0 before the first.
    pub last_compaction_unix_seconds: i64,
    /// Revision of users and roles.
    pub auth_revision: u64,
    /// Keys that exist.
    pub live_keys: u64,
    /// Size of the database.
    pub db_size_bytes: u64,
    /// The part of it that holds data.
    pub db_in_use_bytes: u64,
    /// The size at which writes are refused, 0 if never.
    pub quota_bytes: u64,
    /// Views of the engine that reads hold.
    pub open_reads: u64,
    /// Open watch streams.
    pub watch_streams: u64,
    /// Watchers on all streams.
    pub watchers: u64,
    /// Watchers that are behind.
    pub slow_watchers: u64,
    /// Events waiting for them.
    pub pending_events: u64,
    /// Revisions that are readable and were not yet handed to watchers.
    pub watch_hub_lag_revisions: u64,
    /// How long the log's sync in flight has been running, if there is one.
    pub wal_sync_in_flight: Option<Duration>,
    /// A snapshot from another member is being installed.
    pub installing_snapshot: bool,
    /// The version the cluster agreed on, as `major.minor`.
    pub cluster_version: Option<String>,
    /// Active alarms: the member that raised it, and `NOSPACE` or `CORRUPT`.
    pub alarms: Vec<(u64, &'static str)>,
}

/// Gauges are signed in Prometheus' client; no count of ours comes near the difference.
pub(super) fn gauge_value(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
