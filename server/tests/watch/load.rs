//! Many watchers, and slow ones.

use crate::member::{Client, Member, on, put};
use quorate_core::limits::{WATCH_CATCH_UP_REVISIONS_MAX, WATCH_STREAM_RESPONSES_MAX};
use quorate_proto::api::etcdserverpb::WatchCreateRequest;

/// Reads until the event of this revision; checks that none is missing, twice there or out of order.
async fn hears_all(client: &mut Client, watch_id: i64, from: i64, through: i64) {
    let mut next = from;
    while next <= through {
        let response = client.next().await;
        assert_eq!(response.watch_id, watch_id);
        for event in response.events {
            assert_eq!(event.kv.map(|kv| kv.mod_revision), Some(next));
            next += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_costs_nobody_anything_and_then_gets_everything() {
    const ROUNDS: usize = 1_000;
    const PER_ROUND: usize = 100;
    let mut member = Member::start().await;
    let mut slow = member.client().await;
    let mut quick = member.client().await;
    slow.watch(on("k", "l")).await;
    quick.watch(on("k", "l")).await;
    let through = 1 + (ROUNDS * PER_ROUND) as i64;
    let reader = tokio::spawn(async move {
        hears_all(&mut quick, 0, 2, through).await;
    });
    for round in 0..ROUNDS {
        let key = format!("k{round}");
        member.apply((0..PER_ROUND).map(|_| put(&key, &[b'v'; 200])).collect());
        if round % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    reader.await.expect("the quick one has heard everything");
    member.until("the hub is up to date", |numbers| numbers.hub_revision() == through).await;
    let numbers = member.handle.metrics();
    assert_eq!(numbers.slow_watchers(), 1);
    let bound = WATCH_STREAM_RESPONSES_MAX * WATCH_CATCH_UP_REVISIONS_MAX;
    assert!(numbers.pending_events() <= bound as i64, "{} events wait", numbers.pending_events());
    hears_all(&mut slow, 0, 2, through).await;
    let revision = member.put("k", "live");
    assert_eq!(slow.hears(1).await, [format!("w0@{revision} {revision}+k=live")]);
    member.until("it is in step again", |numbers| numbers.slow_watchers() == 0 && numbers.pending_events() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_whose_history_is_compacted_is_told() {
    let mut member = Member::start().await;
    let mut slow = member.client().await;
    slow.watch(on("k", "l")).await;
    let value = vec![b'v'; 100_000];
    while member.handle.metrics().slow_watchers() == 0 {
        member.apply(vec![put("k", &value)]);
        tokio::task::yield_now().await;
    }
    let revision = member.put("k", "last");
    member.compact(revision);
    let mut next = 2;
    loop {
        let response = slow.next().await;
        if response.canceled {
            assert_eq!((response.compact_revision, response.header.map(|header| header.revision)), (revision, Some(0)));
            break;
        }
        for event in response.events {
            assert_eq!(event.kv.map(|kv| kv.mod_revision), Some(next));
            next += 1;
        }
    }
    assert!(next <= revision, "what was compacted is not skipped silently");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_watchers_of_one_prefix_all_hear_everything() {
    const STREAMS: usize = 10;
    const PER_STREAM: usize = 100;
    const REVISIONS: i64 = 100;
    let mut member = Member::start().await;
    let mut readers = Vec::new();
    for _ in 0..STREAMS {
        let mut client = member.client().await;
        for _ in 0..PER_STREAM {
            client.watch(WatchCreateRequest { prev_kv: true, ..on("k", "l") }).await;
        }
        readers.push(tokio::spawn(async move {
            let mut next = vec![2; PER_STREAM];
            while next.iter().any(|next| *next < 2 + REVISIONS) {
                let response = client.next().await;
                let next = &mut next[usize::try_from(response.watch_id).expect("ids count from 0")];
                for event in response.events {
                    let kv = event.kv.expect("an event has a key-value");
                    assert_eq!((kv.mod_revision, event.prev_kv.is_some()), (*next, *next > 2));
                    *next += 1;
                }
            }
        }));
    }
    for _ in 0..REVISIONS {
        member.put("k", "value");
    }
    for reader in readers {
        reader.await.expect("all have heard everything");
    }
    assert_eq!(member.handle.metrics().events(), (STREAMS * PER_STREAM) as u64 * REVISIONS as u64);
}
