//! Whatever is asked in whatever order, the machine answers like a store that keeps a whole map per revision; and neither
//! rounds, crashes, restarts, held views nor the removal of hidden rows can be told from its answers.

#[path = "support/naive.rs"]
mod naive;
#[path = "support/steps.rs"]
mod steps;

use naive::Naive;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use quorate_core::check;
use quorate_core::error::Refusal;
use quorate_core::ids::{LogIndex, Term};
use quorate_core::limits::TXN_OPS_MAX;
use quorate_core::machine::txn::{is_read_only, read_only};
use quorate_core::machine::{Machine, Outcome, Position, Response, Round};
use quorate_core::mvcc::hash::{Hashed, hash_key_space};
use quorate_core::mvcc::range::{Source, range};
use quorate_core::mvcc::view::View;
use quorate_core::pb::{
    CompactionRequest, CompactionResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeResponse, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse,
};
use quorate_core::storage::memory::MemoryEngine;
use quorate_core::storage::{Engine, EngineRows, Table, codec};
use quorate_proto::internal::command::Request;
use quorate_proto::internal::{Command, LeaseRevoke};
use std::ops::ControlFlow;
use steps::{Step, resolve, revision, steps};

const NO_FAULT: &str = "the engine in memory does not fail";

/// The machine, what it should be, and what is between them.
struct Pair {
    engine: MemoryEngine,
    machine: Machine,
    model: Naive,
    round: Round,
    log: Vec<(Position, Command)>,
    /// Changes up to this revision were compared.
    told: i64,
    held: Vec<(View, Naive)>,
}

impl Pair {
    fn new() -> Self {
        let engine = MemoryEngine::new();
        let machine = Machine::load(&engine).expect(NO_FAULT);
        let model = Naive::default();
        Self { engine, machine, model, round: Round::default(), log: Vec::new(), told: 1, held: Vec::new() }
    }

