//! How streams end (contract §2.9).

use crate::member::{Client, Member, on};
use tonic::Code;

#[tokio::test]
async fn half_closing_ends_the_stream_with_ok_after_its_answers() {
    let mut member = Member::start().await;
    let mut client = member.client().await;
    client.watch(on("a", "")).await;
    member.put("a", "1");
    client.create(on("b", "")).await;
    client.half_close();
    assert_eq!(client.hears(2).await, ["w0@2 2+a=1", "w1@2 created"]);
    assert_eq!(client.try_next().await.expect("ends with OK"), None);
    member.until("the watchers go with the stream", |numbers| numbers.watchers() == 0 && numbers.streams() == 0).await;
    assert_eq!(member.handle.metrics().streams_canceled(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_watchers_along() {
    let mut member = Member::start().await;
    let mut connection = member.connect().await;
    let mut other = Client::open(&mut connection).await;
    other.watch(on("a", "")).await;
    let mut client = Client::open(&mut connection).await;
    for _ in 0..10 {
        client.watch(on("a", "")).await;
    }
    member.until("all are there", |numbers| numbers.watchers() == 11).await;
    drop(client);
    member.until("only the other is left", |numbers| numbers.watchers() == 1 && numbers.streams() == 1).await;
    member.until("it counts as canceled", |numbers| numbers.streams_canceled() == 1).await;
    member.put("a", "1");
    assert_eq!(other.hears(1).await, ["w0@2 2+a=1"]);
}

#[tokio::test]
async fn without_a_leader_streams_that_want_one_end() {
    let mut member = Member::start().await;
    let mut connection = member.connect().await;
    let mut content = Client::open(&mut connection).await;
    let mut strict = Client::open_with(&mut connection, &[("hasleader", "true")]).await.expect("it opens");
    content.watch(on("a", "")).await;
    strict.watch(on("a", "")).await;
    member.handle.set_leaderless(true);
    let status = strict.try_next().await.expect_err("the stream ends");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: no leader"));
    let mut late = Client::open_with(&mut connection, &[("hasleader", "true")]).await.expect("it opens");
    assert_eq!(late.try_next().await.expect_err("and ends").message(), "etcdserver: no leader");
    member.handle.set_leaderless(false);
    let mut again = Client::open_with(&mut connection, &[("hasleader", "true")]).await.expect("it opens");
    again.watch(on("a", "")).await;
    member.put("a", "1");
    assert_eq!((content.hears(1).await, again.hears(1).await), (vec!["w0@2 2+a=1".into()], vec!["w0@2 2+a=1".into()]));
}

#[tokio::test]
async fn when_the_member_stops_all_streams_end() {
    let mut member = Member::start().await;
    let mut connection = member.connect().await;
    let mut client = Client::open(&mut connection).await;
    client.watch(on("a", "")).await;
    member.handle.stop();
    let status = client.try_next().await.expect_err("the stream ends");
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: server stopped"));
    assert_eq!((&mut member.hub).await.expect("the task ends"), Ok(()));
    let mut late = Client::open(&mut connection).await;
    assert_eq!(late.try_next().await.expect_err("nobody serves it").code(), Code::Unavailable);
}
