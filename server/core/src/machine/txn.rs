//! Transactions (contract §2.7).
//!
//! Rule: three passes over the request. First every compare, outer and nested along the path taken, against the state
//! before the transaction. Then everything on that path that could refuse. Only then the operations, in order, which
//! cannot fail; so a transaction happens whole or not at all, and on every member alike.
//!
//! A transaction of ranges only needs no log entry: [`read_only`] answers it from a view, with the same code.

use crate::error::{Fault, Refusal};
use crate::ids::{LeaseId, Revision};
use crate::machine::Machine;
use crate::machine::round::Round;
use crate::mvcc::index::{Index, KeyRange};
use crate::mvcc::key_history::Version;
use crate::mvcc::range::{Source, range};
use crate::mvcc::row;
use crate::mvcc::view::View;
use crate::pb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::pb::request_op::Request;
use crate::pb::response_op;
use crate::pb::{Compare, RangeRequest, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse};
use crate::storage::Rows;
use bytes::Bytes;
use std::cmp::Ordering;

/// Which branch each transaction on the path takes: the outer first, then nested ones in the order of execution.
type Path = std::vec::IntoIter<bool>;

impl Machine {
    pub(crate) fn txn(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        request: &TxnRequest,
    ) -> Result<Result<TxnResponse, Refusal>, Fault> {
        let mut path = Vec::new();
        decide(&self.index, &round.over(rows), request, &mut path)?;
        if let Err(refusal) = self.check_txn(request, &mut path.clone().into_iter()) {
            return Ok(Err(refusal));
        }
        if request.compare.len().max(request.success.len()).max(request.failure.len()) > 1 {
            round.counts.txns += 1;
        }
        let mut run = Run { revision: Revision::new(self.revision + 1, 0), path: path.into_iter() };
        let mut response = self.run(round, rows, request, &mut run)?;
        if run.changed() {
            self.revision = run.revision.main;
        }
        response.header = Some(self.header());
        Ok(Ok(response))
    }

    /// What could refuse an operation on the path, against the state before the transaction.
    fn check_txn(&self, request: &TxnRequest, path: &mut Path) -> Result<(), Refusal> {
        for operation in branch(request, path).1 {
            match &operation.request {
                Some(Request::RequestRange(range)) => self.check_inner_range(range)?,
                Some(Request::RequestPut(put)) => {
                    // A transaction looks at the key before the lease; a put by itself does it the other way round.
                    self.check_kept(put)?;
                    self.check_lease(put)?;
                }
                Some(Request::RequestTxn(nested)) => self.check_txn(nested, path)?,
                Some(Request::RequestDeleteRange(_)) | None => {}
            }
        }
        Ok(())
    }

    fn check_inner_range(&self, request: &RangeRequest) -> Result<(), Refusal> {
        inner_readable(request.revision, self.revision, self.compact_revision)
    }

    fn run(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        request: &TxnRequest,
        run: &mut Run,
    ) -> Result<TxnResponse, Fault> {
        let (succeeded, operations) = branch(request, &mut run.path);
        let mut responses = Vec::with_capacity(operations.len());
        for operation in operations {
            let response = match &operation.request {
                Some(Request::RequestRange(request)) => {
                    round.counts.ranges += 1;
                    // Inside, the newest revision is the transaction's own as soon as it has changed something.
                    let source = Source {
                        index: &self.index,
                        revision: run.seen(self.revision),
                        compact_revision: self.compact_revision,
                        rows: &round.over(rows),
                    };
                    inner_range(source, request)?
                }
                Some(Request::RequestPut(request)) => {
                    let mut response = self.do_put(round, rows, request, run.revision)?;
                    run.revision.sub += 1;
                    response.header = Some(header(run.revision.main));
                    response_op::Response::ResponsePut(response)
                }
                Some(Request::RequestDeleteRange(request)) => {
                    let mut response = self.do_delete(round, rows, request, run.revision)?;
                    run.revision.sub += u32::try_from(response.deleted).unwrap_or(u32::MAX);
                    response.header = Some(header(run.seen(self.revision)));
                    response_op::Response::ResponseDeleteRange(response)
                }
                Some(Request::RequestTxn(nested)) => {
                    let mut response = self.run(round, rows, nested, run)?;
                    response.header = Some(ResponseHeader::default());
                    response_op::Response::ResponseTxn(response)
                }
                // Refused before it was proposed; an empty answer keeps the places of the others.
                None => {
                    responses.push(ResponseOp::default());
                    continue;
                }
            };
            responses.push(ResponseOp { response: Some(response) });
        }
        Ok(TxnResponse { header: None, succeeded, responses })
    }
}

/// A transaction in execution: the revision of its next change, and the branches still to take.
struct Run {
    revision: Revision,
    path: Path,
}

impl Run {
    fn changed(&self) -> bool {
        self.revision.sub > 0
    }

    fn seen(&self, before: i64) -> i64 {
        if self.changed() { self.revision.main } else { before }
    }
}

/// True when a transaction needs no log entry: nothing but direct ranges in both branches.
#[must_use]
pub fn is_read_only(request: &TxnRequest) -> bool {
    operations(request).all(|operation| matches!(operation.request, Some(Request::RequestRange(_))))
}

/// True when a read-only transaction may be answered without a barrier: all its ranges say so.
#[must_use]
pub fn is_serializable(request: &TxnRequest) -> bool {
    operations(request)
        .all(|operation| matches!(&operation.request, Some(Request::RequestRange(range)) if range.serializable))
}

