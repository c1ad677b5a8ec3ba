//! The types openraft works with.
//!
//! Rule: one leader per term (`leader_id_std`), because clients of etcd may take a term for a leader. Names that differ
//! between the real world and the simulator, such as the runtime, are picked here and nowhere else.

use std::fmt;
use std::sync::Arc;

use openraft::RaftTypeConfig;
use openraft::impls::leader_id_std::LeaderId;
use openraft::raft::responder::Responder;
use prost::Message;
use quorate_core::machine::Outcome;
use quorate_proto::internal::Command;
use tokio::sync::oneshot;

/// What tasks, timers and channels openraft uses.
pub(super) type Runtime = openraft_rt_tokio::TokioRuntime;

/// The bundle of types that openraft is generic over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Types;

impl RaftTypeConfig for Types {
    type D = Proposal;
    type R = Outcome;
    type NodeId = u64;
    type Node = Peer;
    type Term = u64;
    type LeaderId = LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = openraft::EntryPayload<Proposal, u64, Peer>;
    type Entry = openraft::Entry<openraft::type_config::alias::CommittedLeaderIdOf<Self>, Self::Payload>;
    type Responder<T>
        = Answer<T>
    where
        T: Send + 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: Send + 'static;
    type AsyncRuntime = Runtime;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

pub(super) type Entry = openraft::type_config::alias::EntryOf<Types>;
pub(super) type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub(super) type Vote = openraft::type_config::alias::VoteOf<Types>;
pub(super) type Membership = openraft::Membership<u64, Peer>;
pub(super) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
pub(super) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<Types>;

/// A command on its way into the log. Cheap to clone.
#[derive(Clone, PartialEq)]
pub(super) struct Proposal {
    /// The command.
    pub(super) command: Arc<Command>,
    /// Its encoded length, counted once: the log, the caches and the rounds all ask for it.
    pub(super) bytes: usize,
}

impl Proposal {
    pub(super) fn new(command: Arc<Command>) -> Self {
        let bytes = command.encoded_len();
        Self { command, bytes }
    }
}

// Values of clients do not belong in debug output, so neither form shows them.
impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a command of {} bytes", self.bytes)
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a member of the group listens for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its advertised peer URLs.
    pub(super) urls: Vec<String>,
}

/// Carries an answer straight to the caller's task. A caller that has gone away is no event worth a log line, which is
/// why this is not openraft's own.
pub(super) struct Answer<T>(pub(super) oneshot::Sender<T>);

impl<T: Send + 'static> Responder<Types, T> for Answer<T> {
    fn on_complete(self, result: T) {
        self.0.send(result).ok();
    }
}
