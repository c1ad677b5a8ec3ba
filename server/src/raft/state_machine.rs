//! Committed entries on their way into the state, many at a time.
//!
//! Rule: entries are applied in order, each once, in rounds; every caller is answered after the whole round is applied and
//! before the next begins. A round takes what is committed already and waits for nothing, so a lone entry is a round by
//! itself.
//!
//! Snapshots: the engine's files are the snapshot. "Building" one means naming a position that the engine has flushed, which
//! is what openraft asks for before it lets go of the log.
//!
//! Left out: taking a snapshot from a peer, which comes with the peer transport. Until then it is a fault, as the member
//! could not go on without it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use futures::{FutureExt, Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, RaftSnapshotBuilder};
use parking_lot::Mutex;
use quorate_core::error::Fault;
use quorate_core::limits;
use quorate_core::machine::Outcome;
use quorate_proto::internal::{self as pb, Command};
use tokio::sync::watch;

use super::bell::Bell;
use super::codec::{CodecError, log_id, stored_membership, stored_membership_message, term_index};
use super::tail::weight;
use super::types::{Entry, LogId, SnapshotMeta, StoredMembership, Types};

/// An entry that a quorum holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The term of the leader that appended it.
    pub term: u64,
    /// Its index, from 1.
    pub index: u64,
    /// What it says.
    pub payload: CommittedPayload,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq)]
pub enum CommittedPayload {
    /// Nothing; a new leader begins its term with it.
    Blank,
    /// A change to the replicated state.
    Command(Arc<Command>),
    /// Who votes from here on. To be kept beside the state and given back by [`Applier::applied`].
    Membership(pb::StoredMembership),
}

/// Where the state stands when the member starts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Term and index (from 1) of the last applied entry; `None` before the first.
    pub position: Option<(u64, u64)>,
    /// The last applied membership; the default before the first.
    pub membership: pb::StoredMembership,
}

/// Who applies.
pub trait Applier: Send + 'static {
    /// Where the state stands. Asked at start, before the first round; all of it must be durable by then.
    ///
    /// # Errors
    /// A fault when the store cannot be read.
    fn applied(&self) -> Result<Applied, Fault>;

    /// Applies `entries` as one round, in order, and answers with one outcome for each. When it returns, the round is
    /// readable; it need not be durable.
    ///
    /// # Errors
    /// A fault, which stops the member; nothing is applied after it.
    fn apply(&mut self, entries: &[Committed]) -> impl Future<Output = Result<Vec<Outcome>, Fault>> + Send;
}

/// An applier of some type. One boxed future a round is what it costs that [`super::Consensus`] has no type parameter.
trait AnyApplier: Send {
    fn apply<'a>(&'a mut self, entries: &'a [Committed]) -> Pin<Box<dyn Future<Output = RoundOutcome> + Send + 'a>>;
}

type RoundOutcome = Result<Vec<Outcome>, Fault>;

impl<A: Applier> AnyApplier for A {
    fn apply<'a>(&'a mut self, entries: &'a [Committed]) -> Pin<Box<dyn Future<Output = RoundOutcome> + Send + 'a>> {
        Box::pin(Applier::apply(self, entries))
    }
}

/// Names a state that the engine holds for good. The bytes are the engine's; whoever sends them takes them from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotData;

/// What the engine has flushed, and the memberships that matter for it. Shared with the facade, which is told of flushes.
#[derive(Debug, Default)]
pub(super) struct Flushed {
    position: Option<LogId>,
    /// The membership in force at `position`, then the ones applied since. As many as membership changes between two flushes.
    memberships: VecDeque<StoredMembership>,
}

impl Flushed {
    fn new(position: Option<LogId>, membership: StoredMembership) -> Self {
        Self { position, memberships: [membership].into() }
    }

    /// The engine has flushed up to `position`.
    pub(super) fn advance(&mut self, position: LogId) {
        if self.position.is_none_or(|flushed| flushed.index < position.index) {
            self.position = Some(position);
        }
        while self.memberships.get(1).and_then(|next| *next.log_id()) <= self.position && self.memberships.len() > 1 {
            self.memberships.pop_front();
        }
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.position,
            last_membership: self.memberships.front().cloned().unwrap_or_default(),
        }
    }
}

/// The replicated state as openraft sees it.
pub(super) struct StateMachine {
    /// Never locked: it is reached through `&mut self`. The lock makes `Sync` of an applier that is only `Send`.
    applier: Mutex<Box<dyn AnyApplier>>,
    flushed: Arc<Mutex<Flushed>>,
    applied: Option<LogId>,
    membership: StoredMembership,
    bell: Arc<Bell>,
    /// Closed when the applier is dropped; the last field, so that it is gone by then.
    at_work: watch::Sender<()>,
}

