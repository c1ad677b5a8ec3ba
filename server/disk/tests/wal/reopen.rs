//! What was written is found again, whatever kind of record it was and whichever file it went to.

use bytes::Bytes;
use quorate_disk::file::SimDisk;
use quorate_disk::wal::Recovered;

use crate::support::*;

#[test]
fn a_new_log_is_empty() {
    let disk = SimDisk::new();
    let (wal, recovered) = open(&disk);
    assert_eq!(recovered, Recovered::default());
    assert_eq!(read_all(&wal), []);
    wal.close();
    assert_eq!(open(&disk).1, Recovered::default());
}

#[test]
fn every_kind_of_record_survives_reopening() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 20));
    wal.save_vote(Bytes::from_static(b"vote 1"), ignore());
    wal.save_vote(Bytes::from_static(b"vote 2"), ignore());
    wal.save_committed(Bytes::from_static(b"committed 9"));
    wal.truncate_from(15, ignore());
    wal.purge_through(4, 1, ignore());
    settle(&wal);
    wal.close();
    let expected = Recovered {
        vote: Some(Bytes::from_static(b"vote 2")),
        committed: Some(Bytes::from_static(b"committed 9")),
        purged: Some((4, 1)),
        first_index: 5,
        last: Some((14, 1)),
        cut_bytes: 0,
    };
    for _ in 0..3 {
        let (wal, recovered) = open(&disk);
        assert_eq!(recovered, expected);
        assert_eq!(read_all(&wal), records(5, 15));
        wal.close();
    }
}

#[test]
fn records_are_readable_before_they_are_written() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 3));
    let answers = Answers::default();
    wal.append(records(3, 6), answers.done(1)).expect("appendable");
    assert_eq!(read_all(&wal), records(0, 6));
    wal.truncate_from(4, ignore());
    wal.append(vec![record(4, 2, "other")], ignore()).expect("appendable");
    let mut expected = records(0, 4);
    expected.push(record(4, 2, "other"));
    assert_eq!(read_all(&wal), expected);
    assert!(answers.take().is_empty(), "nothing is acknowledged yet");
    settle(&wal);
    assert_eq!(read_all(&wal), expected);
}

#[test]
fn a_truncated_log_continues_with_other_entries() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 200));
    wal.truncate_from(60, ignore());
    append(&wal, vec![record(60, 2, "after"), record(61, 3, "later")]);
    wal.close();
    let (wal, recovered) = open(&disk);
    assert_eq!(recovered.last, Some((61, 3)));
    let mut expected = records(0, 60);
    expected.extend([record(60, 2, "after"), record(61, 3, "later")]);
    assert_eq!(read_all(&wal), expected);
}

#[test]
fn purged_segments_are_used_again_and_never_read_again() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    wal.save_vote(Bytes::from_static(b"the vote"), ignore());
    let mut next = 0;
    let mut most = 0;
    for _ in 0..30 {
        for _ in 0..20 {
            append(&wal, records(next, next + 1));
            next += 1;
        }
        wal.purge_through(next - 5, 1, ignore());
        settle(&wal);
        most = most.max(files(&disk).len());
    }
    assert!(most <= 4, "{most} files for a log of at most 25 entries");
    assert_eq!(files_named(&disk, "old-"), 1, "a purged segment waits for its second life");
    wal.close();
    let (wal, recovered) = open(&disk);
    assert_eq!(files_named(&disk, "spare"), 0, "spares of an earlier life are swept");
    assert_eq!(recovered.vote, Some(Bytes::from_static(b"the vote")));
    assert_eq!(recovered.purged, Some((next - 5, 1)));
    assert_eq!(read_all(&wal), records(next - 4, next));
}

#[test]
fn purging_beyond_the_end_continues_behind_the_purged() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 100));
    wal.purge_through(1000, 7, ignore());
    assert_eq!(read_all(&wal), []);
    assert!(wal.append(records(100, 101), ignore()).is_err(), "a hole");
    append(&wal, records(1001, 1003));
    wal.close();
    let (wal, recovered) = open(&disk);
    assert_eq!(recovered.purged, Some((1000, 7)));
    assert_eq!(recovered.first_index, 1001);
    assert_eq!(read_all(&wal), records(1001, 1003));
}

