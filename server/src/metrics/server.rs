//! The member itself: role, versions, proposals, requests, health (§8.2, `etcd_server_*`).
//!
//! Rule: what runs once per request touches only handles that were resolved before. Labels are looked up once per
//! process (operations) or in rare calls (health checks, features).

use std::sync::OnceLock;

use parking_lot::Mutex;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::register::{Register, SECONDS};
use super::sample::{Sample, gauge_value};

/// An operation by the name that `op` of apply durations and `type` of request durations carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "each is named after its request")]
pub enum Op {
    Range,
    Put,
    DeleteRange,
    Txn,
    Compaction,
    LeaseGrant,
    LeaseRevoke,
    LeaseCheckpoint,
    Alarm,
    Authenticate,
    AuthEnable,
    AuthDisable,
    AuthStatus,
    AuthUserAdd,
    AuthUserDelete,
    AuthUserGet,
    AuthUserList,
    AuthUserChangePassword,
    AuthUserGrantRole,
    AuthUserRevokeRole,
    AuthRoleAdd,
    AuthRoleDelete,
    AuthRoleGet,
    AuthRoleList,
    AuthRoleGrantPermission,
    AuthRoleRevokePermission,
    ClusterVersionSet,
    ClusterMemberAttrSet,
    DowngradeInfoSet,
}

/// Number of operations.
const OPS: usize = Op::DowngradeInfoSet as usize + 1;

/// One histogram per operation and outcome; each appears when first used, and is found by index from then on.
#[derive(Debug)]
struct ByOp {
    family: HistogramVec,
    /// Label values before the operation.
    prefix: &'static [&'static str],
    handles: [[OnceLock<Histogram>; 2]; OPS],
}

impl ByOp {
    fn new(family: HistogramVec, prefix: &'static [&'static str]) -> Self {
        Self { family, prefix, handles: [const { [const { OnceLock::new() }; 2] }; OPS] }
    }

    fn get(&self, op: Op, success: bool) -> &Histogram {
        self.handles[op as usize][usize::from(success)].get_or_init(|| {
            let op = format!("{op:?}");
            let mut labels = self.prefix.to_vec();
            labels.extend([op.as_str(), flag(success)]);
            self.family.with_label_values(&labels)
        })
    }
}

