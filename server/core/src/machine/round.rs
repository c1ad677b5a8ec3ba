//! What a round of applied entries collects.
//!
//! Rule: everything that leaves the machine leaves through here: rows for the engine, changes for watchers, effects for
//! the leader's clock and the compactor, answers for callers. Nothing else does.

use crate::error::{Fault, Refusal};
use crate::ids::{LeaseId, LogIndex, Revision};
use crate::machine::Machine;
use crate::mvcc::view::View;
use crate::pb;
use crate::storage::codec::{applied_value, row_key};
use crate::storage::table::meta;
use crate::storage::{Rows, Table, Write};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The answer to an entry.
pub type Outcome = Result<Response, Refusal>;

/// An answer that is not a refusal. Headers hold the revision; ids and term are the server's to fill in.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// To a put.
    Put(pb::PutResponse),
    /// To a deletion.
    DeleteRange(pb::DeleteRangeResponse),
    /// To a transaction.
    Txn(pb::TxnResponse),
    /// To a compaction.
    Compaction(pb::CompactionResponse),
    /// To a lease grant.
    LeaseGrant(pb::LeaseGrantResponse),
    /// To a lease revocation.
    LeaseRevoke(pb::LeaseRevokeResponse),
    /// To an alarm request.
    Alarm(pb::AlarmResponse),
    /// To entries that only members propose, and to those without a command.
    None,
}

/// An entry's answer and what it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The answer.
    pub outcome: Outcome,
    /// Operations done, for metrics.
    pub counts: Counts,
}

impl Applied {
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self { outcome: Err(refusal), counts: Counts::default() }
    }
}

/// Operations done, as etcd's metrics count them (contract §8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Puts, also inside transactions.
    pub puts: u64,
    /// Bytes of keys and values put.
    pub put_bytes: u64,
    /// Delete operations, also empty ones and inside transactions.
    pub deletes: u64,
    /// Ranges inside transactions.
    pub ranges: u64,
    /// Transactions with more than one operation.
    pub txns: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.puts += more.puts;
        self.put_bytes += more.put_bytes;
        self.deletes += more.deletes;
        self.ranges += more.ranges;
        self.txns += more.txns;
    }
}

impl Counts {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            puts: self.puts - before.puts,
            put_bytes: self.put_bytes - before.put_bytes,
            deletes: self.deletes - before.deletes,
            ranges: self.ranges - before.ranges,
            txns: self.txns - before.txns,
        }
    }
}

/// A change of a key, as watchers want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub revision: Revision,
    /// True for a deletion.
    pub delete: bool,
    /// The key.
    pub key: Bytes,
    /// The encoded key-value of the event: the row of a put; key and mod revision for a deletion.
    pub kv: Bytes,
    /// Where the value at the revision before is found; nothing for a creation. Of a key that changes twice in one
    /// revision it is not the value in between (contract §2.9).
    pub previous: Option<Revision>,
}

/// What an entry causes outside the key space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A lease begins; its clock starts on the leader.
    LeaseGranted {
        /// Its id.
        lease: LeaseId,
        /// Granted time to live.
        ttl_seconds: i64,
        /// The log index of the grant.
        incarnation: LogIndex,
    },
    /// A lease ended, by request or by expiry.
    LeaseRevoked {
        /// Its id.
        lease: LeaseId,
    },
    /// The remaining time of a lease was recorded.
    LeaseCheckpointed {
        /// Its id.
        lease: LeaseId,
        /// Seconds left.
        remaining_seconds: i64,
    },
    /// The floor rose; rows may be trimmed.
    Compacted {
        /// The new floor.
        floor: i64,
    },
    /// The set of active alarms changed.
    Alarms,
    /// Members or the cluster version changed.
    Members,
}

/// Collects what several entries do.
#[derive(Debug, Default)]
pub struct Round {
    pub(crate) writes: Vec<Write>,
    pub(crate) changes: Vec<Change>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) counts: Counts,
    /// Rows written in this round, which the engine does not have yet.
    pub(crate) overlay: BTreeMap<Revision, Bytes>,
}

impl Round {
    pub(crate) fn put_row(&mut self, table: Table, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.writes.push(Write::Put { table, key: key.into(), value: value.into() });
    }

    pub(crate) fn delete_row(&mut self, table: Table, key: impl Into<Bytes>) {
        self.writes.push(Write::Delete { table, key: key.into() });
    }

    pub(crate) fn put_encoded(&mut self, revision: Revision, row: Bytes) {
        self.put_row(Table::Row, Bytes::copy_from_slice(&row_key(revision)), row.clone());
        self.overlay.insert(revision, row);
    }

    /// Adds rows of the caller's own to the batch, such as the Raft membership.
    pub fn also_write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Rows as they are with this round's on top.
    pub(crate) fn over<'a>(&'a self, rows: &'a dyn Rows) -> Overlay<'a> {
        Overlay { round: self, rows }
    }
}

/// Rows of a round over those of the engine.
pub(crate) struct Overlay<'a> {
    round: &'a Round,
    rows: &'a dyn Rows,
}

impl Rows for Overlay<'_> {
    fn rows(&self, revisions: &[Revision]) -> Result<Vec<Bytes>, Fault> {
        let missing: Vec<Revision> =
            revisions.iter().filter(|revision| !self.round.overlay.contains_key(revision)).copied().collect();
        let mut found = if missing.is_empty() { Vec::new() } else { self.rows.rows(&missing)? }.into_iter();
        revisions
            .iter()
            .map(|revision| match self.round.overlay.get(revision) {
                Some(row) => Ok(row.clone()),
                None => found.next().ok_or_else(|| Fault::new("a row reader answered too few rows")),
            })
            .collect()
    }
}

/// A closed round: what to write, then what to publish.
#[derive(Debug)]
pub struct Finished {
    /// The engine batch; it carries the applied index.
    pub writes: Vec<Write>,
    /// What watchers hear, in revision order.
    pub changes: Vec<Change>,
    /// What else follows, in order.
    pub effects: Vec<Effect>,
    /// The rows of this round, for a cache of rows.
    pub rows: Vec<(Revision, Bytes)>,
    /// The state after the round.
    pub view: View,
}

impl Machine {
    /// Closes a round.
    #[must_use]
    pub fn finish(&self, mut round: Round) -> Finished {
        let applied = applied_value(self.applied.term, self.applied.index);
        round.put_row(Table::Meta, Bytes::from_static(meta::APPLIED), applied);
        if !round.changes.is_empty() {
            let revision = Bytes::copy_from_slice(&self.revision.to_be_bytes());
            round.put_row(Table::Meta, Bytes::from_static(meta::REVISION), revision);
        }
        Finished {
            writes: round.writes,
            changes: round.changes,
            effects: round.effects,
            rows: round.overlay.into_iter().collect(),
            view: self.view(),
        }
    }
}
