//! Requests that are well formed and cannot be carried out.

use super::Bench;
use crate::support::launch::is_original;
use prost::Message;
use quorate_client::api::compare::{CompareResult, CompareTarget, TargetUnion};
use quorate_client::api::request_op::Request as Op;
use quorate_client::api::{
    CompactionRequest, Compare, DeleteRangeRequest, HashKvRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest,
    RangeRequest, RequestOp, TxnRequest,
};
use tonic::Code;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};

const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";
const DELETE: &str = "/etcdserverpb.KV/DeleteRange";
const TXN: &str = "/etcdserverpb.KV/Txn";
const COMPACT: &str = "/etcdserverpb.KV/Compact";
const GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
const REVOKE: &str = "/etcdserverpb.Lease/LeaseRevoke";
const HASH_KV: &str = "/etcdserverpb.Maintenance/HashKV";

/// A method, a request, and the refusal.
type Case = (&'static str, Vec<u8>, Code, &'static str);

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: "x".into(), ..PutRequest::default() }
}

fn range(key: &str) -> RangeRequest {
    RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() }
}

fn delete(key: &str, end: &str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.to_owned().into(), range_end: end.to_owned().into(), ..Default::default() }
}

fn op(request: Op) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn txn(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest { success, ..TxnRequest::default() }
}

fn compare(key: &str) -> Compare {
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Version.into(),
        key: key.to_owned().into(),
        target_union: Some(TargetUnion::Version(0)),
        ..Compare::default()
    }
}

fn case(method: &'static str, request: &impl Message, code: Code, text: &'static str) -> Case {
    (method, request.encode_to_vec(), code, text)
}

