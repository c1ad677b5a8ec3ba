//! The way of a write: bounds, proposal, answer (contract §2.2, step 8).
//!
//! Rule: what is refused here has not happened. What times out may happen yet, and the error says so by its text; a caller
//! that goes away takes nothing back.

use super::Inner;
use crate::raft;
use crate::trouble::{Trouble, Unanswered};
use prost::Message;
use quorate_core::error::{Fault, Refusal};
use quorate_core::limits::{PROPOSALS_IN_FLIGHT_BYTES_MAX, PROPOSALS_IN_FLIGHT_MAX};
use quorate_core::machine::Response;
use quorate_core::pb;
use quorate_proto::internal::{Command, command::Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what was proposed and not answered yet.
#[derive(Debug, Default)]
pub struct InFlight {
    proposals: AtomicUsize,
    bytes: AtomicUsize,
}

impl InFlight {
    /// Proposals that wait for their answer.
    #[must_use]
    pub fn proposals(&self) -> usize {
        self.proposals.load(Ordering::Relaxed)
    }

    fn enter(&self, bytes: usize) -> Option<Entered<'_>> {
        let entered = Entered { counts: self, bytes };
        let proposals = self.proposals.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // One proposal always fits, however large it may be by configuration.
        let fits =
            proposals == 0 || (proposals < PROPOSALS_IN_FLIGHT_MAX && waiting + bytes <= PROPOSALS_IN_FLIGHT_BYTES_MAX);
        fits.then_some(entered)
    }
}

/// A place among the proposals in flight, given back when dropped.
struct Entered<'a> {
    counts: &'a InFlight,
    bytes: usize,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.counts.proposals.fetch_sub(1, Ordering::Relaxed);
        self.counts.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Inner {
    /// Proposes a request and waits until it is applied here.
    ///
    /// # Errors
    /// A refusal, or trouble when it could not be proposed or its answer did not come in time.
    pub async fn propose(&self, request: Request) -> Result<Response, Unanswered> {
        let command = Command { user: String::new(), auth_revision: 0, request: Some(request) };
        let bytes = command.encoded_len();
        if bytes > usize::try_from(self.config.local.limits.request_bytes_max).unwrap_or(usize::MAX) {
            return Err(Refusal::RequestTooLarge.into());
        }
        if self.is_stopping() {
            return Err(Trouble::Stopped.into());
        }
        let Some(_entered) = self.in_flight.enter(bytes) else {
            self.metrics.proposal_failed();
            return Err(Trouble::TooManyRequests.into());
        };
        let answer = tokio::time::timeout(self.request_timeout(), self.consensus.propose(Arc::new(command)));
        let outcome = match answer.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(trouble)) => {
                self.metrics.proposal_failed();
                return Err(told(&trouble).into());
            }
            Err(_) => {
                self.metrics.proposal_failed();
                return Err(Trouble::Timeout.into());
            }
        };
        Ok(outcome?)
    }
}

/// Consensus' troubles in the words of the API.
pub(super) fn told(trouble: &raft::Trouble) -> Trouble {
    match trouble {
        raft::Trouble::NotLeader { .. } | raft::Trouble::NoQuorum => Trouble::NoLeader,
        raft::Trouble::LeaderChanged { .. } => Trouble::LeaderChanged,
        raft::Trouble::Timeout => Trouble::Timeout,
        raft::Trouble::Stopped { .. } => Trouble::Stopped,
    }
}

/// Takes the answer of the kind that belongs to the request out of the machine's answers.
pub trait Expect: Sized {
    /// The answer, if it is of this kind.
    fn from_response(response: Response) -> Option<Self>;

    /// The answer.
    ///
    /// # Errors
    /// A fault when the machine answered another request than was proposed.
    fn expect_from(response: Response) -> Result<Self, Unanswered> {
        Self::from_response(response)
            .ok_or_else(|| Fault::new("an entry was answered with the answer of another kind of request").into())
    }
}

macro_rules! expect {
    ($($kind:ident($message:ty)),* $(,)?) => {$(
        impl Expect for $message {
            fn from_response(response: Response) -> Option<Self> {
                match response {
                    Response::$kind(message) => Some(message),
                    _ => None,
                }
            }
        }
    )*};
}

expect! {
    Put(pb::PutResponse),
    DeleteRange(pb::DeleteRangeResponse),
    Txn(pb::TxnResponse),
    Compaction(pb::CompactionResponse),
    LeaseGrant(pb::LeaseGrantResponse),
    LeaseRevoke(pb::LeaseRevokeResponse),
    Alarm(pb::AlarmResponse),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_are_bounded_in_number_and_bytes_and_give_their_place_back() {
        let counts = InFlight::default();
        let large = counts.enter(2 * PROPOSALS_IN_FLIGHT_BYTES_MAX);
        assert!(large.is_some(), "one proposal always fits");
        assert!(counts.enter(1).is_none(), "no bytes left");
        drop(large);
        let all: Vec<_> = (0..PROPOSALS_IN_FLIGHT_MAX).filter_map(|_| counts.enter(1)).collect();
        assert_eq!(all.len(), PROPOSALS_IN_FLIGHT_MAX);
        assert!(counts.enter(1).is_none(), "no place left");
        drop(all);
        assert_eq!((counts.proposals(), counts.bytes.load(Ordering::Relaxed)), (0, 0));
    }
}
