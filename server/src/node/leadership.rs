//! The task that follows who leads.
//!
//! Rule: the leases' clock runs on the leader only, and what the member believes about leadership is changed in one place.

use super::Node;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::Notify;

/// Follows leadership until the member stops.
/// `clock_set` wakes whoever sleeps for want of leases.
pub(super) async fn follow(node: Node, clock_set: Arc<Notify>) {
    let mut changes = node.consensus.changes();
    let mut led_by = None;
    loop {
        let now = *changes.borrow_and_update();
        node.term.store(now.term, Ordering::Relaxed);
        if now.leader.is_some() && now.leader != led_by {
            led_by = now.leader;
            node.metrics.leader_changed();
            let leader = format!("{:x}", now.leader.unwrap_or(0));
            tracing::info!(leader, term = now.term, "the leader is known");
        }
        if now.is_leader {
            let voters = node.consensus.status().voters;
            node.sole_leader.store(voters == [node.identity.member_id.0], Ordering::Release);
            // The clock is locked before the view is read: a grant that is published later finds it running.
            let mut clock = node.clock.lock();
            let leases = node.store.view().leases.clone();
            clock.promote(&leases, Instant::now(), node.config.cluster.election_timeout);
            drop(clock);
            clock_set.notify_one();
        } else {
            node.sole_leader.store(false, Ordering::Release);
            node.clock.lock().demote();
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
