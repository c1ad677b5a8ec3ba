//! The third kind of error: this member cannot answer now.
//!
//! A refusal is a result and a fault stops the member; trouble is in between. Each kind says whether the request may have
//! happened all the same, because a client that retries a write must know.

use quorate_core::error::{Fault, Refusal};

/// Why this member cannot answer now. The text of each is the protocol (contract §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No leader is known.
    #[error("etcdserver: no leader")]
    NoLeader,
    /// Leadership moved while the request was waiting.
    #[error("etcdserver: leader changed")]
    LeaderChanged,
    /// The request took longer than the request timeout; it may still happen.
    #[error("etcdserver: request timed out")]
    Timeout,
    /// As `Timeout`, when the leader was elected shortly before.
    #[error("etcdserver: request timed out, possibly due to previous leader failure")]
    TimeoutDueToLeaderFail,
    /// Too much is waiting already; the request did not happen.
    #[error("etcdserver: too many requests")]
    TooManyRequests,
    /// The member is stopping.
    #[error("etcdserver: server stopped")]
    Stopped,
    /// This member does not lead, and the request is for leaders only.
    #[error("etcdserver: not leader")]
    NotLeader,
    /// The leader cannot prove that it still leads, so it must not renew leases.
    #[error("not a primary lessor")]
    NotPrimary,
}

impl Trouble {
    /// True when the request may have happened, or may happen yet.
    #[must_use]
    pub const fn may_have_happened(self) -> bool {
        match self {
            Self::Timeout | Self::TimeoutDueToLeaderFail | Self::Stopped | Self::LeaderChanged => true,
            Self::NoLeader | Self::TooManyRequests | Self::NotLeader | Self::NotPrimary => false,
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The cluster refuses it.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// This member cannot answer it now.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// This member is about to stop because of a fault, which its log tells; clients hear that it stopped.
    #[error(transparent)]
    Fault(#[from] Fault),
}
