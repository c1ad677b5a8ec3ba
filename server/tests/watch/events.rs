//! What watchers hear (contract §2.9).

use crate::member::{Member, on, put};
use quorate::watch::WatchConfig;
use quorate_core::pb;
use quorate_proto::api::etcdserverpb::WatchCreateRequest;
use quorate_proto::api::etcdserverpb::watch_create_request::FilterType;
use quorate_proto::internal::command::Request;

#[tokio::test]
async fn a_watch_without_start_hears_what_comes_after_its_creation() {
    let mut member = Member::start().await;
    member.put("a", "before");
    let mut client = member.client().await;
    client.create(on("a", "")).await;
    assert_eq!(client.hears(1).await, ["w0@2 created"]);
    member.put("a", "1");
    member.put("b", "1");
    member.delete("a");
    assert_eq!(client.hears(2).await, ["w0@3 3+a=1", "w0@5 5-a="]);
}

#[tokio::test]
async fn a_put_before_the_create_request_is_never_heard_again() {
    let mut member = Member::start().await;
    let mut client = member.client().await;
    // Each create races with the hub's news of the put before it.
    for round in 0..200 {
        let before = member.put("a", "before");
        let id = client.watch(on("a", "")).await;
        let after = member.put("a", "after");
        assert_eq!(client.hears(1).await, [format!("w{id}@{after} {after}+a=after")], "round {round}, before {before}");
        client.cancel(id).await;
        assert_eq!(client.hears(1).await, [format!("w{id}@{after} canceled")]);
    }
}

#[tokio::test]
async fn a_watch_from_the_past_hears_history_in_one_piece_and_lives_on() {
    let mut member = Member::start().await;
    for value in ["1", "2", "3"] {
        member.put("a", value);
    }
    let mut client = member.client().await;
    client.watch(WatchCreateRequest { start_revision: 3, prev_kv: true, ..on("a", "") }).await;
    assert_eq!(client.hears(1).await, ["w0@4 3+a=2(was 1) 4+a=3(was 2)"]);
    member.put("a", "4");
    assert_eq!(client.hears(1).await, ["w0@5 5+a=4(was 3)"]);
}

#[tokio::test]
async fn a_watch_from_the_future_is_silent_until_then() {
    let mut member = Member::start().await;
    let mut client = member.client().await;
    client.watch(WatchCreateRequest { start_revision: 4, ..on("a", "") }).await;
    for value in ["2", "3", "4", "5"] {
        member.put("a", value);
    }
    assert_eq!(client.hears(2).await, ["w0@4 4+a=4", "w0@5 5+a=5"]);
}

#[tokio::test]
async fn filters_and_values_before_are_each_watchers_own() {
    let mut member = Member::start().await;
    let mut client = member.client().await;
    let filters = |filters: &[FilterType]| filters.iter().map(|filter| i32::from(*filter)).collect();
    client.watch(WatchCreateRequest { filters: filters(&[FilterType::Noput]), prev_kv: true, ..on("a", "b") }).await;
    client.watch(WatchCreateRequest { filters: filters(&[FilterType::Nodelete]), ..on("a", "b") }).await;
    member.put("a", "1");
    member.put("a", "2");
    member.delete("a");
    assert_eq!(client.hears(3).await, ["w1@2 2+a=1", "w1@3 3+a=2", "w0@4 4-a=(was 2)"]);
}

#[tokio::test]
async fn one_transaction_is_one_response_and_large_ones_come_in_pieces_only_when_asked() {
    let mut member = Member::with(WatchConfig { fragment_bytes: 4_000, ..WatchConfig::default() }).await;
    let mut client = member.client().await;
    client.watch(on("k", "l")).await;
    client.watch(WatchCreateRequest { fragment: true, ..on("k", "l") }).await;
    let value = vec![b'x'; 1_000];
    let ops = (0..10).map(|number| {
        let Request::Put(put) = put(&format!("k{number}"), &value) else { unreachable!("put makes puts") };
        pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put)) }
    });
    member.apply(vec![Request::Txn(pb::TxnRequest { success: ops.collect(), ..Default::default() })]);
    let whole = client.next().await;
    assert_eq!((whole.watch_id, whole.events.len(), whole.fragment), (0, 10, false));
    let mut pieces = Vec::new();
    let mut keys = Vec::new();
    loop {
        let piece = client.next().await;
        assert_eq!(piece.header.as_ref().map(|header| header.revision), Some(2));
        keys.extend(piece.events.iter().filter_map(|event| Some(event.kv.as_ref()?.key.clone())));
        pieces.push(piece.events.len());
        if !piece.fragment {
            break;
        }
    }
    assert_eq!(pieces, [3, 3, 3, 1]);
    assert_eq!(keys, (0..10).map(|number| format!("k{number}")).collect::<Vec<_>>());
    // A single event is never cut, however large.
    member.apply(vec![put("k", &vec![b'y'; 10_000])]);
    let [first, second] = [client.next().await, client.next().await];
    assert_eq!([first, second].map(|one| (one.events.len(), one.fragment)), [(1, false), (1, false)]);
}

#[tokio::test]
async fn a_cancelled_watch_hears_nothing_after_the_answer() {
    let mut member = Member::start().await;
    let mut client = member.client().await;
    client.watch(on("a", "")).await;
    client.watch(on("a", "")).await;
    client.cancel(0).await;
    assert_eq!(client.hears(1).await, ["w0@1 canceled"]);
    member.put("a", "1");
    assert_eq!(client.hears(1).await, ["w1@2 2+a=1"]);
}
