//! The machine from its tables, when a member starts.
//!
//! Rule: opening reads the index and the small tables, never a value; a store of a format that this build does not know is
//! refused.

use crate::error::Fault;
use crate::ids::{LeaseId, LogIndex, MemberId};
use crate::machine::{Machine, Position};
use crate::mvcc::key_history::{KeyHistory, Version};
use crate::mvcc::tree::Entry;
use crate::mvcc::view::FloorPins;
use crate::storage::table::{FORMAT_VERSION, local, meta};
use crate::storage::{Engine, Table, Write, codec};
use bytes::Bytes;
use prost::Message;
use quorate_proto::internal::{StoredAlarm, StoredLease, StoredMember};
use std::ops::ControlFlow;
use std::sync::Arc;

impl Machine {
    /// Opens the store: empty tables make the empty store.
    ///
    /// # Errors
    /// A fault when the tables cannot be read, are damaged, or are of another format.
    pub fn load(engine: &dyn Engine) -> Result<Self, Fault> {
        let mut machine = Self::default();
        check_format(engine)?;
        if let Some(value) = engine.get(Table::Meta, meta::APPLIED)? {
            let (term, index) = codec::applied(&value)?;
            machine.applied = Position { term, index };
        }
        if let Some(value) = engine.get(Table::Meta, meta::REVISION)? {
            machine.revision = codec::i64_value(&value)?;
        }
        if let Some(value) = engine.get(Table::Meta, meta::COMPACTED)? {
            machine.compact_revision = codec::i64_value(&value)?;
        }
        if let Some(value) = engine.get(Table::Local, local::TRIMMED)? {
            machine.trimmed = codec::i64_value(&value)?;
        }
        machine.pins = FloorPins::new(machine.compact_revision);
        machine.load_index(engine)?;
        machine.load_leases(engine)?;
        machine.load_alarms(engine)?;
        machine.load_members(engine)?;
        Ok(machine)
    }

    fn load_index(&mut self, engine: &dyn Engine) -> Result<(), Fault> {
        let mut open: Option<KeyHistory> = None;
        each_row(engine, Table::Index, |key, value| {
            let (user_key, version) = codec::index_row(key, value)?;
            match &mut open {
                Some(history) if history.key() == user_key => history.push(version),
                _ => {
                    let before = open.replace(KeyHistory::new(&user_key, version));
                    self.load_history(before);
                }
            }
            Ok(())
        })?;
        self.load_history(open);
        Ok(())
    }

    fn load_history(&mut self, history: Option<KeyHistory>) {
        let Some(history) = history else {
            return;
        };
        self.weight.load(&history, self.compact_revision);
        let lease = history.live().map_or(LeaseId::NONE, |version: &Version| version.lease);
        self.leases.attach(lease, history.key());
        self.index.load(history);
    }

    fn load_leases(&mut self, engine: &dyn Engine) -> Result<(), Fault> {
        each_row(engine, Table::Lease, |key, value| {
            self.leases.insert(&decoded::<StoredLease>(Table::Lease, key, value)?);
            Ok(())
        })
    }

    fn load_alarms(&mut self, engine: &dyn Engine) -> Result<(), Fault> {
        let alarms = Arc::make_mut(&mut self.alarms);
        each_row(engine, Table::Alarm, |key, value| {
            let stored = decoded::<StoredAlarm>(Table::Alarm, key, value)?;
            alarms.raise(MemberId(stored.member_id), stored.alarm);
            Ok(())
        })
    }

    fn load_members(&mut self, engine: &dyn Engine) -> Result<(), Fault> {
        let members = Arc::make_mut(&mut self.members);
        if let Some(value) = engine.get(Table::Meta, meta::CLUSTER_ID)? {
            members.cluster_id = codec::u64_value(&value)?;
        }
        if let Some(value) = engine.get(Table::Meta, meta::CLUSTER_VERSION)? {
            members.cluster_version = String::from_utf8_lossy(&value).into_owned();
        }
        each_row(engine, Table::Member, |key, value| {
            let stored = decoded::<StoredMember>(Table::Member, key, value)?;
            members.members.insert(MemberId(stored.id), stored);
            Ok(())
        })
    }

    /// The applied index that the tables hold.
    #[must_use]
    pub fn applied_index(&self) -> LogIndex {
        self.applied.index
    }
}

/// Accepts tables without a format when they are empty, and marks them.
fn check_format(engine: &dyn Engine) -> Result<(), Fault> {
    match engine.get(Table::Meta, meta::FORMAT)? {
        Some(value) if *value == FORMAT_VERSION.to_be_bytes() => Ok(()),
        Some(value) => Err(Fault::new(format!(
            "the store has format 0x{}, this version reads format {FORMAT_VERSION} only; start the version that wrote \
             it, or restore a snapshot",
            value.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        ))),
        None if engine.get(Table::Meta, meta::APPLIED)?.is_none() => engine.write(&[Write::Put {
            table: Table::Meta,
            key: Bytes::from_static(meta::FORMAT),
            value: Bytes::copy_from_slice(&FORMAT_VERSION.to_be_bytes()),
        }]),
        None => Err(Fault::damaged(Table::Meta.name(), meta::FORMAT, "the format version is missing")),
    }
}

fn decoded<M: Message + Default>(table: Table, key: &[u8], value: &[u8]) -> Result<M, Fault> {
    M::decode(value).map_err(|error| Fault::damaged(table.name(), key, error))
}

fn each_row(
    engine: &dyn Engine,
    table: Table,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut result = Ok(());
    engine.scan(table, &[], None, &mut |key, value| match visit(key, value) {
        Ok(()) => ControlFlow::Continue(()),
        Err(fault) => {
            result = Err(fault);
            ControlFlow::Break(())
        }
    })?;
    result
}
