//! RocksDB behaves as the engine in memory does: for single operations, and under the machine.
//!
//! Both engines get the same operations and must give the same answers, also after a clean restart and after a crash. A
//! crash is the directory as it stands, copied: what was only in memory is not in it.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_core::error::Fault;
use quorate_core::ids::{LogIndex, Revision, Term};
use quorate_core::machine::{Machine, Position, Round};
use quorate_core::mvcc::key_history::Version;
use quorate_core::mvcc::tree::Entry;
use quorate_core::pb;
use quorate_core::storage::codec::{applied_value, row_key};
use quorate_core::storage::memory::MemoryEngine;
use quorate_core::storage::table::meta;
use quorate_core::storage::{Engine, Rows, Table, Write};
use quorate_disk::rocks::{EngineOptions, RocksEngine};
use quorate_disk::rows::CachedRows;
use quorate_proto::internal::{Command, LeaseRevoke, command};
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use tempfile::TempDir;

/// A RocksDB engine that can be restarted.
struct Store {
    engine: Option<Arc<RocksEngine>>,
    directory: TempDir,
}

impl Store {
    fn new() -> Self {
        Self::open(TempDir::new().expect("a temporary directory"))
    }

    fn open(directory: TempDir) -> Self {
        let engine = RocksEngine::open(directory.path(), &EngineOptions::default()).expect("the store opens");
        Self { engine: Some(Arc::new(engine)), directory }
    }

    fn engine(&self) -> &Arc<RocksEngine> {
        self.engine.as_ref().expect("the store is open")
    }

    fn restart(self) -> Self {
        let Self { engine, directory } = self;
        drop(engine);
        Self::open(directory)
    }

    fn crash(self) -> Self {
        // With background work at rest no file comes or goes while it is copied.
        self.engine().settle().expect("compactions end");
        let copy = TempDir::new().expect("a temporary directory");
        for file in fs::read_dir(self.directory.path()).expect("the directory is there") {
            let file = file.expect("the directory can be read");
            fs::copy(file.path(), copy.path().join(file.file_name())).expect("the file can be copied");
        }
        Self::open(copy)
    }
}

/// What both kinds of engine can go through.
#[derive(Clone, Copy, Debug)]
enum Event {
    Flush,
    Reclaim,
    Restart,
    Crash,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![4 => Just(Event::Flush), 1 => Just(Event::Reclaim), 1 => Just(Event::Restart), 2 => Just(Event::Crash)]
}

fn happen(event: Event, store: Store, memory: &MemoryEngine) -> Result<Store, Fault> {
    Ok(match event {
        Event::Flush => {
            store.engine().flush()?;
            memory.flush()?;
            store
        }
        Event::Reclaim => {
            // Compacting flushes first; nothing promises that, but what was flushed survives.
            store.engine().reclaim()?;
            store.engine().flush()?;
            memory.flush()?;
            store
        }
        Event::Restart => {
            memory.flush()?;
            store.restart()
        }
        Event::Crash => {
            memory.crash();
            store.crash()
        }
    })
}

type Dump = Vec<(Table, Vec<u8>, Vec<u8>)>;

fn scanned(
    engine: &dyn Engine,
    table: Table,
    start: &[u8],
    end: Option<&[u8]>,
    rows_max: usize,
) -> Result<Dump, Fault> {
    let mut rows = Vec::new();
    engine.scan(table, start, end, &mut |key, value| {
        rows.push((table, key.to_vec(), value.to_vec()));
        if rows.len() < rows_max { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}

fn dump(engine: &dyn Engine) -> Dump {
    Table::ALL
        .iter()
        .flat_map(|table| scanned(engine, *table, &[], None, usize::MAX).expect("the table can be read"))
        .collect()
}

#[derive(Clone, Debug)]
enum Operation {
    Write(Vec<Write>),
    Get(Table, Vec<u8>),
    GetMany(Vec<Revision>),
    Scan { table: Table, start: Vec<u8>, end: Option<Vec<u8>>, rows_max: usize },
    Event(Event),
}

fn tables() -> impl Strategy<Value = Table> {
    prop::sample::select(&Table::ALL[..])
}

/// Few keys, so that operations meet; some are row keys, some are any bytes, and the empty key is one.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        revisions().prop_map(|revision| row_key(revision).to_vec()),
        prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff)], 0..3),
    ]
}

fn revisions() -> impl Strategy<Value = Revision> {
    (0i64..12, 0u32..2).prop_map(|(main, sub)| Revision::new(main, sub))
}

