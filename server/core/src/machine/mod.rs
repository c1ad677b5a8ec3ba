//! The replicated state machine: [`Machine::apply`] takes a log entry and yields what it did.
//!
//! Rule: apply is a function of the machine's state and the entry. Every member that applies the same log gets the same
//! state, the same answers and the same events. It does all checks before the first change, so a refused entry changes
//! nothing but the applied index.
//!
//! One *round* is several entries applied together. What they write, say and cause collects in a [`Round`]; the caller
//! writes it as one engine batch, then publishes the view, then the changes, then the answers, in this order, so that
//! nobody hears of a revision that cannot be read.
//!
//! * [`round`]: what a round collects.
//! * [`kv`]: put and delete. [`txn`]: transactions. [`lease`], [`alarm`], [`members`]: the other state.
//! * [`admin`]: entries about leases, alarms, members and compaction.
//! * [`load`]: the machine from its tables. [`trim`]: the physical half of compaction.
//!
//! Left out: authorisation (its tables and checks come with the auth service) and time: lease clocks live with the leader.

pub mod admin;
pub mod alarm;
pub mod kv;
pub mod lease;
pub mod load;
pub mod members;
pub mod round;
pub mod trim;
pub mod txn;

use crate::error::{Fault, Refusal};
use crate::ids::{LogIndex, Term};
use crate::mvcc::compact::Weight;
use crate::mvcc::index::Index;
use crate::mvcc::view::{FloorPins, View};
use crate::pb;
use crate::storage::Rows;
use alarm::Alarms;
use lease::Leases;
use members::Members;
use quorate_proto::internal::{Command, command};
pub use round::{Applied, Change, Counts, Effect, Finished, Outcome, Response, Round};
use std::sync::Arc;

/// Where an entry stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The term of the leader that appended it.
    pub term: Term,
    /// Its index.
    pub index: LogIndex,
}

/// The replicated state.
#[derive(Debug)]
pub struct Machine {
    revision: i64,
    compact_revision: i64,
    applied: Position,
    index: Index,
    leases: Leases,
    alarms: Arc<Alarms>,
    members: Arc<Members>,
    weight: Weight,
    pins: FloorPins,
    trimmed: i64,
}

impl Default for Machine {
    /// The empty store: revision 1, never compacted (contract §2.1).
    fn default() -> Self {
        Self {
            revision: 1,
            compact_revision: -1,
            applied: Position::default(),
            index: Index::default(),
            leases: Leases::default(),
            alarms: Arc::default(),
            members: Arc::default(),
            weight: Weight::default(),
            pins: FloorPins::new(-1),
            trimmed: -1,
        }
    }
}

impl Machine {
    /// The last applied entry.
    #[must_use]
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// The state as readers see it.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            revision: self.revision,
            compact_revision: self.compact_revision,
            applied_index: self.applied.index,
            applied_term: self.applied.term,
            bytes_in_use: crate::limits::STORE_BASE_BYTES + self.weight.in_use(),
            index: self.index.clone(),
            leases: self.leases.clone(),
            alarms: Arc::clone(&self.alarms),
            members: Arc::clone(&self.members),
            pin: self.pins.pin(),
        }
    }

    /// Applies an entry that carries a command. Entries must come in log order, each once.
    ///
    /// # Errors
    /// A fault when rows cannot be read; the machine is then unusable and the member must stop.
    pub fn apply(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        position: Position,
        command: &Command,
    ) -> Result<Applied, Fault> {
        self.advance(round, position);
        let Some(request) = &command.request else {
            // A command of a newer format that this build does not know must not be skipped silently.
            return Err(Fault::new(format!(
                "log entry {} holds a command that this version does not know; start a version at least as new as the \
                 one that wrote it",
                position.index
            )));
        };
        if let Some(refusal) = self.barred(request) {
            return Ok(Applied::refused(refusal));
        }
        let before = round.counts;
        let outcome = self.dispatch(round, rows, position, request)?;
        Ok(Applied { outcome, counts: round.counts.since(before) })
    }

    /// Notes an entry that changes nothing here: a blank one, or one that consensus keeps for itself. It asks for the round
    /// because only [`Machine::finish`] writes the note.
    pub fn advance(&mut self, _round: &mut Round, position: Position) {
        debug_assert!(position.index > self.applied.index, "entries apply in order, once");
        self.applied = position;
    }

    fn dispatch(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        position: Position,
        request: &command::Request,
    ) -> Result<Outcome, Fault> {
        use command::Request;
        Ok(match request {
            Request::Put(put) => self.put(round, rows, put)?.map(Response::Put),
            Request::DeleteRange(delete) => self.delete_range(round, rows, delete)?.map(Response::DeleteRange),
            Request::Txn(txn) => self.txn(round, rows, txn)?.map(Response::Txn),
            Request::Compaction(compaction) => self.compact(round, compaction).map(Response::Compaction),
            Request::LeaseGrant(grant) => self.grant(round, position, grant).map(Response::LeaseGrant),
            Request::LeaseRevoke(revoke) => self.revoke(round, position, revoke).map(Response::LeaseRevoke),
            Request::LeaseCheckpoint(checkpoint) => Ok(self.checkpoint(round, checkpoint)),
            Request::Alarm(alarm) => Ok(Response::Alarm(self.alarm(round, alarm))),
            Request::MemberAttributes(attributes) => self.member_attributes(round, attributes).map(|()| Response::None),
            Request::ClusterVersion(version) => {
                self.cluster_version(round, &version.version);
                Ok(Response::None)
            }
            Request::Bootstrap(bootstrap) => {
                self.bootstrap(round, bootstrap);
                Ok(Response::None)
            }
        })
    }

    /// What an active alarm forbids (contract §2.11).
    fn barred(&self, request: &command::Request) -> Option<Refusal> {
        use command::Request;
        let corrupt = self.alarms.any(pb::AlarmType::Corrupt);
        let no_space = self.alarms.any(pb::AlarmType::Nospace);
        match request {
            Request::Put(_)
            | Request::DeleteRange(_)
            | Request::Txn(_)
            | Request::Compaction(_)
            | Request::LeaseGrant(_)
            | Request::LeaseRevoke(_)
                if corrupt =>
            {
                Some(Refusal::Corrupt)
            }
            Request::Put(_) | Request::LeaseGrant(_) if no_space => Some(Refusal::NoSpace),
            Request::Txn(txn) if no_space && crate::check::cost::has_put(txn) => Some(Refusal::NoSpace),
            _ => None,
        }
    }

    fn header(&self) -> pb::ResponseHeader {
        pb::ResponseHeader { revision: self.revision, ..pb::ResponseHeader::default() }
    }
}
