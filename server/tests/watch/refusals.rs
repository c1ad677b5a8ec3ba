//! Creates that are refused; the stream survives all of them (contract §2.9).

use crate::member::{Client, Member, on};
use quorate_proto::api::etcdserverpb::WatchCreateRequest;

#[tokio::test]
async fn refused_creates_say_why_and_the_stream_goes_on() {
    let member = Member::start().await;
    let mut client = member.client().await;
    client.watch(WatchCreateRequest { watch_id: 5, ..on("a", "") }).await;
    client.create(WatchCreateRequest { watch_id: 5, ..on("a", "") }).await;
    client.create(on("b", "b")).await;
    client.create(on("b", "a")).await;
    client.create(WatchCreateRequest { start_revision: -1, ..on("a", "") }).await;
    client.create(on("secret/a", "")).await;
    client.create(on("a", "")).await;
    let permission = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    assert_eq!(
        client.hears(6).await,
        [
            "w-1@1 created canceled \"mvcc: duplicate watch ID provided on the WatchStream\"".to_owned(),
            "w-1@1 created canceled \"mvcc: watcher range is empty\"".to_owned(),
            "w-1@1 created canceled \"mvcc: watcher range is empty\"".to_owned(),
            "w-1@1 created canceled \"etcdserver: mvcc: required revision has been compacted\"".to_owned(),
            format!("w-1@1 created canceled {permission:?}"),
            "w0@1 created".to_owned(),
        ]
    );
}

#[tokio::test]
async fn ids_of_clients_and_of_the_server_do_not_meet() {
    let member = Member::start().await;
    let mut client = member.client().await;
    for watch_id in [0, 1, -3, 0, 0] {
        client.create(WatchCreateRequest { watch_id, ..on("a", "") }).await;
    }
    let created = ["w0@1 created", "w1@1 created", "w-3@1 created", "w2@1 created", "w3@1 created"];
    assert_eq!(client.hears(5).await, created);
}

#[tokio::test]
async fn a_start_below_the_compaction_is_created_and_then_cancelled() {
    let mut member = Member::start().await;
    for value in ["1", "2", "3", "4"] {
        member.put("a", value);
    }
    member.compact(4);
    let mut client = member.client().await;
    client.create(WatchCreateRequest { start_revision: 2, ..on("a", "") }).await;
    assert_eq!(client.hears(2).await, ["w0@5 created", "w0@0 canceled compacted=4"]);
    client.create(WatchCreateRequest { start_revision: 4, ..on("a", "") }).await;
    assert_eq!(client.hears(2).await, ["w1@5 created", "w1@5 4+a=3 5+a=4"]);
    // The id is still known: cancelling it is answered, once.
    client.cancel(0).await;
    client.cancel(0).await;
    client.cancel(1).await;
    assert_eq!(client.hears(2).await, ["w0@5 canceled", "w1@5 canceled"]);
}

#[tokio::test]
async fn messages_that_say_nothing_are_ignored() {
    let member = Member::start().await;
    let mut client = member.client().await;
    client.send(None).await;
    client.cancel(77).await;
    client.ask_progress().await;
    client.create(WatchCreateRequest { filters: vec![9], ..on("a", "") }).await;
    assert_eq!(client.hears(1).await, ["w0@1 created"]);
}

#[tokio::test]
async fn the_gate_may_refuse_the_whole_stream() {
    let member = Member::start().await;
    let opened = Client::open_with(&mut member.connect().await, &[("refuse-me", "now")]).await;
    assert_eq!(opened.map(drop).expect_err("refused").message(), "etcdserver: rpc not supported for learner");
}
