//! Where this member stands, for health, metrics and the status call.
//!
//! Rule: a leader that lost its quorum still calls itself leader. Whoever asks about health looks at
//! [`Status::quorum_acked_ago`], not at [`Status::is_leader`].

use std::time::Duration;

use openraft::{Instant, RaftMetrics, ServerState};

use super::codec::index_of;
use super::types::Types;

/// Who leads, as far as this member knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The term.
    pub term: u64,
    /// The leader of that term.
    pub leader: Option<u64>,
    /// Whether it is this member.
    pub is_leader: bool,
}

/// A member's place in the group. Indexes count from 1; 0 means "none yet".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The leader of the term, if it is known.
    pub leader: Option<u64>,
    /// The term.
    pub term: u64,
    /// True while this member considers itself leader.
    pub is_leader: bool,
    /// The last entry appended to this member's log, not necessarily synced.
    pub last_log_index: u64,
    /// The last entry this member knows to be committed.
    pub committed_index: u64,
    /// The last applied entry.
    pub applied_index: u64,
    /// The last entry dropped from the log.
    pub purged_index: u64,
    /// How long ago the last message was sent that a quorum has confirmed. `Some(0)` for a leader that is its own quorum;
    /// `None` for others than the leader, and before the first confirmation.
    pub quorum_acked_ago: Option<Duration>,
    /// The voting members, ascending.
    pub voters: Vec<u64>,
    /// The members that receive the log and do not vote, ascending.
    pub learners: Vec<u64>,
}

impl Status {
    pub(super) fn of(metrics: &RaftMetrics<Types>) -> Self {
        let voters: Vec<u64> = metrics.membership_config.voter_ids().collect();
        let is_leader = metrics.state == ServerState::Leader;
        let quorum_acked_ago = match metrics.last_quorum_acked {
            _ if is_leader && voters == [metrics.id] => Some(Duration::ZERO),
            Some(acked) if is_leader => Some(acked.elapsed()),
            _ => None,
        };
        Self {
            leader: metrics.current_leader,
            term: metrics.current_term,
            is_leader,
            last_log_index: metrics.last_log_index.map_or(0, |index| index + 1),
            committed_index: index_of(metrics.local_committed),
            applied_index: index_of(metrics.last_applied),
            purged_index: index_of(metrics.purged),
            quorum_acked_ago,
            voters,
            learners: metrics.membership_config.membership().learner_ids().collect(),
        }
    }
}
