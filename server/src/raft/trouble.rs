//! Why this member cannot answer now.
//!
//! Rule: each trouble knows whether the change it was asked for may still happen. A caller tries again by itself only when
//! it cannot.

/// This member cannot answer now. Another may, or this one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Refused before it was appended: this member does not lead, or its lead is not confirmed by a quorum.
    #[error("not the leader")]
    NotLeader {
        /// Who leads, if it is known.
        leader: Option<u64>,
    },
    /// The leader changed while the entry was under way. It may have been committed, or may still be.
    #[error("the leader changed; the change may have happened")]
    LeaderChanged {
        /// Who leads now, if it is known.
        leader: Option<u64>,
    },
    /// A quorum did not confirm this member's lead in time.
    #[error("no quorum")]
    NoQuorum,
    /// Not ready within the time allowed.
    #[error("not ready in time")]
    Timeout,
    /// The member is stopping.
    #[error("stopped")]
    Stopped {
        /// False when the proposal was refused before anything was done with it.
        may_have_happened: bool,
    },
}

impl Trouble {
    /// Whether the change that was asked for may have happened, or may yet happen.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::NotLeader { .. } | Self::NoQuorum | Self::Timeout => false,
            Self::LeaderChanged { .. } => true,
            Self::Stopped { may_have_happened } => *may_have_happened,
        }
    }
}
