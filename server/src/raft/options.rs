//! How consensus is run, and what that means in openraft's own settings.
//!
//! Rule: what openraft leaves to a default that could change between its versions, and that safety or liveness hangs on, is
//! set here and asserted by a test.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use quorate_core::error::Fault;
use quorate_core::limits;

/// Settings of this member.
#[derive(Clone, Debug)]
pub struct Options {
    /// This member's id.
    pub node_id: u64,
    /// How often a leader tells the others that it is there (`--heartbeat-interval`).
    pub heartbeat: Duration,
    /// How long the others wait for it before they elect another (`--election-timeout`).
    pub election_timeout: Duration,
    /// Whether a member asks if it could win before it raises the term (`--pre-vote`).
    pub pre_vote: bool,
    /// Applied and flushed entries that stay in the log, so that a member that lags a little needs no snapshot.
    pub entries_kept: u64,
}

impl Options {
    /// The settings a member has unless it is told otherwise (contract §6.2).
    #[must_use]
    pub fn new(node_id: u64) -> Self {
        Self {
            node_id,
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_secs(1),
            pre_vote: true,
            entries_kept: limits::LOG_ENTRIES_KEPT,
        }
    }

    /// openraft's settings for these.
    pub(super) fn config(&self) -> Result<Config, Fault> {
        let heartbeat = millis(self.heartbeat);
        let election = millis(self.election_timeout);
        let config = Config {
            cluster_name: "quorate".to_owned(),
            heartbeat_interval: heartbeat,
            // A follower waits for the old leader's lease (the maximum), then for a time drawn from the two. Measured
            // with 500 and 1000 ms: a new leader 1.5 to 1.9 s after the old one is gone, as with etcd.
            election_timeout_min: election / 2,
            election_timeout_max: election,
            enable_pre_vote: Some(self.pre_vote),
            // Without it, heartbeats of a leader that lost its quorum can keep the others from ever electing one
            // (openraft #2080). At least twice the maximum.
            quorum_loss_probe_interval: Some(2 * election),
            // A restarted leader stands for election: it must not lead on the strength of a vote from before the crash.
            enable_leader_restore: Some(false),
            allow_log_reversion: Some(false),
            max_payload_entries: 4096,
            max_append_entries: Some(4096),
            api_batch_capacity: 4096,
            // An idle leader proposes at once.
            api_batch_linger_ms: 0,
            api_channel_size: Some(limits::PROPOSALS_IN_FLIGHT_MAX as u64),
            // The engine says when it has flushed; see `Consensus::purge_behind`.
            snapshot_policy: SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: self.entries_kept,
            ..Config::default()
        };
        config.validate().map_err(|error| {
            Fault::new(format!(
                "heartbeat interval {heartbeat} ms and election timeout {election} ms do not go together ({error}); \
                 the election timeout should be at least five times the heartbeat interval"
            ))
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_that_safety_and_liveness_hang_on() {
        let config = Options::new(7).config().expect("the defaults are valid");
        assert_eq!(config.heartbeat_interval, 100);
        assert_eq!((config.election_timeout_min, config.election_timeout_max), (500, 1000));
        assert_eq!(config.enable_pre_vote, Some(true));
        assert_eq!(config.quorum_loss_probe_interval, Some(2000));
        assert_eq!(config.enable_leader_restore, Some(false));
        assert_eq!(config.allow_log_reversion, Some(false));
        assert_eq!(config.max_payload_entries, 4096);
        assert_eq!(config.api_batch_linger_ms, 0);
        assert_eq!(config.snapshot_policy, SnapshotPolicy::Never);
        assert_eq!(config.max_in_snapshot_log_to_keep, limits::LOG_ENTRIES_KEPT);
        assert_eq!(config.heartbeat_min_interval, Some(0), "every tick sends a heartbeat");
        assert!(config.enable_tick && config.enable_heartbeat && config.enable_elect);
    }

    #[test]
    fn a_heartbeat_slower_than_elections_is_refused_with_a_sentence() {
        let options = Options { heartbeat: Duration::from_secs(2), ..Options::new(7) };
        let fault = options.config().expect_err("refused");
        assert!(fault.to_string().contains("heartbeat interval 2000 ms"), "{fault}");
    }
}