fn operations(request: &TxnRequest) -> impl Iterator<Item = &RequestOp> {
    request.success.iter().chain(&request.failure)
}

/// Answers a transaction of ranges from a view.
///
/// # Errors
/// The outer one is a fault of the rows; the inner one a refusal.
pub fn read_only(view: &View, rows: &dyn Rows, request: &TxnRequest) -> Result<Result<TxnResponse, Refusal>, Fault> {
    let mut path = Vec::new();
    decide(&view.index, rows, request, &mut path)?;
    let (succeeded, operations) = branch(request, &mut path.into_iter());
    let source = Source { index: &view.index, revision: view.revision, compact_revision: view.compact_revision, rows };
    let ranges = operations.iter().filter_map(|operation| match &operation.request {
        Some(Request::RequestRange(range)) => Some(range),
        _ => None,
    });
    for request in ranges.clone() {
        if let Err(refusal) = inner_readable(request.revision, view.revision, view.compact_revision) {
            return Ok(Err(refusal));
        }
    }
    let responses = ranges
        .map(|request| Ok(ResponseOp { response: Some(inner_range(source, request)?) }))
        .collect::<Result<_, Fault>>()?;
    Ok(Ok(TxnResponse { header: Some(header(view.revision)), succeeded, responses }))
}

/// A range inside a transaction is pickier than a direct one about numbers below zero: they are compared with the floor,
/// and that of a fresh store is −1 (contract §2.7).
fn inner_readable(revision: i64, newest: i64, compact_revision: i64) -> Result<(), Refusal> {
    if revision > newest {
        return Err(Refusal::FutureRevision);
    }
    if revision != 0 && revision < compact_revision {
        return Err(Refusal::Compacted);
    }
    Ok(())
}

fn inner_range(source: Source<'_>, request: &RangeRequest) -> Result<response_op::Response, Fault> {
    let response = range(source, request)?
        .map_err(|refusal| Fault::new(format!("a range that was checked was refused in a transaction: {refusal}")))?;
    Ok(response_op::Response::ResponseRange(response))
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..ResponseHeader::default() }
}

/// The branch that the path takes at this transaction.
fn branch<'r>(request: &'r TxnRequest, path: &mut Path) -> (bool, &'r [RequestOp]) {
    let succeeded = path.next().unwrap_or(false);
    (succeeded, if succeeded { &request.success } else { &request.failure })
}

/// Evaluates all compares along the path, against the state before the transaction.
fn decide(index: &Index, rows: &dyn Rows, request: &TxnRequest, path: &mut Vec<bool>) -> Result<(), Fault> {
    let mut succeeded = true;
    for compare in &request.compare {
        if !holds(index, rows, compare)? {
            succeeded = false;
            break;
        }
    }
    path.push(succeeded);
    for operation in if succeeded { &request.success } else { &request.failure } {
        if let Some(Request::RequestTxn(nested)) = &operation.request {
            decide(index, rows, nested, path)?;
        }
    }
    Ok(())
}

/// True when the comparison holds for every key of its range; for an empty range it is made once with a missing key.
fn holds(index: &Index, rows: &dyn Rows, compare: &Compare) -> Result<bool, Fault> {
    let range = KeyRange::new(&compare.key, &compare.range_end);
    let mut any = false;
    for (_, version) in index.iter_live(range) {
        any = true;
        if !holds_for(rows, compare, Some(version))? {
            return Ok(false);
        }
    }
    if any { Ok(true) } else { holds_for(rows, compare, None) }
}

fn holds_for(rows: &dyn Rows, compare: &Compare, version: Option<&Version>) -> Result<bool, Fault> {
    let operand = compare.target_union.as_ref();
    let order = match CompareTarget::try_from(compare.target) {
        // An unknown target compares nothing, which etcd takes as equal.
        Err(_) => Ordering::Equal,
        Ok(CompareTarget::Version) => {
            let operand = if let Some(TargetUnion::Version(number)) = operand { *number } else { 0 };
            version.map_or(0, |version| version.version).cmp(&operand)
        }
        Ok(CompareTarget::Create) => {
            let operand = if let Some(TargetUnion::CreateRevision(number)) = operand { *number } else { 0 };
            version.map_or(0, |version| version.create_revision).cmp(&operand)
        }
        Ok(CompareTarget::Mod) => {
            let operand = if let Some(TargetUnion::ModRevision(number)) = operand { *number } else { 0 };
            version.map_or(0, |version| version.revision.main).cmp(&operand)
        }
        Ok(CompareTarget::Lease) => {
            let operand = if let Some(TargetUnion::Lease(number)) = operand { *number } else { 0 };
            version.map_or(LeaseId::NONE, |version| version.lease).0.cmp(&operand)
        }
        Ok(CompareTarget::Value) => {
            // A missing key has no value to compare: false, whatever the operator.
            let Some(version) = version else {
                return Ok(false);
            };
            let value = row::decode(&rows.row(version.revision)?)?.value;
            let operand = if let Some(TargetUnion::Value(value)) = operand { value.clone() } else { Bytes::new() };
            value.cmp(&operand)
        }
    };
    // An unknown operator holds (contract §2.7).
    Ok(CompareResult::try_from(compare.result).map_or(true, |result| match result {
        CompareResult::Equal => order == Ordering::Equal,
        CompareResult::Greater => order == Ordering::Greater,
        CompareResult::Less => order == Ordering::Less,
        CompareResult::NotEqual => order != Ordering::Equal,
    }))
}