#[test]
fn an_append_larger_than_a_segment_gets_a_file_of_its_own() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 2));
    let big = "x".repeat(10_000);
    append(&wal, vec![record(2, 1, &big), record(3, 1, &big)]);
    append(&wal, records(4, 6));
    wal.close();
    let (wal, _) = open(&disk);
    let found = read_all(&wal);
    assert_eq!(found.len(), 6);
    assert_eq!(found[3], record(3, 1, &big));
    assert_eq!(found[5], records(5, 6)[0]);
}

#[test]
fn reading_respects_the_range_and_the_budget() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(10, 100));
    assert_eq!(wal.read(0, 13, usize::MAX).expect("readable"), records(10, 13));
    assert_eq!(wal.read(98, 200, usize::MAX).expect("readable"), records(98, 100));
    assert_eq!(wal.read(50, 50, usize::MAX).expect("readable"), []);
    assert_eq!(wal.read(50, 90, 0).expect("readable"), records(50, 51));
    // Each takes 40 bytes of frame and 106 of payload, padded to 152.
    assert_eq!(wal.read(50, 90, 3 * 152).expect("readable"), records(50, 53));
    assert_eq!(wal.read(90, 100, 3 * 152 - 1).expect("readable"), records(90, 92));
}

#[test]
fn holes_and_purged_truncations_are_refused_and_change_nothing() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(5, 10));
    let refusal = wal.append(records(11, 12), ignore()).expect_err("a hole");
    assert_eq!(refusal.to_string(), "the log refuses to append entry 11 where entry 10 comes next");
    assert!(wal.append(vec![record(10, 1, "a"), record(12, 1, "b")], ignore()).is_err());
    assert!(wal.append(vec![record(u64::MAX, 1, "a")], ignore()).is_err());
    let answers = Answers::default();
    wal.purge_through(6, 1, answers.done(1));
    wal.truncate_from(6, answers.done(2));
    wal.purge_through(u64::MAX, 1, answers.done(3));
    settle(&wal);
    let said: Vec<(u64, bool)> = answers.take().iter().map(|(label, r)| (*label, r.is_ok())).collect();
    assert_eq!(said, [(2, false), (3, false), (1, true)], "refusals come at once");
    assert_eq!(read_all(&wal), records(7, 10));
}

#[test]
fn reopening_an_idle_log_again_and_again_takes_no_more_space() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 5));
    wal.close();
    let mut used = Vec::new();
    for _ in 0..10 {
        let (wal, _) = open(&disk);
        assert_eq!(read_all(&wal), records(0, 5));
        wal.close();
        used.push((files(&disk).len(), disk.used_bytes()));
    }
    assert_eq!(used[1], used[9]);
    assert_eq!(used[9].0, 2);
}

#[test]
fn one_sync_covers_everything_that_waited() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    let answers = Answers::default();
    for index in 0..5 {
        wal.append(records(index, index + 1), answers.done(index)).expect("appendable");
    }
    wal.save_vote(Bytes::from_static(b"v"), answers.done(5));
    let before = disk.syncs();
    assert!(wal.step());
    assert_eq!(disk.syncs() - before, 1);
    assert_eq!(answers.all_ok(), [0, 1, 2, 3, 4, 5]);
    assert!(!wal.step());
}

#[test]
fn a_full_queue_is_drained_before_more_is_taken() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    let answers = Answers::default();
    for index in 0..12_000 {
        wal.append(records(index, index + 1), answers.done(index)).expect("appendable");
        assert!(wal.metrics().queue_bytes <= small().queue_bytes_max);
    }
    settle(&wal);
    assert_eq!(answers.all_ok(), (0..12_000).collect::<Vec<_>>());
}
