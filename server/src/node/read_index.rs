//! The barrier before a linearizable read (contract §2.3; Raft thesis §6.4).
//!
//! Rule: a read may answer from a view that contains every write acknowledged before the read arrived. The leader's commit
//! index at some moment after the arrival, confirmed by a quorum, is such a point; the read waits until it is applied.
//! Waiting reads share rounds: a round takes everyone who came before its messages leave, and nobody who came after.
//!
//! A member that is the only voter needs no messages: it is its own quorum, no other leader can exist, and a write is
//! acknowledged only after its view is published, so the newest view will do. [`super::Inner::sole_leader`] says when that
//! holds; whoever proposes to add a voter must clear it *before* proposing.

use super::Inner;
use super::propose::told;
use crate::raft::Consensus;
use crate::store::Store;
use crate::trouble::{Trouble, Unanswered};
use quorate_core::limits::READS_WAITING_MAX;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};

type Waiter = oneshot::Sender<Result<u64, Trouble>>;

/// Hands waiting reads to the task that makes rounds.
#[derive(Clone, Debug)]
pub struct ReadIndex(mpsc::Sender<Waiter>);

impl ReadIndex {
    /// Starts the task; it ends when the last handle is dropped.
    #[must_use]
    pub fn start(consensus: Consensus, observe: impl Fn(usize) + Send + 'static) -> Self {
        let (sender, mut waiters) = mpsc::channel::<Waiter>(READS_WAITING_MAX);
        tokio::spawn(async move {
            let mut round = Vec::new();
            while waiters.recv_many(&mut round, READS_WAITING_MAX).await > 0 {
                observe(round.len());
                let index = consensus.read_index().await.map_err(|trouble| told(&trouble));
                for waiter in round.drain(..) {
                    // A reader that has gone away needs no answer.
                    let _ = waiter.send(index);
                }
            }
        });
        Self(sender)
    }

    async fn confirm(&self) -> Result<u64, Trouble> {
        let (waiter, index) = oneshot::channel();
        self.0.send(waiter).await.map_err(|_| Trouble::Stopped)?;
        index.await.map_err(|_| Trouble::Stopped)?
    }
}

impl Inner {
    /// Returns when the newest view contains every write that was acknowledged before the call.
    ///
    /// # Errors
    /// Trouble when no leader confirms it in time.
    pub async fn barrier(&self) -> Result<(), Unanswered> {
        if self.is_stopping() {
            return Err(Trouble::Stopped.into());
        }
        if self.sole_leader.load(Ordering::Acquire) {
            return Ok(());
        }
        let confirmed = async {
            let index = self.reads.confirm().await?;
            wait_applied(&self.store, index).await;
            Ok(())
        };
        match tokio::time::timeout(self.request_timeout(), confirmed).await {
            Ok(result) => result.map_err(|trouble: Trouble| self.barrier_failed(trouble)),
            Err(_) => Err(self.barrier_failed(Trouble::Timeout)),
        }
    }

    fn barrier_failed(&self, trouble: Trouble) -> Unanswered {
        self.metrics.read_index_failed();
        trouble.into()
    }
}

async fn wait_applied(store: &Arc<Store>, index: u64) {
    if store.view().applied_index.0 < index {
        store.wait_applied(index).await;
    }
}
