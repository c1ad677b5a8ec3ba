//! The machine answers every script of the corpus as it is written, also when it crashes between any two commands, when
//! many entries share a round, and when what compaction hid is removed at once.
//!
//! `UPDATE_SCRIPTS=1` writes the answers of this build into the scripts; commit only those that can be explained.

#[path = "support/corpus.rs"]
mod corpus;

use quorate_core::storage::memory::MemoryEngine;
use quorate_core::testing::Disturbance;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

fn updating() -> bool {
    std::env::var_os("UPDATE_SCRIPTS").is_some()
}

fn run(disturbance: Disturbance) {
    let update = updating();
    if update && disturbance != Disturbance::None {
        // The answers are being written; what they must equal is not there yet.
        return;
    }
    corpus::run(&directory(), disturbance, update, || Box::new(MemoryEngine::new()));
}

#[test]
fn every_script_is_answered_as_written() {
    run(Disturbance::None);
}

#[test]
fn a_crash_after_every_command_changes_no_answer() {
    run(Disturbance::Crash);
}

#[test]
fn long_rounds_change_no_answer() {
    run(Disturbance::LongRounds);
}

#[test]
fn removing_hidden_rows_changes_no_answer() {
    run(Disturbance::Trim);
}

#[test]
fn a_watch_hub_without_memory_says_the_same() {
    run(Disturbance::ColdWatch);
}

#[test]
fn every_script_begins_with_the_rule_and_where_it_is_written() {
    if updating() {
        return;
    }
    for path in corpus::scripts(&directory()) {
        let text = std::fs::read_to_string(&path).expect("a script can be read");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("# ") && first.contains('§'), "{}: {first}", path.display());
    }
}
