//! A disk that refuses stops the log, loudly and for good.

use bytes::Bytes;
use quorate_disk::file::SimDisk;
use quorate_disk::wal::{Wal, WalError};

use crate::support::*;

/// Every call must answer with the first failure's sentence.
fn is_stopped(wal: &Wal, sentence: &str) {
    let answers = Answers::default();
    wal.save_vote(Bytes::from_static(b"v"), answers.done(1));
    wal.truncate_from(1, answers.done(2));
    wal.purge_through(1, 1, answers.done(3));
    assert!(!wal.step());
    let said = answers.take();
    assert_eq!(said.len(), 3);
    for (_, result) in said {
        assert_eq!(result.expect_err("stopped").to_string(), sentence);
    }
    let errors =
        [wal.append(records(100, 101), ignore()).expect_err("stopped"), wal.read(0, 1, 1).expect_err("stopped")];
    for error in errors {
        assert!(matches!(&error, WalError::Failed(text) if **text == *sentence), "{error}");
    }
}

#[test]
fn a_failed_sync_stops_the_log_and_is_not_tried_again() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 3));
    let answers = Answers::default();
    wal.append(records(3, 4), answers.done(3)).expect("appendable");
    wal.append(records(4, 30), answers.done(4)).expect("appendable");
    disk.fail_sync(0);
    assert!(wal.step());
    let said = answers.take();
    assert_eq!(said.iter().map(|(label, _)| *label).collect::<Vec<_>>(), [3, 4]);
    let sentence = said[0].1.as_ref().expect_err("failed").to_string();
    assert!(sentence.contains("cannot sync") && sentence.contains("check the disk"), "{sentence}");
    let syncs = disk.syncs();
    is_stopped(&wal, &sentence);
    assert_eq!(disk.syncs(), syncs);
    disk.crash(1);
    assert_eq!(read_all(&open(&disk).0), records(0, 3));
}

#[test]
fn a_failed_write_stops_the_log() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 3));
    let answers = Answers::default();
    wal.append(records(3, 8), answers.done(3)).expect("appendable");
    disk.fail_write(0);
    wal.step();
    let sentence = answers.take()[0].1.as_ref().expect_err("failed").to_string();
    assert!(sentence.contains("cannot write"), "{sentence}");
    is_stopped(&wal, &sentence);
    drop(wal);
    // The process restarts, the disk kept what it was given: some whole records of the failed batch may stand.
    let found = read_all(&open(&disk).0);
    assert!((3..8).contains(&found.len()));
    assert_eq!(found, records(0, found.len() as u64));
}

#[test]
fn a_full_disk_says_what_to_do_and_loses_nothing() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    disk.limit_space(Some(disk.used_bytes() + 4096));
    let answers = Answers::default();
    let mut next = 0;
    let sentence = loop {
        wal.append(records(next, next + 1), answers.done(next)).expect("appendable");
        wal.step();
        let said = answers.take();
        assert_eq!(said.len(), 1);
        match &said[0].1 {
            Ok(()) => next += 1,
            Err(error) => break error.to_string(),
        }
    };
    assert!(next > 20, "the first segment and one more fit");
    assert!(
        sentence.contains("no space left on device") && sentence.contains("free space, then restart"),
        "{sentence}"
    );
    is_stopped(&wal, &sentence);
    drop(wal);
    assert!(try_open(&disk).is_err(), "opening needs space too, and says so");
    disk.limit_space(None);
    assert_eq!(read_all(&open(&disk).0), records(0, next));
}