fn writes() -> impl Strategy<Value = Write> {
    let value = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (any::<u8>(), 0usize..100_000).prop_map(|(byte, length)| vec![byte; length]),
    ];
    prop_oneof![
        3 => (tables(), keys(), value)
            .prop_map(|(table, key, value)| Write::Put { table, key: key.into(), value: value.into() }),
        1 => (tables(), keys()).prop_map(|(table, key)| Write::Delete { table, key: key.into() }),
    ]
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => prop::collection::vec(writes(), 0..8).prop_map(Operation::Write),
        3 => (tables(), keys()).prop_map(|(table, key)| Operation::Get(table, key)),
        3 => prop::collection::vec(revisions(), 0..600).prop_map(Operation::GetMany),
        3 => (tables(), keys(), prop::option::of(keys()), 1usize..30)
            .prop_map(|(table, start, end, rows_max)| Operation::Scan { table, start, end, rows_max }),
        1 => events().prop_map(Operation::Event),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_operation_answers_as_in_memory(operations in prop::collection::vec(operations(), 1..40)) {
        let memory = MemoryEngine::new();
        let mut store = Store::new();
        let mut written = 0;
        for operation in operations {
            match operation {
                Operation::Write(mut batch) => {
                    written += 1;
                    batch.retain(|write| !matches!(write, Write::Put { table: Table::Meta, key, .. } if key == meta::APPLIED));
                    batch.push(Write::Put {
                        table: Table::Meta,
                        key: Bytes::from_static(meta::APPLIED),
                        value: applied_value(Term(1), LogIndex(written)),
                    });
                    store.engine().write(&batch)?;
                    memory.write(&batch)?;
                }
                Operation::Get(table, key) => {
                    prop_assert_eq!(store.engine().get(table, &key)?, memory.get(table, &key)?);
                }
                Operation::GetMany(revisions) => {
                    let keys: Vec<_> = revisions.into_iter().map(row_key).collect();
                    prop_assert_eq!(store.engine().get_many(Table::Row, &keys)?, memory.get_many(Table::Row, &keys)?);
                }
                Operation::Scan { table, start, end, rows_max } => {
                    let scan = |engine: &dyn Engine| scanned(engine, table, &start, end.as_deref(), rows_max);
                    prop_assert_eq!(scan(store.engine().as_ref())?, scan(&memory)?);
                }
                Operation::Event(event) => {
                    store = happen(event, store, &memory)?;
                    prop_assert_eq!(dump(store.engine().as_ref()), dump(&memory));
                }
            }
            prop_assert_eq!(store.engine().durable_applied()?, memory.durable_applied()?);
        }
        prop_assert_eq!(dump(store.engine().as_ref()), dump(&memory));
    }
}

/// An entry of a log, or something that happens between entries.
#[derive(Clone, Debug)]
enum Step {
    Entry(command::Request),
    Close,
    Trim,
    Event(Event),
}

fn user_keys() -> impl Strategy<Value = Bytes> {
    prop::sample::select(&["a", "b", "b\0", "c", "cc", "d"][..]).prop_map(|key| Bytes::from_static(key.as_bytes()))
}

fn puts() -> impl Strategy<Value = pb::PutRequest> {
    (user_keys(), prop::collection::vec(any::<u8>(), 0..40), 0i64..3, any::<bool>(), 0u8..4).prop_map(
        |(key, value, lease, prev_kv, keeps)| pb::PutRequest {
            key,
            value: if keeps == 1 { Bytes::new() } else { value.into() },
            lease: if keeps == 2 { 0 } else { lease },
            prev_kv,
            ignore_value: keeps == 1,
            ignore_lease: keeps == 2,
        },
    )
}

fn deletes() -> impl Strategy<Value = pb::DeleteRangeRequest> {
    (user_keys(), prop_oneof![Just(Bytes::new()), user_keys()], any::<bool>())
        .prop_map(|(key, range_end, prev_kv)| pb::DeleteRangeRequest { key, range_end, prev_kv })
}

fn txns() -> impl Strategy<Value = pb::TxnRequest> {
    use pb::request_op::Request;
    let op = || {
        prop_oneof![
            puts().prop_map(Request::RequestPut),
            deletes().prop_map(Request::RequestDeleteRange),
            user_keys().prop_map(|key| Request::RequestRange(pb::RangeRequest { key, ..Default::default() })),
        ]
        .prop_map(|request| pb::RequestOp { request: Some(request) })
    };
    let compare = (user_keys(), prop::collection::vec(any::<u8>(), 0..2)).prop_map(|(key, value)| pb::Compare {
        result: pb::compare::CompareResult::Greater.into(),
        target: pb::compare::CompareTarget::Value.into(),
        key,
        target_union: Some(pb::compare::TargetUnion::Value(value.into())),
        ..Default::default()
    });
    (prop::collection::vec(compare, 0..2), prop::collection::vec(op(), 0..3), prop::collection::vec(op(), 0..3))
        .prop_map(|(compare, success, failure)| pb::TxnRequest { compare, success, failure })
}

fn requests() -> impl Strategy<Value = command::Request> {
    use command::Request;
    prop_oneof![
        8 => puts().prop_map(Request::Put),
        3 => deletes().prop_map(Request::DeleteRange),
        3 => txns().prop_map(Request::Txn),
        2 => (0i64..40).prop_map(|revision| Request::Compaction(pb::CompactionRequest { revision, physical: false })),
        1 => (1i64..3).prop_map(|id| Request::LeaseGrant(pb::LeaseGrantRequest { ttl: 60, id })),
        1 => (1i64..3).prop_map(|id| Request::LeaseRevoke(LeaseRevoke { id, incarnation: 0, term: 0 })),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => requests().prop_map(Step::Entry),
        4 => Just(Step::Close),
        2 => Just(Step::Trim),
        1 => events().prop_map(Step::Event),
    ]
}

