//! One round after the other: apply, write, publish, answer.
//!
//! Rule: the engine's batch is written before the view is published, the view before watchers hear of the changes, and
//! answers go out last; so nobody learns of a revision that cannot be read, and nothing that a crash could take back is
//! ever answered: an entry arrives here only after its log record is durable on a quorum.
//!
//! The machine is shared with the trimmer alone, which takes it for one small step at a time.

use super::lease_clock::LeaseClock;
use crate::metrics::Metrics;
use crate::raft::{Applied, Applier, Committed, CommittedPayload};
use crate::store::Store;
use crate::watch::publisher::{Published, Publisher};
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use quorate_core::error::Fault;
use quorate_core::machine::{Counts, Effect, Finished, Machine, Outcome, Position, Response, Round};
use quorate_core::storage::table::meta;
use quorate_core::storage::{Table, Write};
use quorate_proto::internal::StoredMembership;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What was written since the engine was flushed, for the flush policy.
#[derive(Debug, Default)]
pub struct Written {
    /// Bytes of rows.
    pub bytes: AtomicU64,
    /// Log entries.
    pub entries: AtomicU64,
}

/// Applies committed entries to the machine and tells everyone.
pub struct ApplyLoop {
    /// The machine, shared with the trimmer.
    pub machine: Arc<Mutex<Machine>>,
    /// Where readers look.
    pub store: Arc<Store>,
    /// Where watchers hear.
    pub watchers: Publisher,
    /// The leases' deadlines.
    pub clock: Arc<Mutex<LeaseClock>>,
    /// Wakes the trimmer when a floor rises.
    pub compacted: Arc<Notify>,
    /// Wakes the expirer when a lease is granted.
    pub granted: Arc<Notify>,
    /// For the flush policy.
    pub written: Arc<Written>,
    /// What dashboards see.
    pub metrics: Arc<Metrics>,
    /// A round that takes longer is logged (`--warning-apply-duration`).
    pub slow_round: Duration,
}

impl ApplyLoop {
    fn round(&mut self, entries: &[Committed]) -> Result<Vec<Outcome>, Fault> {
        let started = Instant::now();
        let mut machine = self.machine.lock();
        let mut round = Round::default();
        let mut outcomes = Vec::with_capacity(entries.len());
        let mut counts = Counts::default();
        for entry in entries {
            let position = Position { term: entry.term.into(), index: entry.index.into() };
            outcomes.push(match &entry.payload {
                CommittedPayload::Blank => {
                    machine.advance(&mut round, position);
                    Ok(Response::None)
                }
                CommittedPayload::Membership(membership) => {
                    machine.advance(&mut round, position);
                    round.also_write(membership_row(membership));
                    Ok(Response::None)
                }
                CommittedPayload::Command(command) => {
                    let begun = Instant::now();
                    let applied = machine.apply(&mut round, self.store.rows(), position, command)?;
                    counts += applied.counts;
                    self.metrics.applied(command, &applied.outcome, begun.elapsed());
                    applied.outcome
                }
            });
        }
        let Finished { writes, changes, effects, rows, view } = machine.finish(round);
        let begun = Instant::now();
        self.store.engine().write(&writes)?;
        self.metrics.committed_batch(begun.elapsed());
        drop(machine);
        let bytes: usize = rows.iter().map(|(_, row)| row.len()).sum();
        self.written.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.written.entries.fetch_add(entries.len() as u64, Ordering::Relaxed);

        let view = Arc::new(view);
        let revision_after = view.revision;
        self.store.publish(view, rows);
        if !changes.is_empty() {
            self.watchers.publish(Published { revision_after, changes });
        }
        self.follow(&effects);
        let took = started.elapsed();
        self.metrics.round(entries.len(), counts, took);
        if took > self.slow_round {
            self.metrics.server.slow_applies.inc();
            tracing::warn!(?took, threshold = ?self.slow_round, entries = entries.len(), "applying took long");
        }
        Ok(outcomes)
    }

    /// Does what entries cause outside the key space.
    fn follow(&self, effects: &[Effect]) {
        if effects.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut clock = self.clock.lock();
        for effect in effects {
            match effect {
                Effect::LeaseGranted { lease, ttl_seconds, incarnation } => {
                    clock.granted(*lease, *ttl_seconds, *incarnation, now);
                    self.metrics.lease_granted(*ttl_seconds);
                    self.granted.notify_one();
                }
                Effect::LeaseRevoked { lease } => {
                    clock.revoked(*lease);
                    self.metrics.lease_revoked();
                }
                Effect::Compacted { .. } => self.compacted.notify_one(),
                // A checkpoint matters to the next leader; alarms and members are read from the view.
                Effect::LeaseCheckpointed { .. } | Effect::Alarms | Effect::Members => {}
            }
        }
    }
}

fn membership_row(membership: &StoredMembership) -> Write {
    Write::Put {
        table: Table::Meta,
        key: Bytes::from_static(meta::MEMBERSHIP),
        value: membership.encode_to_vec().into(),
    }
}

impl Applier for ApplyLoop {
    fn applied(&self) -> Result<Applied, Fault> {
        let Position { term, index } = self.machine.lock().applied();
        let membership = match self.store.engine().get(Table::Meta, meta::MEMBERSHIP)? {
            Some(row) => StoredMembership::decode(row)
                .map_err(|error| Fault::damaged(Table::Meta.name(), meta::MEMBERSHIP, error))?,
            None => StoredMembership::default(),
        };
        Ok(Applied { position: (index.0 > 0).then_some((term.0, index.0)), membership })
    }

    async fn apply(&mut self, entries: &[Committed]) -> Result<Vec<Outcome>, Fault> {
        self.round(entries)
    }
}
