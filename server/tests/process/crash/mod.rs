//! `kill -9` of a loaded server, again and again, on one data directory.
//!
//! Rule: every operation that a writer sends is in the [`ledger`] before it is sent, and its end (acknowledged, refused,
//! unknown) is in it afterwards. After each restart the whole history is read back by a watch and held against the ledger:
//! each revision is the effect of exactly one operation, whole and in order; no acknowledged operation is missing or at
//! another revision; nothing is there that nobody sent; revisions have no gap. What was read once never changes.
//!
//! `QUORATE_CRASH_SEED` repeats a run's choices (not its timing) and `QUORATE_CRASH_ROUNDS` makes it longer.

pub(crate) mod check;
pub(crate) mod ledger;
pub(crate) mod load;
mod model;

use crate::support::launch::Launch;
use crate::support::random::Random;
use check::Checker;
use ledger::Ledger;
use quorate_client::{Client, Options};
use std::sync::Arc;

/// Rounds of load and kill.
const ROUNDS: u32 = 20;
/// The kill comes after at most this many acknowledged operations.
const OPERATIONS_MAX: u64 = 1_500;
/// A start that is killed is killed within so many log lines.
const START_LINES_MAX: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_what_it_acknowledged_and_invents_nothing() {
    let seed = Random::seed_from("QUORATE_CRASH_SEED");
    let rounds = std::env::var("QUORATE_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number of rounds"));
    eprintln!("QUORATE_CRASH_SEED={seed} QUORATE_CRASH_ROUNDS={rounds}");
    let mut random = Random::new(seed);
    let ledger = Arc::new(Ledger::default());
    let mut checker = Checker::new(Arc::clone(&ledger));
    let mut launch = Launch::fresh();
    for round in 1..=rounds {
        if round > 1 && random.one_in(3) {
            let lines = usize::try_from(random.below(START_LINES_MAX)).expect("small");
            launch.kill_while_starting(lines);
        }
        let server = tokio::task::block_in_place(|| launch.start());
        let client =
            Client::connect(&[server.endpoint()], Options::default().connections(4)).await.expect("it is ready");
        checker.check(&client, &mut random).await;
        let acknowledged = random.below(OPERATIONS_MAX);
        let before = ledger.summary();
        let writers = load::start(&client, &ledger, checker.revision(), &mut random);
        ledger.wait_for_acknowledged(acknowledged).await;
        launch = tokio::task::block_in_place(|| server.stopped());
        writers.join_all().await;
        eprintln!("round {round}: at revision {}, then {}", checker.revision(), ledger.summary().since(before));
    }
    let server = tokio::task::block_in_place(|| launch.start());
    let client = Client::connect(&[server.endpoint()], Options::default()).await.expect("it is ready");
    checker.check(&client, &mut random).await;
    let total = ledger.summary();
    eprintln!("at the end: revision {}, in all {total}", checker.revision());
    assert!(total.acknowledged > 0 && total.unknown > 0, "the kills came while nothing was going on: {total}");
}
