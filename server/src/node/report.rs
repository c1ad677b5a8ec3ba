//! What the node tells the metrics, and what a scrape reads off the node.
//!
//! Rule: dashboards of etcd read true values under etcd's names (contract §8); where a name has no exact counterpart the
//! nearest honest one is told here and nowhere else.

use super::{Inner, Node};
use crate::metrics::{Metrics, MetricsSource, Op, Sample};
use quorate_core::machine::{Counts, Outcome};
use quorate_core::pb::AlarmType;
use quorate_disk::wal::WalObserver;
use quorate_proto::internal::{Command, command::Request};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl Metrics {
    /// An entry was applied; `took` is its share of the round.
    pub(super) fn applied(&self, command: &Command, outcome: &Outcome, took: Duration) {
        if let Some(op) = command.request.as_ref().map(op) {
            self.server.apply_seconds(op, outcome.is_ok()).observe(seconds(took));
        }
    }

    pub(super) fn round(&self, entries: usize, counts: Counts, took: Duration) {
        self.own.apply_round_entries.observe(entries as f64);
        self.own.apply_round_seconds.observe(seconds(took));
        self.mvcc.put_total.inc_by(counts.puts);
        self.mvcc.put_size_bytes.add(i64::try_from(counts.put_bytes).unwrap_or(i64::MAX));
        self.mvcc.delete_total.inc_by(counts.deletes);
        self.mvcc.range_total.inc_by(counts.ranges);
        self.mvcc.txn_total.inc_by(counts.txns);
    }

    pub(super) fn committed_batch(&self, took: Duration) {
        self.disk.backend_commit_seconds.observe(seconds(took));
    }

    pub(super) fn lease_granted(&self, ttl_seconds: i64) {
        self.mvcc.lease_granted_total.inc();
        self.mvcc.lease_ttl_seconds.observe(ttl_seconds as f64);
    }

    pub(super) fn lease_revoked(&self) {
        self.mvcc.lease_revoked_total.inc();
    }

    pub(super) fn lease_renewed(&self) {
        self.mvcc.lease_renewed_total.inc();
    }

    pub(super) fn lease_expired(&self) {
        self.mvcc.lease_expired_total.inc();
    }

    pub(super) fn proposal_failed(&self) {
        self.server.proposals_failed.inc();
    }

    pub(super) fn read_index_failed(&self) {
        self.server.read_index_failures.inc();
    }

    pub(super) fn read_index_round(&self, reads: usize) {
        self.own.read_index_round_size.observe(reads as f64);
    }

    pub(super) fn leader_changed(&self) {
        self.server.leader_changes.inc();
    }

    /// A step of physical compaction removed versions and held up writers for a moment.
    pub(super) fn trimmed(&self, removed: usize, took: Duration) {
        self.mvcc.compaction_keys_total.inc_by(removed as u64);
        self.mvcc.compaction_pause_ms.observe(milliseconds(took));
        // Index and rows are trimmed by the same step.
        self.mvcc.index_compaction_pause_ms.observe(milliseconds(took));
    }

    pub(super) fn trim_finished(&self, took: Duration) {
        self.mvcc.compaction_total_ms.observe(milliseconds(took));
    }

    pub(crate) fn range(&self, took: Duration, success: bool) {
        self.mvcc.range_total.inc();
        self.server.range_seconds(success).observe(seconds(took));
    }

    pub(crate) fn hashed_key_space(&self, took: Duration) {
        self.mvcc.hash_rev_seconds.observe(seconds(took));
    }

    pub(crate) fn hashed(&self, took: Duration) {
        self.mvcc.hash_seconds.observe(seconds(took));
    }

    /// Counts a defragmentation as running until the guard is dropped.
    pub(crate) fn defragmenting(self: &Arc<Self>) -> Defragmenting {
        self.disk.defrag_in_flight.inc();
        Defragmenting(Arc::clone(self))
    }

    pub(crate) fn defragmented(&self, took: Duration) {
        self.disk.defrag_seconds.observe(seconds(took));
    }
}

/// A defragmentation that runs.
pub(crate) struct Defragmenting(Arc<Metrics>);

impl Drop for Defragmenting {
    fn drop(&mut self) {
        self.0.disk.defrag_in_flight.dec();
    }
}