fn flag(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A gauge that is 1 for the present value of its label and has no other sample.
#[derive(Debug)]
struct Current {
    family: IntGaugeVec,
    value: Mutex<Option<String>>,
}

impl Current {
    fn new(family: IntGaugeVec) -> Self {
        Self { family, value: Mutex::new(None) }
    }

    fn set(&self, value: Option<&str>) {
        let mut old = self.value.lock();
        if old.as_deref() == value {
            return;
        }
        self.family.reset();
        if let Some(value) = value {
            self.family.with_label_values(&[value]).set(1);
        }
        *old = value.map(str::to_owned);
    }
}

/// Counters and gauges of the member. Everything that is a state and not an event comes from [`Sample`].
#[derive(Debug)]
pub struct ServerMetrics {
    /// Proposals that failed.
    pub proposals_failed: IntCounter,
    /// Times the leader changed, as this member saw it. The first leader counts.
    pub leader_changes: IntCounter,
    /// Heartbeats this member sent too late as a leader.
    pub heartbeat_failures: IntCounter,
    /// Applies that took longer than the warning threshold.
    pub slow_applies: IntCounter,
    /// Read-index rounds that failed.
    pub read_index_failures: IntCounter,
    /// Read-index rounds that took too long.
    pub slow_read_indexes: IntCounter,
    /// Learners promoted through this member.
    pub promote_successes: IntCounter,
    promote_failures: IntCounterVec,
    /// `/health` said yes.
    pub health_successes: IntCounter,
    /// `/health` said no.
    pub health_failures: IntCounter,
    health_check: IntGaugeVec,
    health_checks: IntCounterVec,
    apply_seconds: ByOp,
    request_seconds: ByOp,
    range_family: HistogramVec,
    range_seconds: [OnceLock<Histogram>; 2],
    feature_enabled: IntGaugeVec,
    alarms: IntGaugeVec,
    id: Current,
    cluster_version: Current,
    has_leader: IntGauge,
    is_leader: IntGauge,
    is_learner: IntGauge,
    proposals_applied: IntGauge,
    proposals_committed: IntGauge,
    proposals_pending: IntGauge,
    quota: IntGauge,
    installing_snapshot: IntGauge,
}

impl ServerMetrics {
    /// `version` is the one told to clients, `major.minor.patch`.
    pub(super) fn new(r: &Register<'_>, version: &str) -> Self {
        let labelled = |name: &str, help: &str, label: &str| r.gauges(name, help, &[label]);
        labelled("etcd_server_version", "1 for the version of this server.", "server_version")
            .with_label_values(&[version])
            .set(1);
        // The name is asked for; the honest value is that no Go is involved.
        labelled("etcd_server_go_version", "1; this server is not written in Go.", "server_go_version")
            .with_label_values(&["none"])
            .set(1);
        Self {
            proposals_failed: r.counter("etcd_server_proposals_failed_total", "Proposals that failed."),
            leader_changes: r.counter("etcd_server_leader_changes_seen_total", "Changes of the leader."),
            heartbeat_failures: r
                .counter("etcd_server_heartbeat_send_failures_total", "Heartbeats sent too late by this leader."),
            slow_applies: r.counter("etcd_server_slow_apply_total", "Applies over the warning threshold."),
            read_index_failures: r.counter("etcd_server_read_indexes_failed_total", "Read-index rounds that failed."),
            slow_read_indexes: r.counter("etcd_server_slow_read_indexes_total", "Slow read-index rounds."),
            promote_successes: r.counter("etcd_server_learner_promote_successes", "Learners promoted."),
            promote_failures: r.counters(
                "etcd_server_learner_promote_failures",
                "Learners not promoted, by reason.",
                &["Reason"],
            ),
            health_successes: r.counter("etcd_server_health_success", "Times /health answered true."),
            health_failures: r.counter("etcd_server_health_failures", "Times /health answered false."),
            health_check: r.gauges(
                "etcd_server_healthcheck",
                "1 if the check succeeded when it last ran.",
                &["type", "name"],
            ),
            health_checks: r.counters(
                "etcd_server_healthchecks_total",
                "Runs of each check, by outcome.",
                &["type", "name", "status"],
            ),
            apply_seconds: ByOp::new(
                r.histograms(
                    "etcd_server_apply_duration_seconds",
                    "Seconds to apply one request.",
                    &["version", "op", "success"],
                    (0.0001, 2.0, 20),
                ),
                &["v3"],
            ),
            request_seconds: ByOp::new(
                r.histograms(
                    "etcd_server_request_duration_seconds",
                    "Seconds from request to answer inside the server.",
                    &["type", "success"],
                    SECONDS,
                ),
                &[],
            ),
            range_family: r.histograms(
                "etcd_server_range_duration_seconds",
                "Seconds to execute a Range.",
                &["success"],
                (0.0001, 2.0, 20),
            ),
            range_seconds: [const { OnceLock::new() }; 2],
            feature_enabled: r.gauges(
                "etcd_server_feature_enabled",
                "1 if the feature gate is on.",
                &["name", "stage"],
            ),
            alarms: r.gauges("etcd_debugging_server_alarms", "1 for each active alarm.", &["server_id", "alarm_type"]),
            id: Current::new(labelled("etcd_server_id", "1 for the ID of this member, in hex.", "server_id")),
            cluster_version: Current::new(labelled(
                "etcd_cluster_version",
                "1 for the version the cluster agreed on.",
                "cluster_version",
            )),
            has_leader: r.gauge("etcd_server_has_leader", "1 if a leader is known."),
            is_leader: r.gauge("etcd_server_is_leader", "1 if this member leads."),
            is_learner: r.gauge("etcd_server_is_learner", "1 if this member does not vote."),
            proposals_applied: r.gauge("etcd_server_proposals_applied_total", "Index of the last applied entry."),
            proposals_committed: r.gauge("etcd_server_proposals_committed_total", "Index of the last committed entry."),
            proposals_pending: r.gauge("etcd_server_proposals_pending", "Proposals that wait for their answer."),
            quota: r.gauge("etcd_server_quota_backend_bytes", "Bytes at which writes are refused."),
            installing_snapshot: r
                .gauge("etcd_server_snapshot_apply_in_progress_total", "1 while a snapshot is being installed."),
        }
    }

    /// Seconds of applying one request of this kind.
    pub fn apply_seconds(&self, op: Op, success: bool) -> &Histogram {
        self.apply_seconds.get(op, success)
    }

    /// Seconds from receiving a request of this kind to having its answer.
    pub fn request_seconds(&self, op: Op, success: bool) -> &Histogram {
        self.request_seconds.get(op, success)
    }

    /// Seconds of executing one Range.
    pub fn range_seconds(&self, success: bool) -> &Histogram {
        self.range_seconds[usize::from(success)].get_or_init(|| self.range_family.with_label_values(&[flag(success)]))
    }

    /// A learner was not promoted. The reason is one of a few fixed words, never text from a client.
    pub fn promote_failed(&self, reason: &'static str) {
        self.promote_failures.with_label_values(&[reason]).inc();
    }

    /// States a feature gate; `stage` is as `--help` prints it, such as `ALPHA`.
    pub fn set_feature(&self, name: &str, stage: &str, enabled: bool) {
        self.feature_enabled.with_label_values(&[name, stage]).set(i64::from(enabled));
    }

    /// One run of a check of `/livez` or `/readyz`; `endpoint` is the path without its slash.
    pub(crate) fn health_checked(&self, endpoint: &str, check: &str, ok: bool) {
        self.health_check.with_label_values(&[endpoint, check]).set(i64::from(ok));
        let status = if ok { "success" } else { "error" };
        self.health_checks.with_label_values(&[endpoint, check, status]).inc();
    }

    pub(super) fn set(&self, sample: &Sample) {
        self.id.set((sample.member_id != 0).then(|| format!("{:x}", sample.member_id)).as_deref());
        self.cluster_version.set(sample.cluster_version.as_deref());
        self.alarms.reset();
        for (member, alarm) in &sample.alarms {
            self.alarms.with_label_values(&[format!("{member:x}").as_str(), alarm]).set(1);
        }
        self.has_leader.set(i64::from(sample.has_leader));
        self.is_leader.set(i64::from(sample.is_leader));
        self.is_learner.set(i64::from(sample.is_learner));
        self.proposals_applied.set(gauge_value(sample.applied_index));
        self.proposals_committed.set(gauge_value(sample.committed_index));
        self.proposals_pending.set(gauge_value(sample.pending_proposals));
        self.quota.set(gauge_value(sample.quota_bytes));
        self.installing_snapshot.set(i64::from(sample.installing_snapshot));
    }
}
