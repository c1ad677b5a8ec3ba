//! Too large, too deep, too broken.

use super::Bench;
use crate::support::launch::is_original;
use prost::Message;
use quorate_client::api::request_op::Request as Op;
use quorate_client::api::{PutRequest, RequestOp, TxnRequest};
use tonic::Code;

const PUT: &str = "/etcdserverpb.KV/Put";
const TXN: &str = "/etcdserverpb.KV/Txn";
/// `--max-request-bytes` unless told otherwise, and what gRPC allows above it (contract §4).
const REQUEST_BYTES_MAX: usize = 1_572_864;
const OVERHEAD_BYTES: usize = 524_288;

fn put_of(value_bytes: usize) -> Vec<u8> {
    PutRequest { key: "large".into(), value: vec![b'x'; value_bytes].into(), ..PutRequest::default() }.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_be_as_large_as_the_limit_and_no_larger() {
    let mut bench = Bench::start().await;
    bench.raw.call(PUT, put_of(REQUEST_BYTES_MAX - 1_000)).await.expect("within the limit");
    // Above the first limit etcd refuses it, above the second gRPC does.
    for value_bytes in [REQUEST_BYTES_MAX + 1, REQUEST_BYTES_MAX + OVERHEAD_BYTES - 100] {
        let status = bench.raw.call(PUT, put_of(value_bytes)).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "etcdserver: request is too large"));
    }
    let request = put_of(REQUEST_BYTES_MAX + OVERHEAD_BYTES);
    let text = format!(
        "grpc: received message larger than max ({} vs. {})",
        request.len(),
        REQUEST_BYTES_MAX + OVERHEAD_BYTES
    );
    let status = bench.raw.call(PUT, request).await.expect_err("refused");
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text.as_str()));
    bench.still_serves(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_follow_their_flags() {
    let mut bench = Bench::start_with(&["--max-request-bytes=10000", "--max-txn-ops=3"]).await;
    bench.raw.call(PUT, put_of(9_000)).await.expect("within the limit");
    let status = bench.raw.call(PUT, put_of(10_001)).await.expect_err("refused");
    assert_eq!(status.message(), "etcdserver: request is too large");
    let request = put_of(10_000 + OVERHEAD_BYTES);
    let text = format!("grpc: received message larger than max ({} vs. {})", request.len(), 10_000 + OVERHEAD_BYTES);
    assert_eq!(bench.raw.call(PUT, request).await.expect_err("refused").message(), text);
    let put = |n: usize| {
        let put = PutRequest { key: n.to_string().into(), ..PutRequest::default() };
        RequestOp { request: Some(Op::RequestPut(put)) }
    };
    let txn = |count: usize| TxnRequest { success: (0..count).map(put).collect(), ..TxnRequest::default() };
    bench.raw.call(TXN, txn(3).encode_to_vec()).await.expect("within the limit");
    let status = bench.raw.call(TXN, txn(4).encode_to_vec()).await.expect_err("refused");
    assert_eq!(status.message(), "etcdserver: too many operations in txn request");
    bench.still_serves(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_nest_but_not_without_end() {
    let mut bench = Bench::start().await;
    // The budget of operations allows 127 levels (§2.7); we decode messages to a depth of 100, which is 49.
    bench.raw.call(TXN, nested(49)).await.expect("within the budget");
    let status = bench.raw.call(TXN, nested(200)).await.expect_err("refused");
    if is_original() {
        assert_eq!(status.message(), "etcdserver: too many operations in txn request");
    }
    // As deep as a message can be: refused somehow, and no stack overflows.
    let deep = nested(150_000);
    assert!(deep.len() < REQUEST_BYTES_MAX + OVERHEAD_BYTES, "{} bytes", deep.len());
    bench.raw.call(TXN, deep).await.expect_err("refused");
    bench.still_serves(1).await;
}

/// A put inside so many transactions, encoded from the inside out.
fn nested(levels: usize) -> Vec<u8> {
    let put = PutRequest { key: "deep".into(), ..PutRequest::default() };
    let innermost = RequestOp { request: Some(Op::RequestPut(put)) };
    // Bytes in reverse, so that each level is appended and not inserted.
    let mut reversed: Vec<u8> = innermost.encode_to_vec().into_iter().rev().collect();
    for level in 0..levels {
        // TxnRequest.success is field 2, RequestOp.request_txn is field 4.
        push_header(&mut reversed, 2);
        if level + 1 < levels {
            push_header(&mut reversed, 4);
        }
    }
    reversed.reverse();
    reversed
}

/// Puts the tag and length of a message field before what is there, everything in reverse.
fn push_header(reversed: &mut Vec<u8>, field: u8) {
    let mut length = reversed.len();
    let mut varint = Vec::new();
    while length >= 0x80 {
        varint.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    varint.push(u8::try_from(length).expect("seven bits"));
    reversed.extend(varint.into_iter().rev());
    reversed.push(field << 3 | 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_decoded_are_refused() {
    let mut bench = Bench::start().await;
    let mut broken: Vec<&[u8]> = vec![
        b"\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        // Field 1 announces more bytes than there are.
        b"\x0a\x05ab",
        // Field 1 as a number.
        b"\x08\x01",
        // Field number 0.
        b"\x02\x01a",
        // Groups that are not closed, or never opened.
        b"\x0b",
        b"\x0c",
    ];
    if !is_original() {
        // Field 1 announces 2^63 bytes. It ends the process of etcd 3.4.23.
        broken.push(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f");
    }
    let methods = [
        "/etcdserverpb.KV/Range",
        PUT,
        "/etcdserverpb.KV/DeleteRange",
        TXN,
        "/etcdserverpb.Lease/LeaseGrant",
        "/etcdserverpb.Maintenance/Status",
    ];
    for method in methods {
        for message in &broken {
            // Some of it is legal for some of the messages: what is a string here is skipped as unknown there.
            if let Err(status) = bench.raw.call(method, message.to_vec()).await {
                let codes = [Code::Internal, Code::InvalidArgument, Code::OutOfRange];
                assert!(codes.contains(&status.code()), "{method} {message:x?}: {status:?}");
            }
        }
        let status = bench.raw.call(method, b"\xff".to_vec()).await.expect_err("a broken tag");
        assert_eq!(status.code(), Code::Internal, "{method}: {status:?}");
    }
    bench.still_serves(0).await;
}
