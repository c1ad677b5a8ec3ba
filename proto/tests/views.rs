//! Both Rust views read and write the same bytes.
//!
//! `wire` holds embedded key-values and events as bytes. Whatever a caller can encode must come through a member
//! unchanged, and what a member assembles from encoded rows must be what a caller reads.

use proptest::{collection::vec, option, prelude::*};
use prost::Message;
use prost::bytes::Bytes;
use quorate_proto::{api, wire};

use api::etcdserverpb::{
    DeleteRangeResponse, PutResponse, RangeResponse, RangeStreamResponse, ResponseHeader, ResponseOp, TxnResponse,
    WatchResponse, response_op::Response,
};
use api::mvccpb::{Event, KeyValue};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn header() -> impl Strategy<Value = Option<ResponseHeader>> {
    let header = (any::<u64>(), any::<u64>(), any::<i64>(), any::<u64>());
    option::of(header.prop_map(|(cluster_id, member_id, revision, raft_term)| ResponseHeader {
        cluster_id,
        member_id,
        revision,
        raft_term,
    }))
}

fn key_value() -> impl Strategy<Value = KeyValue> {
    (bytes(), any::<i64>(), any::<i64>(), any::<i64>(), bytes(), any::<i64>()).prop_map(
        |(key, create_revision, mod_revision, version, value, lease)| KeyValue {
            key,
            create_revision,
            mod_revision,
            version,
            value,
            lease,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    (any::<i32>(), option::of(key_value()), option::of(key_value())).prop_map(|(r#type, kv, prev_kv)| Event {
        r#type,
        kv,
        prev_kv,
    })
}

fn range_response() -> impl Strategy<Value = RangeResponse> {
    (header(), vec(key_value(), 0..5), any::<bool>(), any::<i64>())
        .prop_map(|(header, kvs, more, count)| RangeResponse { header, kvs, more, count })
}

fn put_response() -> impl Strategy<Value = PutResponse> {
    (header(), option::of(key_value())).prop_map(|(header, prev_kv)| PutResponse { header, prev_kv })
}

fn delete_range_response() -> impl Strategy<Value = DeleteRangeResponse> {
    (header(), any::<i64>(), vec(key_value(), 0..5)).prop_map(|(header, deleted, prev_kvs)| DeleteRangeResponse {
        header,
        deleted,
        prev_kvs,
    })
}

fn watch_response() -> impl Strategy<Value = WatchResponse> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (header(), any::<i64>(), flags, any::<i64>(), ".{0,12}", vec(event(), 0..5)).prop_map(
        |(header, watch_id, (created, canceled, fragment), compact_revision, cancel_reason, events)| WatchResponse {
            header,
            watch_id,
            created,
            canceled,
            compact_revision,
            cancel_reason,
            fragment,
            events,
        },
    )
}

fn txn_of(op: impl Strategy<Value = Option<Response>>) -> impl Strategy<Value = TxnResponse> {
    let op = op.prop_map(|response| ResponseOp { response });
    (header(), any::<bool>(), vec(op, 0..4)).prop_map(|(header, succeeded, responses)| TxnResponse {
        header,
        succeeded,
        responses,
    })
}

fn txn_response() -> impl Strategy<Value = TxnResponse> {
    let plain = prop_oneof![
        range_response().prop_map(Response::ResponseRange),
        put_response().prop_map(Response::ResponsePut),
        delete_range_response().prop_map(Response::ResponseDeleteRange),
    ]
    .boxed();
    let nested = txn_of(option::of(plain.clone())).prop_map(Response::ResponseTxn);
    txn_of(option::of(prop_oneof![plain, nested]))
}

/// Encodes as a caller's view, decodes and encodes as a member's, and reads that as the caller again.
fn goes_through<A, W>(asked: &A) -> Result<(), TestCaseError>
where
    A: Message + Default + PartialEq + std::fmt::Debug,
    W: Message + Default,
{
    let sent = Bytes::from(asked.encode_to_vec());
    let passed = W::decode(sent.clone())?;
    prop_assert_eq!(passed.encoded_len(), sent.len());
    let passed = Bytes::from(passed.encode_to_vec());
    prop_assert_eq!(&passed, &sent);
    prop_assert_eq!(&A::decode(passed)?, asked);
    Ok(())
}

proptest! {
    #[test]
    fn range_answers_are_the_same_bytes_in_both_views(answer in range_response()) {
        goes_through::<_, wire::etcdserverpb::RangeResponse>(&answer)?;
        let piece = RangeStreamResponse { range_response: Some(answer) };
        goes_through::<_, wire::etcdserverpb::RangeStreamResponse>(&piece)?;
    }

    #[test]
    fn put_answers_are_the_same_bytes_in_both_views(answer in put_response()) {
        goes_through::<_, wire::etcdserverpb::PutResponse>(&answer)?;
    }

    #[test]
    fn delete_answers_are_the_same_bytes_in_both_views(answer in delete_range_response()) {
        goes_through::<_, wire::etcdserverpb::DeleteRangeResponse>(&answer)?;
    }

    #[test]
    fn watch_answers_are_the_same_bytes_in_both_views(answer in watch_response()) {
        goes_through::<_, wire::etcdserverpb::WatchResponse>(&answer)?;
    }

    #[test]
    fn txn_answers_are_the_same_bytes_in_both_views(answer in txn_response()) {
        goes_through::<_, wire::etcdserverpb::TxnResponse>(&answer)?;
    }

    #[test]
    fn a_caller_reads_the_rows_a_member_passed_on(rows in vec(key_value(), 0..5)) {
        let answer = wire::etcdserverpb::RangeResponse {
            kvs: rows.iter().map(|row| Bytes::from(row.encode_to_vec())).collect(),
            ..Default::default()
        };
        prop_assert_eq!(RangeResponse::decode(Bytes::from(answer.encode_to_vec()))?.kvs, rows);
    }
}

#[test]
fn an_empty_previous_key_value_is_told_from_an_absent_one() {
    let empty = PutResponse { prev_kv: Some(KeyValue::default()), ..Default::default() };
    let bytes = Bytes::from(empty.encode_to_vec());
    let passed = wire::etcdserverpb::PutResponse::decode(bytes).expect("the caller's view encoded it");
    assert_eq!(passed.prev_kv, Some(Bytes::new()));

    let absent = wire::etcdserverpb::PutResponse::default();
    assert!(absent.encode_to_vec().is_empty());
}

#[test]
fn decoded_bytes_fields_share_the_buffer_they_came_in() {
    let put = wire::etcdserverpb::PutRequest { value: Bytes::from(vec![7; 1024]), ..Default::default() };
    let buffer = Bytes::from(put.encode_to_vec());
    let decoded = wire::etcdserverpb::PutRequest::decode(buffer.clone()).expect("encoded above");
    assert!(buffer.as_ptr_range().contains(&decoded.value.as_ptr()));
}