/// A machine on an engine, with the round it is in.
struct Member<E> {
    machine: Machine,
    round: Option<Round>,
    rows: CachedRows<E>,
}

impl<E: Engine> Member<E> {
    fn start(engine: &Arc<E>) -> Result<Self, Fault> {
        // A small cache, so that rows come from it and from the engine.
        let rows = CachedRows::new(Arc::clone(engine), 4 << 10);
        Ok(Self { machine: Machine::load(engine.as_ref())?, round: None, rows })
    }

    /// Applies the entries of the log that the machine lacks; answers what they answered, as text.
    fn catch_up(&mut self, log: &[command::Request]) -> Result<Vec<String>, Fault> {
        let applied = self.machine.applied().index.0;
        let mut answers = Vec::new();
        for (index, request) in (1u64..).zip(log).skip_while(|(index, _)| *index <= applied) {
            let position = Position { term: Term(1), index: LogIndex(index) };
            let command = Command { request: Some(request.clone()), ..Command::default() };
            let applied = self.machine.apply(self.round.get_or_insert_default(), &self.rows, position, &command)?;
            answers.push(format!("{index}: {applied:?}"));
        }
        Ok(answers)
    }

    /// Closes the round, if one is open; answers what it wrote and what it told, as text.
    fn close(&mut self) -> Result<String, Fault> {
        let Some(round) = self.round.take() else {
            return Ok(String::new());
        };
        let finished = self.machine.finish(round);
        self.rows.engine().write(&finished.writes)?;
        self.rows.insert_many(finished.rows);
        Ok(format!("{:?} {:?} {:?}", finished.writes, finished.changes, finished.effects))
    }

    fn trim(&mut self) -> Result<usize, Fault> {
        let Some(progress) = self.machine.trim_pending() else {
            return Ok(0);
        };
        let step = self.machine.trim_step(self.rows.engine().as_ref(), progress, 5)?;
        self.rows.engine().write(&step.writes)?;
        Ok(step.removed)
    }

    /// All that can be seen of the state, and the row of every live key.
    fn state(&self) -> Result<String, Fault> {
        let view = self.machine.view();
        let keys: Vec<(&[u8], Vec<Version>)> =
            view.index.histories().map(|history| (history.key(), history.versions().copied().collect())).collect();
        let leases: Vec<_> = view.leases.iter().map(|lease| (lease, view.leases.keys(lease.id).count())).collect();
        let live: Vec<Revision> = view.index.histories().filter_map(|history| Some(history.live()?.revision)).collect();
        Ok(format!(
            "{} {} {} {} {keys:?} {leases:?} {:?}",
            view.revision,
            view.compact_revision,
            view.applied_index,
            view.bytes_in_use,
            self.rows.rows(&live)?
        ))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_machine_cannot_tell_the_engines_apart(steps in prop::collection::vec(steps(), 1..120)) {
        let memory = Arc::new(MemoryEngine::new());
        let mut store = Store::new();
        let mut log = Vec::new();
        let mut reference = Member::start(&memory)?;
        let mut member = Some(Member::start(store.engine())?);
        for step in steps {
            let tested = member.as_mut().expect("it runs between steps");
            match step {
                Step::Entry(request) => {
                    log.push(request);
                    prop_assert_eq!(tested.catch_up(&log)?, reference.catch_up(&log)?);
                }
                Step::Close => prop_assert_eq!(tested.close()?, reference.close()?),
                Step::Trim => {
                    prop_assert_eq!(tested.close()?, reference.close()?);
                    prop_assert_eq!(tested.trim()?, reference.trim()?);
                }
                Step::Event(event) => {
                    prop_assert_eq!(tested.close()?, reference.close()?);
                    let before = tested.state()?;
                    drop(member.take());
                    store = happen(event, store, &memory)?;
                    reference = Member::start(&memory)?;
                    let mut restarted = Member::start(store.engine())?;
                    if !matches!(event, Event::Crash) {
                        prop_assert_eq!(&restarted.state()?, &before);
                    }
                    prop_assert_eq!(restarted.catch_up(&log)?, reference.catch_up(&log)?);
                    prop_assert_eq!(restarted.close()?, reference.close()?);
                    member = Some(restarted);
                }
            }
            let tested = member.as_ref().expect("it runs between steps");
            prop_assert_eq!(tested.machine.applied(), reference.machine.applied());
        }
        let mut tested = member.expect("it runs between steps");
        prop_assert_eq!(tested.close()?, reference.close()?);
        prop_assert_eq!(tested.state()?, reference.state()?);
        prop_assert_eq!(dump(store.engine().as_ref()), dump(memory.as_ref()));
    }
}
