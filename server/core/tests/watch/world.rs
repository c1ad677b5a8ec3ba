//! A machine on an engine in memory, and every change it ever made, as a plain list.

use bytes::Bytes;
use quorate_core::error::Fault;
use quorate_core::ids::{LogIndex, Term};
use quorate_core::machine::{Change, Machine, Outcome, Position, Round};
use quorate_core::mvcc::view::View;
use quorate_core::pb;
use quorate_core::storage::codec::{row_key, row_revision};
use quorate_core::storage::memory::MemoryEngine;
use quorate_core::storage::{Engine, EngineRows, Table};
use quorate_core::watch::Source;
use quorate_core::watch::catch_up::{Finished, History, Job};
use quorate_proto::internal::{Command, command::Request};
use std::collections::BTreeMap;

/// A change with the value before it, as a watcher should hear it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) main: i64,
    pub(crate) delete: bool,
    pub(crate) key: Bytes,
    pub(crate) kv: Bytes,
    pub(crate) previous: Option<Bytes>,
}

/// A round that readers see and the hub does not know yet.
pub(crate) struct Unpublished {
    pub(crate) revision_after: i64,
    pub(crate) changes: Vec<Change>,
}

#[derive(Default)]
pub(crate) struct World {
    machine: Machine,
    pub(crate) engine: MemoryEngine,
    index: u64,
    pub(crate) told: Vec<Told>,
    live: BTreeMap<Bytes, Bytes>,
}

impl World {
    pub(crate) fn view(&self) -> View {
        self.machine.view()
    }

    pub(crate) fn revision(&self) -> i64 {
        self.machine.view().revision
    }

    pub(crate) fn floor(&self) -> i64 {
        self.machine.view().compact_revision
    }

    /// Applies requests as one round.
    pub(crate) fn apply(&mut self, requests: Vec<Request>) -> (Unpublished, Vec<Outcome>) {
        let mut round = Round::default();
        let mut outcomes = Vec::new();
        for request in requests {
            self.index += 1;
            let position = Position { term: Term(1), index: LogIndex(self.index) };
            let command = Command { request: Some(request), ..Command::default() };
            let rows = EngineRows(&self.engine);
            outcomes
                .push(self.machine.apply(&mut round, &rows, position, &command).expect("memory has no faults").outcome);
        }
        let finished = self.machine.finish(round);
        self.engine.write(&finished.writes).expect("memory has no faults");
        for revision in finished.changes.chunk_by(|a, b| a.revision.main == b.revision.main) {
            let before = self.live.clone();
            for change in revision {
                self.told.push(Told {
                    main: change.revision.main,
                    delete: change.delete,
                    key: change.key.clone(),
                    kv: change.kv.clone(),
                    previous: before.get(&change.key).cloned(),
                });
                match change.delete {
                    true => self.live.remove(&change.key),
                    false => self.live.insert(change.key.clone(), change.kv.clone()),
                };
            }
        }
        (Unpublished { revision_after: finished.view.revision, changes: finished.changes }, outcomes)
    }

    /// Removes what the floor hides from the engine, so that reading it would be noticed.
    pub(crate) fn trim(&mut self) {
        let mut next = self.machine.trim_pending();
        while let Some(progress) = next {
            let step = self.machine.trim_step(&self.engine, progress, 3).expect("memory has no faults");
            self.engine.write(&step.writes).expect("memory has no faults");
            next = step.next;
        }
    }

    pub(crate) fn with_source<T>(&self, work: impl FnOnce(&Source<'_>) -> T) -> T {
        let rows = EngineRows(&self.engine);
        work(&Source { rows: &rows, compact_revision: self.floor() })
    }

    pub(crate) fn read(&self, job: Job) -> Finished {
        let rows = EngineRows(&self.engine);
        let view = self.view();
        let history = History { index: &view.index, compact_revision: view.compact_revision, rows: &rows };
        job.run(&history, |from, to, visit| {
            let mut fault: Option<Fault> = None;
            self.engine.scan(
                Table::Row,
                &row_key(from),
                Some(&row_key(to)),
                &mut |key, row| match row_revision(key) {
                    Ok(revision) => visit(revision, row),
                    Err(damage) => {
                        fault = Some(damage);
                        std::ops::ControlFlow::Break(())
                    }
                },
            )?;
            fault.map_or(Ok(()), Err)
        })
        .expect("memory has no faults")
    }
}

pub(crate) fn put(key: &str, value: &str) -> Request {
    Request::Put(pb::PutRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..pb::PutRequest::default()
    })
}

pub(crate) fn delete(key: &str, range_end: &str) -> Request {
    Request::DeleteRange(pb::DeleteRangeRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        range_end: Bytes::copy_from_slice(range_end.as_bytes()),
        ..pb::DeleteRangeRequest::default()
    })
}

pub(crate) fn compact(revision: i64) -> Request {
    Request::Compaction(pb::CompactionRequest { revision, ..pb::CompactionRequest::default() })
}

/// A transaction of puts: one revision, several changes.
pub(crate) fn puts(keys: &[&str]) -> Request {
    let op = |key: &&str| {
        let Request::Put(put) = put(key, "txn") else { unreachable!("put makes puts") };
        pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) }
    };
    Request::Txn(pb::TxnRequest { success: keys.iter().map(op).collect(), ..pb::TxnRequest::default() })
}
