//! The task that ends leases whose time is over (contract §2.10).
//!
//! Rule: only a leader that a quorum has just confirmed proposes an expiry, and the proposal carries its term and the
//! lease's incarnation; apply refuses it at another term or for another lease of the same id. So a leader that was paused
//! revokes nothing.
//!
//! The rate follows what apply can take: a scan proposes at most [`IN_FLIGHT_MAX`] at once and waits for them.

use super::Node;
use super::lease_clock::Expired;
use futures::future::join_all;
use quorate_core::error::Refusal;
use quorate_proto::internal::LeaseRevoke;
use quorate_proto::internal::command::Request;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often the clock is looked at while leases are there.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);
/// Expiries proposed together. With the answers of one apply round in a few milliseconds, ten thousand leases that end in
/// the same second are gone well before four.
const IN_FLIGHT_MAX: usize = 512;

/// Ends leases until the member stops. `clock_set` wakes it when there were no leases and now there are: after a grant, and
/// after the clock of a new leader has started.
pub(super) async fn run(node: Node, clock_set: Arc<Notify>) {
    loop {
        let next_due = node.clock.lock().next_due();
        let wait = async {
            match next_due {
                Some(due) => {
                    let scan = Instant::now() + SCAN_INTERVAL;
                    tokio::time::sleep_until(due.max(Instant::now()).min(scan).into()).await;
                }
                None => clock_set.notified().await,
            }
        };
        tokio::select! {
            biased;
            () = node.stopping() => return,
            () = wait => {}
        }
        end_expired(&node).await;
    }
}

async fn end_expired(node: &Node) {
    loop {
        let status = node.consensus.status();
        if !status.is_leader {
            return;
        }
        let expired = node.clock.lock().expired(Instant::now(), IN_FLIGHT_MAX);
        if expired.is_empty() || node.barrier().await.is_err() {
            return;
        }
        let many = expired.len() == IN_FLIGHT_MAX;
        join_all(expired.into_iter().map(|expired| end(node, expired, status.term))).await;
        if !many {
            return;
        }
    }
}

async fn end(node: &Node, expired: Expired, term: u64) {
    let Expired { lease, incarnation } = expired;
    let request = Request::LeaseRevoke(LeaseRevoke { id: lease.0, incarnation: incarnation.0, term });
    match node.propose(request).await {
        Ok(_) => node.metrics.lease_expired(),
        // It ended otherwise, or is a new one; the clock knows by now.
        Err(crate::trouble::Unanswered::Refusal(Refusal::LeaseNotFound | Refusal::StaleExpiry)) => {}
        Err(error) => tracing::warn!(lease = lease.0, %error, "could not end an expired lease; trying again"),
    }
}
