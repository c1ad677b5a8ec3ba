//! Progress, asked for and from time to time (contract §2.9).

use crate::member::{Member, line, on};
use quorate::watch::WatchConfig;
use quorate_proto::api::etcdserverpb::WatchCreateRequest;
use std::time::Duration;

#[tokio::test]
async fn asked_progress_comes_after_every_event_up_to_it() {
    let mut member = Member::start().await;
    let mut client = member.client().await;
    client.watch(on("a", "")).await;
    client.watch(on("b", "")).await;
    for _ in 0..100 {
        let revision = member.put("a", "1");
        client.ask_progress().await;
        assert_eq!(client.hears(2).await, [format!("w0@{revision} {revision}+a=1"), format!("w-1@{revision}")]);
    }
    // Changes nobody watches count as well.
    let revision = member.put("z", "1");
    client.ask_progress().await;
    assert_eq!(client.hears(1).await, [format!("w-1@{revision}")]);
}

#[tokio::test]
async fn progress_is_not_said_while_a_watcher_waits_for_the_future() {
    let mut member = Member::start().await;
    let mut client = member.client().await;
    client.watch(on("a", "")).await;
    client.watch(WatchCreateRequest { start_revision: 3, ..on("b", "") }).await;
    client.ask_progress().await;
    member.put("c", "1");
    client.ask_progress().await;
    member.put("c", "2");
    client.ask_progress().await;
    assert_eq!(client.hears(1).await, ["w-1@3"]);
}

#[tokio::test]
async fn quiet_watchers_that_want_it_are_told_from_time_to_time() {
    let progress_interval = Duration::from_millis(100);
    let mut member = Member::with(WatchConfig { progress_interval, ..WatchConfig::default() }).await;
    let mut client = member.client().await;
    client.watch(on("a", "")).await;
    client.watch(WatchCreateRequest { progress_notify: true, ..on("a", "") }).await;
    let first = line(&client.next().await);
    assert_eq!(first, "w1@1");
    member.put("z", "1");
    loop {
        let next = line(&client.next().await);
        if next == "w1@2" {
            break;
        }
        assert_eq!(next, "w1@1", "a tick may have come before the put");
    }
}
