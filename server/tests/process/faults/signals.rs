//! SIGTERM and SIGINT.

use super::{Ending, Written};
use crate::crash::check::Checker;
use crate::crash::ledger::Ledger;
use crate::crash::load;
use crate::support::PATIENCE;
use crate::support::launch::{Home, Launch, quorate};
use crate::support::random::Random;
use quorate_client::{Client, Options};
use rustix::process::Signal;
use std::sync::Arc;

/// A number in the line that tells what was found in the data directory.
fn opened(log: &[String], field: &str) -> u64 {
    let line = log.iter().find(|line| line.contains("opened the data directory")).expect("the line is logged");
    let line: serde_json::Value = serde_json::from_str(line).expect("log lines are JSON");
    line[field].as_u64().unwrap_or_else(|| panic!("no {field} in {line}"))
}

#[test]
fn sigterm_before_the_member_is_ready_ends_it_at_once() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    for lines in [1, 3, 5] {
        let mut process = Launch::ours(&parent.path().join("data")).spawn();
        process.output().wait(PATIENCE, |logged| logged.len() >= lines);
        process.signal(Signal::TERM);
        assert_eq!(process.wait(), 143, "after {lines} lines");
    }
    Launch::ours(&parent.path().join("data")).start().etcdctl_ok(&["put", "a", "1"]);
}

#[test]
fn sigint_ends_a_member_with_the_code_of_sigint() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let mut server = Launch::ours(&parent.path().join("data")).start();
    server.process().signal(Signal::INT);
    assert_eq!(server.process().wait(), 130);
}

#[test]
fn after_a_clean_stop_there_is_nothing_to_replay() {
    let written = Written::keys(20, Ending::Terminate);
    let server = written.launch().start();
    let log = server.output().lines();
    assert_eq!(opened(&log, "applied-index"), opened(&log, "last-log-index"), "{log:#?}");
    assert_eq!(server.etcdctl_ok(&["get", "key7"]), "key7\nvalue7\n");
}

#[test]
fn after_a_kill_the_log_is_replayed() {
    let written = Written::keys(20, Ending::Kill);
    let server = written.launch().start();
    let log = server.output().lines();
    assert!(opened(&log, "applied-index") < opened(&log, "last-log-index"), "{log:#?}");
    assert_eq!(server.etcdctl_ok(&["get", "key7"]), "key7\nvalue7\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_loses_nothing_acknowledged() {
    let seed = Random::seed_from("QUORATE_SIGTERM_SEED");
    eprintln!("QUORATE_SIGTERM_SEED={seed}");
    let mut random = Random::new(seed);
    let ledger = Arc::new(Ledger::default());
    let mut checker = Checker::new(Arc::clone(&ledger));
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut launch = Launch::of(quorate(), Home::Given(home.path().join("data")));
    for _ in 0..4 {
        let mut server = tokio::task::block_in_place(|| launch.start());
        let client = Client::connect(&[server.endpoint()], Options::default().connections(4)).await.expect("ready");
        checker.check(&client, &mut random).await;
        let writers = load::start(&client, &ledger, checker.revision(), &mut random);
        ledger.wait_for_acknowledged(random.below(800)).await;
        let code = tokio::task::block_in_place(|| server.terminate());
        assert_eq!(code, 143);
        writers.join_all().await;
        launch = server.stopped();
    }
    let server = tokio::task::block_in_place(|| launch.start());
    let client = Client::connect(&[server.endpoint()], Options::default()).await.expect("ready");
    checker.check(&client, &mut random).await;
}
