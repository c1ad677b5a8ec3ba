//! A process killed at any moment leaves tables that agree with each other.
//!
//! The test starts itself as a child, which writes rounds and flushes them, kills it, opens what it left, and lets the
//! next child go on from there.

use bytes::Bytes;
use quorate_core::ids::{LogIndex, Term};
use quorate_core::storage::codec::applied_value;
use quorate_core::storage::table::meta;
use quorate_core::storage::{Engine, Table, Write};
use quorate_disk::rocks::{EngineOptions, RocksEngine};
use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

const CHILD_DIRECTORY: &str = "QUORATE_TEST_CRASH_DIRECTORY";
const KILLS: u64 = 10;
/// Each round deletes what the round this long ago wrote.
const KEPT_ROUNDS: u64 = 2_000;
const FLUSH_EACH_ROUNDS: u64 = 700;
const TELL_EACH_ROUNDS: u64 = 50;

/// Small, so that RocksDB also flushes by itself, in the middle of rounds.
fn options() -> EngineOptions {
    EngineOptions { write_buffer_bytes_total: 4 << 20, ..EngineOptions::default() }
}

/// The tables that get a row in every round.
fn tables() -> impl Iterator<Item = Table> {
    Table::ALL.into_iter().filter(|table| *table != Table::Meta)
}

fn value(table: Table, round: u64) -> Bytes {
    let length = if table == Table::Row { 300 } else { 8 };
    Bytes::from(round.to_be_bytes().repeat(length / 8))
}

fn batch(round: u64) -> Vec<Write> {
    let key = |round: u64| Bytes::copy_from_slice(&round.to_be_bytes());
    let mut batch: Vec<Write> = tables()
        .flat_map(|table| {
            let put = Write::Put { table, key: key(round), value: value(table, round) };
            let old = round.checked_sub(KEPT_ROUNDS).map(|old| Write::Delete { table, key: key(old) });
            [Some(put), old]
        })
        .flatten()
        .collect();
    batch.push(Write::Put {
        table: Table::Meta,
        key: Bytes::from_static(meta::APPLIED),
        value: applied_value(Term(1), LogIndex(round)),
    });
    batch
}

/// What the child does until it is killed: writes on one thread, flushes on another, and says what is flushed.
fn write_rounds(directory: &Path) -> ! {
    let engine = RocksEngine::open(directory, &options()).expect("the store opens");
    let first = engine.durable_applied().expect("the store can be read").0 + 1;
    let (flush, flushes) = mpsc::sync_channel::<u64>(1);
    thread::scope(|scope| {
        let engine = &engine;
        scope.spawn(move || {
            while let Ok(round) = flushes.recv() {
                engine.flush().expect("a flush ends");
                say(&format!("flushed {round}"));
            }
        });
        for round in first.. {
            engine.write(&batch(round)).expect("a round is written");
            if round % FLUSH_EACH_ROUNDS == 0 {
                flush.send(round).expect("the flusher lives");
            }
            if round % TELL_EACH_ROUNDS == 0 {
                say(&format!("written {round}"));
            }
        }
    });
    unreachable!("there is always a next round")
}

/// One line to the parent. Not through `println!`, which the test harness captures.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// Runs a child until it has said so many lines; answers the newest round that it said was flushed.
fn run_and_kill(directory: &Path, lines: u64) -> u64 {
    let mut child = Command::new(env::current_exe().expect("a test has a path"))
        .args(["--exact", "tables_agree_after_every_kill", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let said = BufReader::new(child.stdout.take().expect("its output is piped"));
    let mut flushed = 0;
    let mut heard = 0;
    for line in said.lines() {
        let line = line.expect("its output can be read");
        if let Some(round) = line.strip_prefix("flushed ") {
            flushed = round.parse().expect("a round is a number");
        }
        heard += u64::from(line.starts_with("flushed ") || line.starts_with("written "));
        if heard == lines {
            child.kill().expect("the child can be killed");
        }
    }
    assert!(heard >= lines, "the child ended by itself after {heard} lines");
    assert!(!child.wait().expect("the child ends").success());
    flushed
}

fn check(directory: &Path) -> u64 {
    let engine = RocksEngine::open(directory, &options()).expect("the store opens after a kill");
    let applied = engine.durable_applied().expect("the store can be read").0;
    let oldest = applied.saturating_sub(KEPT_ROUNDS) + 1;
    for table in tables() {
        let mut expected = oldest;
        engine
            .scan(table, &[], None, &mut |key, found| {
                assert_eq!(key, expected.to_be_bytes(), "table {} at applied {applied}", table.name());
                assert_eq!(found, value(table, expected));
                expected += 1;
                ControlFlow::Continue(())
            })
            .expect("the table can be read");
        assert_eq!(expected, applied + 1, "table {} ends elsewhere than the applied index", table.name());
    }
    applied
}

#[test]
fn tables_agree_after_every_kill() {
    if let Some(directory) = env::var_os(CHILD_DIRECTORY) {
        write_rounds(Path::new(&directory));
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut applied = 0;
    for kill in 0..KILLS {
        // Different moments: between two lines the child is somewhere in its rounds, its flush or its merge.
        let flushed = run_and_kill(directory.path(), 20 + kill * 37 % 101);
        let found = check(directory.path());
        assert!(found >= flushed, "round {flushed} was flushed and {found} is found");
        assert!(found >= applied, "round {applied} was found before and {found} is found");
        applied = found;
    }
    assert!(applied > KEPT_ROUNDS, "only {applied} rounds survived, the test has tested too little");
}