/// The operation of a command, as etcd's label names it.
fn op(request: &Request) -> Op {
    match request {
        Request::Put(_) => Op::Put,
        Request::DeleteRange(_) => Op::DeleteRange,
        Request::Txn(_) => Op::Txn,
        Request::Compaction(_) => Op::Compaction,
        Request::LeaseGrant(_) => Op::LeaseGrant,
        Request::LeaseRevoke(_) => Op::LeaseRevoke,
        Request::LeaseCheckpoint(_) => Op::LeaseCheckpoint,
        Request::Alarm(_) => Op::Alarm,
        Request::MemberAttributes(_) | Request::Bootstrap(_) => Op::ClusterMemberAttrSet,
        Request::ClusterVersion(_) => Op::ClusterVersionSet,
    }
}

/// Feeds what the log measures into the metrics.
pub(super) struct WalReport(pub(super) Arc<Metrics>);

impl WalObserver for WalReport {
    fn wrote(&self, bytes: usize, took: Duration) {
        self.0.disk.wal_write_bytes.add(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.0.disk.wal_write_seconds.observe(seconds(took));
    }

    fn synced(&self, took: Duration) {
        self.0.disk.wal_fsync_seconds.observe(seconds(took));
    }
}

/// A node as the metrics know it: they must not keep it, because it keeps them.
pub(crate) struct Scraped(Weak<Inner>);

impl MetricsSource for Scraped {
    fn sample(&self) -> Sample {
        self.0.upgrade().map_or_else(Sample::default, |inner| Node(inner).sample())
    }
}

impl Node {
    /// What a scrape reads this node through.
    pub(crate) fn scraped(&self) -> Scraped {
        Scraped(Arc::downgrade(&self.0))
    }

    fn sample(&self) -> Sample {
        let view = self.store.view();
        let status = self.consensus.status();
        let watching = self.watchers.metrics();
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        let alarm = |number: i32| match AlarmType::try_from(number) {
            Ok(AlarmType::Nospace) => "NOSPACE",
            Ok(AlarmType::Corrupt) => "CORRUPT",
            _ => "UNKNOWN",
        };
        raise(&self.metrics.mvcc.events_total, watching.events());
        let rows = self.store.rows().counts();
        raise(&self.metrics.own.row_cache_hits, rows.hits);
        raise(&self.metrics.own.row_cache_misses, rows.misses);
        Sample {
            member_id: self.identity.member_id.0,
            leader_id: status.leader,
            has_leader: self.has_leader(),
            is_leader: status.is_leader,
            is_learner: false,
            term: status.term,
            committed_index: status.committed_index,
            applied_index: view.applied_index.0,
            pending_proposals: self.in_flight.proposals() as u64,
            revision: view.revision,
            compact_revision: view.compact_revision,
            last_compaction_unix_seconds: self.last_compaction_unix_seconds(),
            auth_revision: 1,
            live_keys: view.index.live_keys(),
            // A store whose engine does not answer any more says so by a fault; a scrape has no better number then.
            db_size_bytes: self.db_size_bytes().map_or(0, positive),
            db_in_use_bytes: positive(view.bytes_in_use),
            quota_bytes: positive(self.quota_bytes()),
            open_reads: 0,
            watch_streams: positive(watching.streams()),
            watchers: positive(watching.watchers()),
            slow_watchers: positive(watching.slow_watchers()),
            pending_events: positive(watching.pending_events()),
            watch_hub_lag_revisions: positive(view.revision - watching.hub_revision()),
            wal_sync_in_flight: self.consensus.log_sync_in_flight(),
            installing_snapshot: false,
            cluster_version: major_minor(&view.members.cluster_version),
            alarms: view
                .alarms
                .list(AlarmType::None.into())
                .into_iter()
                .map(|active| (active.member_id, alarm(active.alarm)))
                .collect(),
        }
    }
}

/// Brings a counter up to a count that is kept elsewhere.
fn raise(counter: &prometheus::IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

/// `3.7` of `3.7.0`.
fn major_minor(version: &str) -> Option<String> {
    version.rsplit_once('.').map(|(major_minor, _)| major_minor.to_owned())
}

impl Node {
    /// Remembers when a compaction was asked for, for the metric of that name.
    pub(crate) fn note_compaction(&self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.compacted_at.store(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    fn last_compaction_unix_seconds(&self) -> i64 {
        self.compacted_at.load(Ordering::Relaxed)
    }
}
