//! The facade: everything the rest of the server asks of consensus.
//!
//! Rule: nothing of openraft shows through. Proposals and reads answer with a result or a [`Trouble`]; what stops the member
//! goes to the caller's `on_fault`, once.
//!
//! Tasks: openraft's own, and one that follows who leads. Queues: proposals wait in openraft's queue of
//! [`quorate_core::limits::PROPOSALS_IN_FLIGHT_MAX`]; when it is full, `propose` waits.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, LinearizableReadError, RaftError};
use openraft::metrics::RaftServerMetrics;
use openraft::raft::ReadPolicy;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{Raft, RaftMetrics, ServerState};
use parking_lot::Mutex;
use quorate_core::error::Fault;
use quorate_core::machine::Outcome;
use quorate_disk::wal::{Recovered, Wal};
use quorate_proto::internal::Command;
use tokio::sync::{oneshot, watch};

use super::align::align;
use super::bell::{Bell, OnFault};
use super::codec::{index_of, term_index};
use super::log_store::LogStore;
use super::network::NoPeers;
use super::options::Options;
use super::state_machine::{Applier, Flushed, StateMachine};
use super::status::{Leadership, Status};
use super::trouble::Trouble;
use super::types::{Answer, LogId, Peer, Proposal, Types};

/// This member's part in consensus. Clones share it.
#[derive(Clone)]
pub struct Consensus {
    inner: Arc<Inner>,
}

struct Inner {
    node_id: u64,
    raft: Raft<Types, StateMachine>,
    log: LogStore,
    flushed: Arc<Mutex<Flushed>>,
    recovered: Floor,
    leadership: watch::Receiver<Leadership>,
    /// Closes when the applier is gone.
    at_work: watch::Receiver<()>,
    bell: Arc<Bell>,
}

/// What must be applied before clients may read: all that they could have seen before the restart.
#[derive(Clone, Copy, Debug)]
struct Floor {
    /// The last entry of the log. It may have been committed and served just before the member stopped, because the record of
    /// what is committed lags behind. If it was not, the first entry of the next leader takes its place: that entry's
    /// position is higher, as its term is.
    last: Option<LogId>,
    /// What was known to be committed, from 1.
    committed_index: u64,
}

impl Floor {
    fn is_reached(&self, metrics: &RaftMetrics<Types>) -> bool {
        metrics.last_applied >= self.last && index_of(metrics.last_applied) >= self.committed_index
    }
}

impl Consensus {
    /// Brings the log and the applier together, applies what was known to be committed, and starts to take part.
    ///
    /// # Errors
    /// A fault when the settings, the log or the store do not allow it. `on_fault` hears only of what comes later.
    pub async fn start<A: Applier>(
        options: Options,
        wal: Wal,
        recovered: Recovered,
        applier: A,
        on_fault: OnFault,
    ) -> Result<Self, Fault> {
        let config = options.config()?;
        let bell = Arc::new(Bell::new(on_fault));
        let (machine, found) = StateMachine::new(applier, Arc::clone(&bell))?;
        let ends = align(&wal, &recovered, found.position).await?;
        let applied_index = found.position.map_or(0, |(_, index)| index);
        let floor = Floor { last: ends.last, committed_index: index_of(ends.recovered_committed) };
        let log = LogStore::new(wal, ends, applied_index, Arc::clone(&bell));
        let flushed = machine.flushed();
        let at_work = machine.at_work();
        let started = Raft::new(options.node_id, Arc::new(config), NoPeers, log.clone(), machine).await;
        let raft = match started {
            Ok(raft) => raft,
            Err(fatal) => return Err(bell.first().unwrap_or_else(|| Fault::new(stopped_by(&fatal)))),
        };
        let (tell, leadership) = watch::channel(Leadership::default());
        tokio::spawn(follow(raft.server_metrics(), raft.metrics(), tell, Arc::clone(&bell)));
        let inner = Inner { node_id: options.node_id, raft, log, flushed, recovered: floor, leadership, at_work, bell };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Founds a cluster of which this member is the only one. Does nothing if it belongs to a cluster already.
    ///
    /// # Errors
    /// A fault when the membership could not be written.
    pub async fn bootstrap_single(&self, peer_urls: Vec<String>) -> Result<(), Fault> {
        let raft = &self.inner.raft;
        if raft.is_initialized().await.map_err(|fatal| self.fault(&fatal))? {
            return Ok(());
        }
        let members = BTreeMap::from([(self.inner.node_id, Peer { urls: peer_urls })]);
        match raft.initialize(members).await {
            // Not allowed: another call was faster.
            Ok(()) | Err(RaftError::APIError(openraft::errors::InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::Fatal(fatal)) => Err(self.fault(&fatal)),
            Err(RaftError::APIError(error)) => Err(Fault::new(format!("the cluster cannot be founded: {error}"))),
        }
    }

    /// Makes a member that is its own quorum lead at once instead of after an election timeout. With other voters it does
    /// nothing: their timers decide.
    pub async fn elect_now(&self) {
        let raft = &self.inner.raft;
        let id = self.inner.node_id;
        let alone = raft
            .with_raft_state(move |state| {
                state.server_state != ServerState::Leader && state.membership_state.effective().voter_ids().eq([id])
            })
            .await;
        if alone == Ok(true) {
            // A stopped core is reported by the task that follows it.
            raft.trigger().elect(false).await.ok();
        }
    }

    /// Proposes `command` and waits until it is applied here. Dropping the future gives up the answer, not the change.
    pub fn propose(
        &self,
        command: Arc<Command>,
    ) -> impl Future<Output = Result<Outcome, Trouble>> + Send + 'static + use<> {
        let raft = self.inner.raft.clone();
        let proposal = Proposal::new(command);
        async move {
            let (tell, told) = oneshot::channel();
            if raft.client_write_ff(proposal, Some(Answer(tell))).await.is_err() {
                return Err(Trouble::Stopped { may_have_happened: false });
            }
            match told.await {
                Ok(Ok(written)) => Ok(written.data),
                Ok(Err(ClientWriteError::ForwardToLeader(to))) => Err(Trouble::NotLeader { leader: to.leader_id }),
                Ok(Err(ClientWriteError::LogEntryDiscarded(to))) => {
                    Err(Trouble::LeaderChanged { leader: to.leader_id })
                }
                Ok(Err(ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_))) => {
                    unreachable!("a command neither changes the membership nor has a precondition")
                }
                Err(_) => Err(Trouble::Stopped { may_have_happened: true }),
            }
        }
    }

