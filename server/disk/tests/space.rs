//! Files stay few and the room of dropped rows comes back, without anybody asking for it.

use bytes::Bytes;
use quorate_core::ids::{LogIndex, Revision, Term};
use quorate_core::storage::codec::{applied_value, row_key};
use quorate_core::storage::table::meta;
use quorate_core::storage::{Engine, Table, Write};
use quorate_disk::rocks::{EngineOptions, RocksEngine};
use std::ops::RangeInclusive;
use std::path::Path;

fn open(directory: &Path) -> RocksEngine {
    RocksEngine::open(directory, &EngineOptions::default()).expect("the store opens")
}

fn key(main: i64) -> Bytes {
    Bytes::copy_from_slice(&row_key(Revision::new(main, 0)))
}

/// Bytes that do not compress, the same for the same revision.
fn value(main: i64, bytes: usize) -> Bytes {
    let mut state = (main as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn puts(mains: RangeInclusive<i64>, bytes: usize) -> Vec<Write> {
    let applied = applied_value(Term(1), LogIndex(*mains.end() as u64));
    let applied = Write::Put { table: Table::Meta, key: Bytes::from_static(meta::APPLIED), value: applied };
    mains
        .map(|main| Write::Put { table: Table::Row, key: key(main), value: value(main, bytes) })
        .chain([applied])
        .collect()
}

#[test]
fn dropped_rows_give_their_room_back_without_being_asked() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = open(directory.path());
    for part in 0..4 {
        engine.write(&puts(part * 1_000 + 1..=part * 1_000 + 1_000, 2_000)).expect("rows are written");
        engine.flush().expect("rows are flushed");
    }
    let full = engine.size().expect("it has a size").disk_bytes;
    assert!(full > 8_000_000, "{full}");
    let doomed: Vec<Write> = (1..=4_000)
        .filter(|main| main % 10 != 0)
        .map(|main| Write::Delete { table: Table::Row, key: key(main) })
        .collect();
    engine.write(&doomed).expect("rows are dropped");
    engine.flush().expect("the drops are flushed");
    engine.settle().expect("compactions end");
    let left = engine.size().expect("it has a size").disk_bytes;
    assert!(left < full / 8, "{left} of {full} bytes are left");
    assert_eq!(engine.get(Table::Row, &key(10)), Ok(Some(value(10, 2_000))));
    assert_eq!(engine.get(Table::Row, &key(11)), Ok(None));
}

#[test]
fn reclaim_gives_back_the_rest_and_keeps_every_row() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = open(directory.path());
    engine.write(&puts(1..=1_000, 2_000)).expect("rows are written");
    engine.flush().expect("rows are flushed");
    let full = engine.size().expect("it has a size").disk_bytes;
    // Too few to be noticed, and not flushed: nothing comes back by itself.
    let doomed: Vec<Write> = (1..=100).map(|main| Write::Delete { table: Table::Row, key: key(main) }).collect();
    engine.write(&doomed).expect("rows are dropped");
    engine.reclaim().expect("room is reclaimed");
    let left = engine.size().expect("it has a size").disk_bytes;
    assert!(left < full - full / 12, "{left} of {full} bytes are left");
    for main in [101, 550, 1_000] {
        assert_eq!(engine.get(Table::Row, &key(main)), Ok(Some(value(main, 2_000))));
    }
}

#[test]
fn a_trickle_of_flushes_leaves_few_files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let engine = open(directory.path());
    for flush in 0..60 {
        engine.write(&puts(flush * 5 + 1..=flush * 5 + 5, 100)).expect("rows are written");
        engine.flush().expect("rows are flushed");
        engine.settle().expect("compactions end");
    }
    let files = engine.gauges().expect("it has gauges").files;
    // The row table alone would have 60.
    assert!(files < 40, "{files} files");
    for main in [1, 150, 300] {
        assert_eq!(engine.get(Table::Row, &key(main)), Ok(Some(value(main, 100))));
    }
}