impl StateMachine {
    /// Where the applier stands, with what openraft needs of it.
    pub(super) fn new<A: Applier>(applier: A, bell: Arc<Bell>) -> Result<(Self, Applied), Fault> {
        let found = Applier::applied(&applier)?;
        let membership = stored_membership(found.membership.clone()).map_err(|error| unreadable(&error))?;
        let applied = found.position.and_then(|(term, index)| log_id(term, index));
        let flushed = Flushed::new(applied, membership.clone());
        let machine = Self {
            applier: Mutex::new(Box::new(applier)),
            flushed: Arc::new(Mutex::new(flushed)),
            applied,
            membership,
            bell,
            at_work: watch::Sender::new(()),
        };
        Ok((machine, found))
    }

    /// The cell that flushes are noted in.
    pub(super) fn flushed(&self) -> Arc<Mutex<Flushed>> {
        Arc::clone(&self.flushed)
    }

    /// Closes when the applier has done its last round and is dropped.
    pub(super) fn at_work(&self) -> watch::Receiver<()> {
        self.at_work.subscribe()
    }

    async fn round(&mut self, entries: &[Committed], last: LogId) -> io::Result<Vec<Outcome>> {
        let outcomes = self.applier.get_mut().apply(entries).await.and_then(|outcomes| {
            if outcomes.len() == entries.len() {
                return Ok(outcomes);
            }
            let (given, asked) = (outcomes.len(), entries.len());
            Err(Fault::new(format!("a round of {asked} entries was answered with {given} outcomes; this is a defect")))
        });
        match outcomes {
            Ok(outcomes) => {
                self.applied = Some(last);
                Ok(outcomes)
            }
            Err(fault) => {
                self.bell.ring(fault.clone());
                Err(io::Error::other(fault))
            }
        }
    }

    fn committed(&mut self, entry: Entry) -> Committed {
        let (term, index) = term_index(entry.log_id);
        let payload = match entry.payload {
            EntryPayload::Blank => CommittedPayload::Blank,
            EntryPayload::Normal(proposal) => CommittedPayload::Command(proposal.command),
            EntryPayload::Membership(membership) => {
                let stored = StoredMembership::new(Some(entry.log_id), membership);
                let message = stored_membership_message(&stored);
                self.flushed.lock().memberships.push_back(stored.clone());
                self.membership = stored;
                CommittedPayload::Membership(message)
            }
        };
        Committed { term, index, payload }
    }
}

fn unreadable(error: &CodecError) -> Fault {
    Fault::new(format!(
        "the store holds {error}. If this member was downgraded, start the newer version again; else restore it from a peer \
         or a snapshot."
    ))
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Namer;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + Send,
    {
        let mut round = Vec::new();
        let mut responders = Vec::new();
        let mut next = entries.next().await;
        while let Some(first) = next.take() {
            let mut item = first?;
            let mut bytes = 0;
            let last = loop {
                let (entry, responder) = item;
                let position = entry.log_id;
                bytes += weight(&entry);
                round.push(self.committed(entry));
                responders.push(responder);
                if round.len() >= limits::APPLY_ROUND_ENTRIES_MAX || bytes >= limits::APPLY_ROUND_BYTES_MAX {
                    break position;
                }
                match entries.next().now_or_never() {
                    Some(Some(ready)) => item = ready?,
                    Some(None) | None => break position,
                }
            };
            let outcomes = self.round(&round, last).await?;
            for (responder, outcome) in responders.drain(..).zip(outcomes) {
                if let Some(responder) = responder {
                    responder.send(outcome);
                }
            }
            round.clear();
            next = entries.next().await;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Namer {
        Namer { meta: self.flushed.lock().meta() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, _snapshot: SnapshotData) -> io::Result<()> {
        let fault = Fault::new(format!(
            "a snapshot up to {:?} arrived from a peer, and this build cannot install one",
            meta.last_log_id.map(term_index)
        ));
        self.bell.ring(fault.clone());
        Err(io::Error::other(fault))
    }

    /// None: openraft installs at start what is given here, and the engine needs no installing.
    async fn get_current_snapshot(&mut self) -> io::Result<Option<NamedSnapshot>> {
        Ok(None)
    }
}

type NamedSnapshot = openraft::type_config::alias::SnapshotOf<Types, SnapshotData>;

/// Names the flushed position.
pub(super) struct Namer {
    meta: SnapshotMeta,
}

impl RaftSnapshotBuilder<Types> for Namer {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<NamedSnapshot> {
        Ok(Snapshot { meta: self.meta.clone(), snapshot: SnapshotData })
    }
}