    /// The index (from 1) up to which the state must be applied for a read that starts now to be linearizable. A quorum has
    /// confirmed, by answers to messages sent after this call, that nobody else led in the meantime.
    ///
    /// # Errors
    /// Trouble that is safe to retry.
    pub async fn read_index(&self) -> Result<u64, Trouble> {
        match self.inner.raft.get_read_linearizer(ReadPolicy::ReadIndex).await {
            Ok(linearizer) => Ok(term_index(*linearizer.read_log_id().log_id()).1),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                Err(Trouble::NotLeader { leader: to.leader_id })
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => Err(Trouble::NoQuorum),
            Err(RaftError::Fatal(_)) => Err(Trouble::Stopped { may_have_happened: false }),
        }
    }

    /// Where this member stands, as of openraft's last turn.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(&self.inner.raft.metrics().borrow_watched())
    }

    /// Changes of leader and term. A receiver sees the newest; it may miss some in between.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Leadership> {
        self.inner.leadership.clone()
    }

    /// Waits until a leader is known (in a cluster of one: until this member leads) and everything is applied that clients
    /// could have seen before the restart. Earlier they could read a past that they know is over.
    ///
    /// # Errors
    /// [`Trouble::Timeout`], or [`Trouble::Stopped`] when the member stops meanwhile.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<(), Trouble> {
        let ready = |metrics: &RaftMetrics<Types>| {
            metrics.running_state.is_err()
                || metrics.current_leader.is_some() && self.inner.recovered.is_reached(metrics)
        };
        match self.inner.raft.wait(Some(timeout)).metrics(ready, "ready").await {
            Ok(metrics) if metrics.running_state.is_ok() => Ok(()),
            Ok(_) | Err(openraft::metrics::WaitError::ShuttingDown) => {
                Err(Trouble::Stopped { may_have_happened: false })
            }
            Err(openraft::metrics::WaitError::Timeout(..)) => Err(Trouble::Timeout),
        }
    }

    /// The engine holds everything up to `flushed_index` (from 1) for good: the log lets go of it, but for the entries kept
    /// for members that lag ([`Options::entries_kept`]). Returns before that is done.
    pub async fn purge_behind(&self, flushed_index: u64) {
        // A failed read has rung the bell.
        let Ok(Some(position)) = self.inner.log.position_of(flushed_index) else { return };
        self.inner.log.note_flushed(flushed_index);
        self.inner.flushed.lock().advance(position);
        // A stopped core is reported by the task that follows it.
        self.inner.raft.trigger().snapshot().await.ok();
    }

    /// How long the sync of the log that is under way has been running; nothing when none is.
    #[must_use]
    pub fn log_sync_in_flight(&self) -> Option<Duration> {
        self.inner.log.sync_in_flight_since().map(|since| since.elapsed())
    }

    /// Stops taking part, waits for the round under way and for the applier to be dropped, then writes and syncs what the
    /// log still holds. No fault is told from here on. A disk that hangs makes this hang; the caller sets the time it has.
    pub async fn shutdown(&self) {
        self.inner.bell.silence();
        self.inner.raft.shutdown().await.ok();
        // openraft ends its core here and the applier's task soon after. Nothing is ever sent, so this ends when it closes.
        self.inner.at_work.clone().changed().await.ok();
        let log = self.inner.log.clone();
        // Closing waits for a sync. A panic in it was answered by the log's own guard.
        tokio::task::spawn_blocking(move || log.close()).await.ok();
    }

    fn fault(&self, fatal: &Fatal<Types>) -> Fault {
        self.inner.bell.first().unwrap_or_else(|| Fault::new(stopped_by(fatal)))
    }
}

fn stopped_by(fatal: &Fatal<Types>) -> String {
    format!("consensus has stopped: {fatal}")
}

/// Passes on who leads, and tells when openraft stops without being asked to.
async fn follow(
    mut server: WatchReceiverOf<Types, RaftServerMetrics<Types>>,
    all: WatchReceiverOf<Types, RaftMetrics<Types>>,
    tell: watch::Sender<Leadership>,
    bell: Arc<Bell>,
) {
    loop {
        let now = {
            let metrics = server.borrow_watched();
            Leadership {
                term: metrics.vote.leader_id().term,
                leader: metrics.current_leader,
                is_leader: metrics.state == ServerState::Leader,
            }
        };
        tell.send_if_modified(|known| std::mem::replace(known, now) != now);
        if server.changed().await.is_err() {
            break;
        }
    }
    tell.send_modify(|known| *known = Leadership { term: known.term, leader: None, is_leader: false });
    let why = match &all.borrow_watched().running_state {
        Err(fatal) => stopped_by(fatal),
        Ok(()) => "consensus has stopped without a reason; this is a defect".to_owned(),
    };
    bell.ring(Fault::new(why));
}
