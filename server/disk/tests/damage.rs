//! A damaged store is refused with a sentence; it is never read as something it was not.

use bytes::Bytes;
use quorate_core::error::Fault;
use quorate_core::ids::{LogIndex, Revision, Term};
use quorate_core::storage::codec::{applied_value, row_key};
use quorate_core::storage::table::meta;
use quorate_core::storage::{Engine, Table, Write};
use quorate_disk::rocks::{EngineOptions, RocksEngine};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const FLUSHES: u64 = 3;
const ROWS_PER_FLUSH: u64 = 50;

fn open(directory: &Path) -> Result<RocksEngine, Fault> {
    RocksEngine::open(directory, &EngineOptions::default())
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A closed store of three flushes.
fn store() -> TempDir {
    let directory = directory();
    let engine = open(directory.path()).expect("an empty store opens");
    for flush in 1..=FLUSHES {
        for at in 0..ROWS_PER_FLUSH {
            let main = (flush * ROWS_PER_FLUSH + at) as i64;
            let key = Bytes::copy_from_slice(&row_key(Revision::new(main, 0)));
            let value = Bytes::from(main.to_be_bytes().repeat(20));
            let applied = applied_value(Term(1), LogIndex(flush));
            let batch = [
                Write::Put { table: Table::Row, key: key.clone(), value: value.clone() },
                Write::Put { table: Table::Index, key, value },
                Write::Put { table: Table::Meta, key: Bytes::from_static(meta::APPLIED), value: applied },
            ];
            engine.write(&batch).expect("it is written");
        }
        engine.flush().expect("it is flushed");
    }
    drop(engine);
    directory
}

type Rows = Vec<(Table, Vec<u8>, Vec<u8>)>;

fn read(directory: &Path) -> Result<Rows, Fault> {
    let engine = open(directory)?;
    let mut rows = Vec::new();
    for table in Table::ALL {
        engine.scan(table, &[], None, &mut |key, value| {
            rows.push((table, key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
    }
    Ok(rows)
}

/// What the store held after each of its flushes, the empty store first.
fn states() -> Vec<Rows> {
    let all = read(store().path()).expect("a sound store can be read");
    (0..=FLUSHES)
        .map(|flush| {
            let mut rows: Rows = all
                .iter()
                .filter(|(_, key, _)| key.len() == 12 && key[7] < ((flush + 1) * ROWS_PER_FLUSH) as u8)
                .cloned()
                .collect();
            if flush > 0 {
                let applied = applied_value(Term(1), LogIndex(flush)).to_vec();
                rows.push((Table::Meta, meta::APPLIED.to_vec(), applied));
            }
            rows
        })
        .collect()
}

fn files(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the directory is there")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted))
        .collect();
    files.sort();
    files
}

fn tables(directory: &Path) -> Vec<PathBuf> {
    files(directory, |name| name.ends_with(".sst"))
}

fn assert_damaged(result: Result<impl Sized, Fault>, directory: &Path) {
    let Err(fault) = result else { panic!("a damaged store was read") };
    let sentence = fault.to_string();
    assert!(sentence.contains(&directory.display().to_string()), "{sentence}");
    assert!(sentence.contains("is damaged"), "{sentence}");
    assert!(sentence.contains("Restore this member from a peer or a snapshot"), "{sentence}");
}

#[test]
fn a_flipped_bit_is_a_fault_or_changes_nothing() {
    let sound = states().pop().expect("there is a last state");
    let directory = store();
    let mut faults = 0;
    let mut flips = 0;
    for path in tables(directory.path()) {
        let before = fs::read(&path).expect("the file can be read");
        for at in (0..before.len()).step_by(before.len() / 24) {
            let mut damaged = before.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, damaged).expect("the file can be written");
            flips += 1;
            match read(directory.path()) {
                Ok(rows) => assert_eq!(rows, sound, "{} at {at}", path.display()),
                Err(fault) => {
                    faults += 1;
                    assert!(fault.to_string().contains("is damaged"), "{fault}");
                }
            }
        }
        fs::write(&path, before).expect("the file can be written");
    }
    // What changes nothing lies in the parts of a file that only describe it.
    assert!(faults * 3 > flips, "{faults} faults of {flips} flips");
    assert_eq!(read(directory.path()), Ok(sound));
}

#[test]
fn a_missing_table_file_is_a_fault() {
    for missing in 0..tables(store().path()).len() {
        let directory = store();
        fs::remove_file(&tables(directory.path())[missing]).expect("the file is there");
        assert_damaged(read(directory.path()), directory.path());
    }
}

#[test]
fn a_truncated_table_file_is_a_fault() {
    let directory = store();
    for path in tables(directory.path()) {
        let before = fs::read(&path).expect("the file can be read");
        for length in [0, before.len() / 2, before.len() - 1] {
            fs::write(&path, &before[..length]).expect("the file can be written");
            assert_damaged(read(directory.path()), directory.path());
        }
        fs::write(&path, before).expect("the file can be written");
    }
}

#[test]
fn a_missing_manifest_or_current_is_a_fault_and_never_an_empty_store() {
    for wanted in ["MANIFEST", "CURRENT"] {
        let directory = store();
        for path in files(directory.path(), |name| name.starts_with(wanted)) {
            fs::remove_file(path).expect("the file is there");
        }
        assert_damaged(read(directory.path()), directory.path());
        assert!(!tables(directory.path()).is_empty(), "what is left of the store was removed");
    }
}

#[test]
fn a_truncated_manifest_is_a_fault_or_an_earlier_flush() {
    // A cut at the end looks like a crash, so an earlier flush may come back. The caller sees that from the applied
    // index, which then lies before the first entry of its log.
    let states = states();
    let mut faults = 0;
    for eighth in 0..8 {
        let directory = store();
        let manifest = files(directory.path(), |name| name.starts_with("MANIFEST")).pop().expect("there is a manifest");
        let before = fs::read(&manifest).expect("the file can be read");
        fs::write(&manifest, &before[..before.len() * eighth / 8]).expect("the file can be written");
        match read(directory.path()) {
            Ok(rows) => assert!(states.contains(&rows), "cut to {eighth} eighths, the store is none that ever was"),
            Err(fault) => {
                faults += 1;
                assert!(fault.to_string().contains("is damaged"), "{fault}");
            }
        }
    }
    assert!(faults > 0);
}

#[test]
fn a_store_that_is_open_is_not_opened_twice() {
    let directory = store();
    let first = open(directory.path()).expect("the store opens");
    let second = open(directory.path()).expect_err("the store is open already").to_string();
    assert!(second.contains("open in another process") && second.contains("Stop that process"), "{second}");
    drop(first);
    open(directory.path()).expect("the store is free again");
}

#[test]
fn a_file_in_the_place_of_the_directory_is_a_fault() {
    let directory = directory();
    let place = directory.path().join("engine");
    fs::write(&place, "not a store").expect("a file can be written");
    assert!(open(&place).is_err());
    assert_eq!(fs::read(&place).expect("the file is still there"), b"not a store");
}

#[test]
fn a_checkpoint_holds_what_was_written_and_outlives_the_store() {
    let directory = store();
    let copies = tempfile::tempdir().expect("a temporary directory");
    let copy = copies.path().join("copy");
    let engine = open(directory.path()).expect("the store opens");
    let late = [Write::Put { table: Table::Lease, key: Bytes::from_static(b"l"), value: Bytes::from_static(b"1") }];
    engine.write(&late).expect("it is written");
    engine.checkpoint(&copy).expect("a checkpoint is made");
    let after = [Write::Delete { table: Table::Lease, key: Bytes::from_static(b"l") }];
    engine.write(&after).expect("it is written");
    let refused = engine.checkpoint(&copy).expect_err("the directory exists").to_string();
    assert!(refused.contains(&copy.display().to_string()), "{refused}");
    drop(engine);
    drop(directory);
    let copied = open(&copy).expect("the copy opens");
    assert_eq!(copied.get(Table::Lease, b"l"), Ok(Some(Bytes::from_static(b"1"))));
    assert_eq!(copied.durable_applied(), Ok(LogIndex(FLUSHES)));
}
