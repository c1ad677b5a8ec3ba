//! Random conversations: few keys, few leases, so that everything meets everything.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_core::pb::compare::TargetUnion;
use quorate_core::pb::request_op::Request;
use quorate_core::pb::{Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};

/// What happens next. Revisions in requests are offsets from the newest one, 0 meaning "now".
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(i64),
    Grant(i64),
    Revoke(i64),
    Range(RangeRequest),
    Hash(i64),
    EndRound,
    Flush,
    Crash,
    Trim { rows: usize, steps: usize },
    Hold,
    Release,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => put().prop_map(Step::Put),
        6 => delete().prop_map(Step::Delete),
        10 => txn(2).prop_map(Step::Txn),
        3 => (-4i64..=1).prop_map(Step::Compact),
        3 => (1i64..4).prop_map(Step::Grant),
        2 => (1i64..4).prop_map(Step::Revoke),
        8 => range().prop_map(Step::Range),
        3 => (-6i64..=1).prop_map(Step::Hash),
        6 => Just(Step::EndRound),
        2 => Just(Step::Flush),
        2 => Just(Step::Crash),
        4 => (1usize..5, 1usize..5).prop_map(|(rows, steps)| Step::Trim { rows, steps }),
        2 => Just(Step::Hold),
        1 => Just(Step::Release),
    ];
    prop::collection::vec(step, 1..90)
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec![&b"a"[..], b"ab", b"b", b"c", b"\0", b"\xff"]).prop_map(Bytes::from_static)
}

fn range_end() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => Just(Bytes::new()),
        2 => Just(Bytes::from_static(b"\0")),
        3 => key(),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec![&b""[..], b"1", b"22", b"a value of some length"]).prop_map(Bytes::from_static)
}

fn lease() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 2 => 1i64..4]
}

fn offset() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0), 3 => -8i64..=1]
}

fn put() -> impl Strategy<Value = PutRequest> {
    let flags = (any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (key(), value(), lease(), flags).prop_map(|(key, value, lease, (prev_kv, ignore_value, ignore_lease))| PutRequest {
        key,
        value: if ignore_value { Bytes::new() } else { value },
        lease: if ignore_lease { 0 } else { lease },
        prev_kv,
        ignore_value,
        ignore_lease,
    })
}

fn delete() -> impl Strategy<Value = DeleteRangeRequest> {
    (key(), range_end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

fn range() -> impl Strategy<Value = RangeRequest> {
    let order = (0i64..4, 0i32..3, 0i32..5);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let bound = || prop_oneof![4 => Just(0i64), 1 => 1i64..30];
    let bounds = (bound(), bound(), bound(), bound());
    (key(), range_end(), offset(), order, flags, bounds).prop_map(
        |(key, range_end, revision, (limit, sort_order, sort_target), (keys_only, count_only), bounds)| RangeRequest {
            key,
            range_end,
            limit,
            revision,
            sort_order,
            sort_target,
            serializable: false,
            keys_only,
            count_only,
            min_mod_revision: bounds.0,
            max_mod_revision: bounds.1,
            min_create_revision: bounds.2,
            max_create_revision: bounds.3,
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let small = || 0i64..12;
    let operand = prop_oneof![
        small().prop_map(TargetUnion::Version),
        small().prop_map(TargetUnion::CreateRevision),
        small().prop_map(TargetUnion::ModRevision),
        value().prop_map(TargetUnion::Value),
        (0i64..4).prop_map(TargetUnion::Lease),
    ];
    (key(), range_end(), 0i32..4, operand).prop_map(|(key, range_end, result, operand)| Compare {
        result,
        target: match operand {
            TargetUnion::Version(_) => 0,
            TargetUnion::CreateRevision(_) => 1,
            TargetUnion::ModRevision(_) => 2,
            TargetUnion::Value(_) => 3,
            TargetUnion::Lease(_) => 4,
        },
        key,
        range_end,
        target_union: Some(operand),
    })
}

fn txn(depth: u32) -> BoxedStrategy<TxnRequest> {
    let simple = prop_oneof![
        4 => put().prop_map(Request::RequestPut),
        2 => delete().prop_map(Request::RequestDeleteRange),
        2 => range().prop_map(Request::RequestRange),
    ];
    let operation = if depth == 0 {
        simple.boxed()
    } else {
        prop_oneof![3 => simple, 1 => txn(depth - 1).prop_map(Request::RequestTxn)].boxed()
    };
    let operation = operation.prop_map(|request| RequestOp { request: Some(request) });
    let list = || prop::collection::vec(operation.clone(), 0..4);
    (prop::collection::vec(compare(), 0..2), list(), list())
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
        .boxed()
}

/// Offsets to revisions, in a transaction and everything nested in it.
pub(crate) fn resolve(request: &mut TxnRequest, newest: i64) {
    for operation in request.success.iter_mut().chain(&mut request.failure) {
        match &mut operation.request {
            Some(Request::RequestRange(range)) => range.revision = revision(range.revision, newest),
            Some(Request::RequestTxn(nested)) => resolve(nested, newest),
            _ => {}
        }
    }
}

pub(crate) fn revision(offset: i64, newest: i64) -> i64 {
    if offset == 0 { 0 } else { newest + offset }
}