    fn step(&mut self, step: Step) -> TestCaseResult {
        let newest = self.model.revision();
        match step {
            Step::Put(put) => {
                prop_assert_eq!(check::put(&put), Ok(()));
                let expected = self.model.put(&put).map(Response::Put);
                self.apply(Request::Put(put), expected)?;
            }
            Step::Delete(delete) => {
                let expected = Ok(Response::DeleteRange(self.model.delete(&delete)));
                self.apply(Request::DeleteRange(delete), expected)?;
            }
            Step::Txn(mut txn) => {
                resolve(&mut txn, newest);
                if check::txn(&txn, TXN_OPS_MAX).is_ok() {
                    let expected = self.model.txn(&txn);
                    if is_read_only(&txn) {
                        self.end_round()?;
                        prop_assert_eq!(&self.read_only(&txn), &expected);
                    }
                    self.apply(Request::Txn(txn), expected.map(Response::Txn))?;
                }
            }
            Step::Compact(offset) => {
                let revision = revision(offset, newest);
                let response = CompactionResponse { header: naive::header(newest) };
                let expected = self.model.compact(revision).map(|()| Response::Compaction(response));
                self.apply(Request::Compaction(CompactionRequest { revision, physical: false }), expected)?;
            }
            Step::Grant(id) => {
                let response = LeaseGrantResponse { header: naive::header(newest), id, ttl: 60, error: String::new() };
                let expected = self.model.grant(id).map(|()| Response::LeaseGrant(response));
                self.apply(Request::LeaseGrant(LeaseGrantRequest { ttl: 60, id }), expected)?;
            }
            Step::Revoke(id) => {
                let expected = self.model.revoke(id).map(|()| {
                    Response::LeaseRevoke(LeaseRevokeResponse { header: naive::header(self.model.revision()) })
                });
                self.apply(Request::LeaseRevoke(LeaseRevoke { id, incarnation: 0, term: 0 }), expected)?;
            }
            Step::Range(mut request) => {
                self.end_round()?;
                request.revision = revision(request.revision, newest);
                let view = self.machine.view();
                prop_assert_eq!(self.range(&view, &request), self.model.range(&request), "{:?}", request);
            }
            Step::Hash(offset) => {
                self.end_round()?;
                let at = newest + offset;
                if at > 0 {
                    prop_assert_eq!(self.hash(&self.machine.view(), at), self.model.hash(at), "hash at {}", at);
                }
            }
            Step::EndRound => self.end_round()?,
            Step::Flush => {
                self.end_round()?;
                self.engine.flush().expect(NO_FAULT);
            }
            Step::Crash => {
                self.end_round()?;
                self.held.clear();
                self.engine.crash();
                self.recover()?;
            }
            Step::Trim { rows, steps } => {
                self.end_round()?;
                self.trim(rows, steps);
            }
            Step::Hold => {
                self.end_round()?;
                self.held.push((self.machine.view(), self.model.clone()));
            }
            Step::Release => {
                if !self.held.is_empty() {
                    self.held.remove(0);
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, request: Request, expected: Outcome) -> TestCaseResult {
        let position = Position { term: Term(1), index: LogIndex(self.log.len() as u64 + 1) };
        let command = Command { request: Some(request), ..Command::default() };
        let rows = EngineRows(&self.engine);
        let applied = self.machine.apply(&mut self.round, &rows, position, &command).expect(NO_FAULT);
        prop_assert_eq!(applied.outcome, expected, "{:?}", command);
        self.log.push((position, command));
        Ok(())
    }

    fn end_round(&mut self) -> TestCaseResult {
        let finished = self.machine.finish(std::mem::take(&mut self.round));
        prop_assert_eq!(finished.changes, self.model.changes(self.told));
        self.told = self.model.revision();
        if self.machine.applied_index() > LogIndex(0) {
            self.engine.write(&finished.writes).expect(NO_FAULT);
        }
        self.compare(&finished.view, &self.model)
    }

    /// Loads the store and replays the log behind it, entries in one round.
    fn recover(&mut self) -> TestCaseResult {
        self.machine = Machine::load(&self.engine).expect(NO_FAULT);
        let from = self.machine.applied_index();
        let mut round = Round::default();
        let behind: Vec<_> = self.log.iter().filter(|(position, _)| position.index > from).collect();
        for (position, command) in &behind {
            let rows = EngineRows(&self.engine);
            self.machine.apply(&mut round, &rows, *position, command).expect(NO_FAULT);
        }
        if !behind.is_empty() {
            let finished = self.machine.finish(round);
            self.engine.write(&finished.writes).expect(NO_FAULT);
        }
        self.compare(&self.machine.view(), &self.model)
    }

    fn trim(&mut self, rows: usize, steps: usize) {
        let mut pending = self.machine.trim_pending();
        for _ in 0..steps {
            let Some(progress) = pending else {
                return;
            };
            let step = self.machine.trim_step(&self.engine, progress, rows).expect(NO_FAULT);
            self.engine.write(&step.writes).expect(NO_FAULT);
            pending = step.next;
        }
    }

    fn read_only(&self, txn: &TxnRequest) -> Result<TxnResponse, Refusal> {
        read_only(&self.machine.view(), &EngineRows(&self.engine), txn).expect(NO_FAULT)
    }

    fn range(&self, view: &View, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        let source = Source {
            index: &view.index,
            revision: view.revision,
            compact_revision: view.compact_revision,
            rows: &EngineRows(&self.engine),
        };
        range(source, request).expect(NO_FAULT)
    }

    fn hash(&self, view: &View, at: i64) -> Result<u32, Refusal> {
        let state = Hashed { index: &view.index, revision: view.revision, compact_revision: view.compact_revision };
        hash_key_space(state, &self.engine, at).expect(NO_FAULT).map(|hash| hash.hash)
    }

    fn compare(&self, view: &View, model: &Naive) -> TestCaseResult {
        prop_assert_eq!(view.revision, model.revision());
        prop_assert_eq!(view.compact_revision, model.compacted);
        prop_assert_eq!(view.bytes_in_use, model.bytes_in_use());
        prop_assert_eq!(view.index.live_keys() as usize, model.now().len());
        let leases: Vec<i64> = view.leases.iter().map(|lease| lease.id.0).collect();
        prop_assert_eq!(leases, model.leases.iter().copied().collect::<Vec<_>>());
        for lease in view.leases.iter() {
            let keys: Vec<_> = view.leases.keys(lease.id).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(keys, model.keys_of(lease.id.0));
        }
        Ok(())
    }

    /// Every key and hash at every revision that can be read.
    fn compare_history(&self, view: &View, model: &Naive) -> TestCaseResult {
        self.compare(view, model)?;
        for at in model.compacted.max(1)..=model.revision() {
            let request = RangeRequest {
                key: b"\0".as_slice().into(),
                range_end: b"\0".as_slice().into(),
                revision: at,
                ..RangeRequest::default()
            };
            prop_assert_eq!(self.range(view, &request), model.range(&request));
            prop_assert_eq!(self.hash(view, at), model.hash(at), "hash at {}", at);
        }
        Ok(())
    }

    /// Everything once more: held views, then a restart, then with all hidden rows gone, then a restart of that.
    fn finish(mut self) -> TestCaseResult {
        self.end_round()?;
        for (view, model) in &self.held {
            self.compare_history(view, model)?;
        }
        self.compare_history(&self.machine.view(), &self.model)?;
        self.held.clear();
        self.recover()?;
        self.compare_history(&self.machine.view(), &self.model)?;
        self.trim(3, usize::MAX);
        prop_assert_eq!(self.machine.trimmed(), self.model.compacted);
        self.recover()?;
        self.compare_history(&self.machine.view(), &self.model)?;
        self.compare_rows()
    }

    /// After trimming the store holds what is not hidden. (Of one revision that ends, begins and ends a key again, the
    /// floor may keep a row more.)
    fn compare_rows(&self) -> TestCaseResult {
        let mut stored = Vec::new();
        let mut visit = |key: &[u8], _: &[u8]| {
            stored.push(codec::row_revision(key).expect(NO_FAULT));
            ControlFlow::Continue(())
        };
        self.engine.scan(Table::Row, &[], None, &mut visit).expect(NO_FAULT);
        for row in &self.model.rows {
            let kept = stored.contains(&row.revision);
            if self.model.hides(row) {
                prop_assert!(!kept || row.revision.main == self.model.compacted, "{} is hidden", row.revision);
            } else {
                prop_assert!(kept, "{} is gone", row.revision);
            }
        }
        Ok(())
    }
}

proptest! {
    // A failure prints its steps in full, so no file of seeds is kept. PROPTEST_CASES asks for more than 256 of them.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_answers_like_a_map_per_revision(steps in steps()) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step)?;
        }
        pair.finish()?;
    }
}