fn cases() -> Vec<Case> {
    use Code::{FailedPrecondition, InvalidArgument, NotFound, OutOfRange};
    let no_key = "etcdserver: key is not provided";
    let not_found = "etcdserver: key not found";
    let value_given = "etcdserver: value is provided";
    let lease_given = "etcdserver: lease is provided";
    let too_many = "etcdserver: too many operations in txn request";
    let duplicate = "etcdserver: duplicate key given in txn request";
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    let future = "etcdserver: mvcc: required revision is a future revision";
    let no_lease = "etcdserver: requested lease not found";
    let puts = |count: usize| (0..count).map(|n| op(Op::RequestPut(put(&n.to_string())))).collect::<Vec<_>>();
    let two_puts = vec![op(Op::RequestPut(put("a"))), op(Op::RequestPut(put("a")))];
    let put_in_deleted = vec![op(Op::RequestDeleteRange(delete("a", "c"))), op(Op::RequestPut(put("b")))];
    let hidden = txn(vec![op(Op::RequestTxn(txn(vec![op(Op::RequestPut(put("a")))]))), op(Op::RequestPut(put("a")))]);
    let mut cases = vec![
        case(RANGE, &RangeRequest::default(), InvalidArgument, no_key),
        case(PUT, &PutRequest::default(), InvalidArgument, no_key),
        case(DELETE, &DeleteRangeRequest::default(), InvalidArgument, no_key),
        case(TXN, &txn(vec![op(Op::RequestPut(PutRequest::default()))]), InvalidArgument, no_key),
        case(TXN, &txn(vec![op(Op::RequestRange(RangeRequest::default()))]), InvalidArgument, no_key),
        case(TXN, &TxnRequest { compare: vec![compare("")], ..Default::default() }, InvalidArgument, no_key),
        case(TXN, &txn(vec![RequestOp { request: None }]), InvalidArgument, not_found),
        case(PUT, &PutRequest { ignore_value: true, ..put("a") }, InvalidArgument, value_given),
        case(PUT, &PutRequest { ignore_lease: true, lease: 5, ..put("a") }, InvalidArgument, lease_given),
        case(PUT, &PutRequest { ignore_lease: true, ..put("missing") }, InvalidArgument, not_found),
        case(PUT, &PutRequest { lease: 5, ..put("a") }, NotFound, no_lease),
        case(TXN, &txn(vec![op(Op::RequestPut(PutRequest { lease: 5, ..put("a") }))]), NotFound, no_lease),
        case(TXN, &txn(puts(129)), InvalidArgument, too_many),
        case(TXN, &TxnRequest { failure: puts(129), ..Default::default() }, InvalidArgument, too_many),
        case(TXN, &TxnRequest { compare: vec![compare("a"); 129], ..Default::default() }, InvalidArgument, too_many),
        // What a transaction leaves of the budget is what a nested one has (§2.7).
        case(TXN, &txn(vec![op(Op::RequestTxn(txn(puts(128))))]), InvalidArgument, too_many),
        case(TXN, &txn(two_puts), InvalidArgument, duplicate),
        case(TXN, &txn(put_in_deleted), InvalidArgument, duplicate),
        case(TXN, &hidden, InvalidArgument, duplicate),
        case(RANGE, &RangeRequest { revision: 1_000, ..range("a") }, OutOfRange, future),
        case(
            TXN,
            &txn(vec![op(Op::RequestPut(put("a"))), op(Op::RequestRange(RangeRequest { revision: 9, ..range("a") }))]),
            OutOfRange,
            future,
        ),
        case(COMPACT, &CompactionRequest { revision: 1_000, ..Default::default() }, OutOfRange, future),
        case(COMPACT, &CompactionRequest { revision: -1, ..Default::default() }, OutOfRange, compacted),
        case(HASH_KV, &HashKvRequest { revision: 1_000 }, OutOfRange, future),
        case(REVOKE, &LeaseRevokeRequest { id: 77 }, NotFound, no_lease),
        case(GRANT, &LeaseGrantRequest { id: 0, ttl: 9_000_000_001 }, OutOfRange, "etcdserver: too large lease TTL"),
        case(GRANT, &LeaseGrantRequest { id: 0, ttl: i64::MAX }, OutOfRange, "etcdserver: too large lease TTL"),
        case(GRANT, &LeaseGrantRequest { id: 1, ttl: 60 }, FailedPrecondition, "etcdserver: lease already exists"),
    ];
    // Since 3.6 (§3.1); 3.4 takes any number.
    if !is_original() {
        let sort = "etcdserver: invalid sort option";
        cases.push(case(RANGE, &RangeRequest { sort_order: 9, ..range("a") }, InvalidArgument, sort));
        cases.push(case(RANGE, &RangeRequest { sort_target: -1, ..range("a") }, InvalidArgument, sort));
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_their_code_and_text_and_change_nothing() {
    let mut bench = Bench::start().await;
    bench.client.lease().grant(LeaseGrantRequest { id: 1, ttl: 60 }).await.expect("granted");
    for (number, (method, request, code, text)) in cases().into_iter().enumerate() {
        let status = bench.raw.call(method, request).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (code, text), "case {number} of {method}");
    }
    bench.still_serves(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn below_the_compacted_revision_nothing_can_be_read() {
    let mut bench = Bench::start().await;
    for _ in 0..4 {
        bench.client.kv().put(put("a")).await.expect("put");
    }
    bench.client.kv().compact(CompactionRequest { revision: 4, physical: true }).await.expect("compacted");
    let read = |revision| RangeRequest { revision, ..range("a") };
    let gone = "etcdserver: mvcc: required revision has been compacted";
    let inside = txn(vec![op(Op::RequestPut(put("b"))), op(Op::RequestRange(read(3)))]);
    let asked = [
        case(RANGE, &read(3), Code::OutOfRange, gone),
        case(TXN, &txn(vec![op(Op::RequestRange(read(3)))]), Code::OutOfRange, gone),
        case(TXN, &inside, Code::OutOfRange, gone),
        case(COMPACT, &CompactionRequest { revision: 4, ..Default::default() }, Code::OutOfRange, gone),
        case(COMPACT, &CompactionRequest { revision: 0, ..Default::default() }, Code::OutOfRange, gone),
        case(HASH_KV, &HashKvRequest { revision: 3 }, Code::OutOfRange, gone),
    ];
    for (method, request, code, text) in asked {
        let status = bench.raw.call(method, request).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (code, text), "{method}");
    }
    assert_eq!(bench.client.kv().range(read(4)).await.expect("the floor can be read").kvs.len(), 1);
    bench.still_serves(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_numbers_that_etcd_takes_are_taken() {
    let mut bench = Bench::start().await;
    let kv = bench.client.kv();
    for key in ["a", "b", "c"] {
        kv.put(put(key)).await.expect("put");
    }
    // No limit, and the newest revision (§2.3).
    let odd = RangeRequest { range_end: "z".into(), limit: -5, revision: -7, ..range("a") };
    assert_eq!(kv.range(odd).await.expect("answered").kvs.len(), 3);
    // An end before the key is an empty range, not a mistake.
    let empty = RangeRequest { range_end: "a".into(), ..range("b") };
    assert_eq!(kv.range(empty).await.expect("answered").count, 0);
    // Negative ids are ids, and negative times to live are raised to the shortest (§2.10).
    let granted = bench.client.lease().grant(LeaseGrantRequest { id: -3, ttl: -9 }).await.expect("granted");
    assert_eq!((granted.id, granted.ttl), (-3, 2));
    // Keeping alive what is not there is no error.
    let (_, answer) = bench.client.lease().keep_alive(4_711).await.expect("answered");
    assert_eq!((answer.id, answer.ttl), (4_711, 0));
    // 128 operations are not too many.
    let ops = (0..128).map(|n| op(Op::RequestPut(put(&n.to_string())))).collect();
    assert!(kv.txn(txn(ops)).await.expect("done").succeeded);
    // Fields that nobody knows are skipped.
    let mut unknown = range("a").encode_to_vec();
    unknown.extend([0xfa, 0x7f, 0x03, 1, 2, 3]);
    bench.raw.call(RANGE, unknown).await.expect("answered");
    bench.still_serves(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_read_as_etcd_reads_it() {
    let mut bench = Bench::start().await;
    let with = |name: &'static str, value: &[u8]| {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, AsciiMetadataValue::try_from(value).expect("a header value"));
        metadata
    };
    let request = range("a").encode_to_vec();
    // There is a leader, so asking for one changes nothing; other values of the key mean nothing.
    for metadata in [with("hasleader", b"true"), with("hasleader", b"maybe"), with("client-api-version", b"99.banana")]
    {
        bench.raw.call_with(RANGE, request.clone(), metadata).await.expect("answered");
    }
    if !is_original() {
        // Tokens are not looked at while authentication is off (§2.17); 3.4 did.
        bench.raw.call_with(RANGE, request.clone(), with("token", b"nonsense.1")).await.expect("answered");
        let status =
            bench.raw.call_with(RANGE, request, with("client-api-version", b"\xff\xfe")).await.expect_err("refused");
        let text = "etcdserver: invalid client api version";
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, text));
    }
    bench.still_serves(0).await;
}
