//! The log as production runs it: real files, a writer thread, many callers.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use quorate_disk::file::OsFileSystem;
use quorate_disk::wal::{LogRecord, SyncPolicy, Wal, WalError, WalObserver, WalOptions};

use crate::support::{record, records};

fn options() -> WalOptions {
    WalOptions {
        segment_bytes: 64 << 10,
        batch_bytes_max: 8 << 10,
        queue_bytes_max: 16 << 10,
        tail_bytes_max: 4 << 10,
        ..WalOptions::default()
    }
}

#[test]
fn appends_reads_and_purges_at_once_on_real_files() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("wal");
    let (wal, _) = Wal::open(Arc::new(OsFileSystem), &path, options()).expect("opens");
    let wal = Arc::new(wal);
    let (done, acknowledged) = mpsc::sync_channel(4000);
    std::thread::scope(|scope| {
        let reader = wal.clone();
        scope.spawn(move || {
            let mut seen = 0;
            while seen < 4000 {
                let found = reader.read(seen, u64::MAX, 50_000).expect("readable");
                for pair in found.windows(2) {
                    assert_eq!(pair[0].index + 1, pair[1].index);
                }
                for found in &found {
                    assert_eq!(*found, records(found.index, found.index + 1)[0]);
                }
                if let Some(last) = found.last() {
                    seen = last.index + 1;
                }
            }
        });
        for index in 0..4000 {
            let done = done.clone();
            wal.append(
                records(index, index + 1),
                Box::new(move |result| {
                    done.send((index, result.is_ok())).expect("the test listens");
                }),
            )
            .expect("appendable");
            if index % 500 == 499 {
                wal.purge_through(index - 100, 1, Box::new(|result| result.expect("durable")));
            }
        }
    });
    for index in 0..4000 {
        assert_eq!(acknowledged.recv().expect("an answer"), (index, true), "in order");
    }
    let metrics = wal.metrics();
    assert!(metrics.syncs > 0 && metrics.syncs == metrics.batches, "{metrics:?}");
    assert!(metrics.sync_longest >= metrics.sync_last);
    Arc::into_inner(wal).expect("the only owner").close();
    let (wal, recovered) = Wal::open(Arc::new(OsFileSystem), &path, options()).expect("opens");
    assert_eq!(recovered.purged, Some((3899, 1)));
    assert_eq!(wal.read(0, u64::MAX, usize::MAX).expect("readable"), records(3900, 4000));
    assert!(wal.in_flight_sync_since().is_none());
}

/// Holds the writer in its first write until told.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    waits: Mutex<bool>,
}

impl WalObserver for Gate {
    fn wrote(&self, _bytes: usize, _took: Duration) {
        *self.waits.lock() = true;
        self.changed.notify_all();
        let mut open = self.open.lock();
        while !*open {
            self.changed.wait(&mut open);
        }
    }

    fn synced(&self, _took: Duration) {}
}

#[test]
fn a_stuck_disk_shows_and_a_full_queue_makes_callers_wait() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let gate = Arc::new(Gate::default());
    let options = WalOptions { observer: Some(gate.clone()), ..options() };
    let max = options.queue_bytes_max;
    let (wal, _) = Wal::open(Arc::new(OsFileSystem), dir.path(), options).expect("opens");
    wal.append(records(0, 1), Box::new(|_| ())).expect("appendable");
    {
        let mut waits = gate.waits.lock();
        while !*waits {
            gate.changed.wait(&mut waits);
        }
    }
    assert!(wal.in_flight_sync_since().is_some());
    let full = (max / 152) as u64;
    for index in 1..=full {
        wal.append(records(index, index + 1), Box::new(|_| ())).expect("appendable");
    }
    let (returned, returns) = mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wal.append(records(full + 1, full + 2), Box::new(|_| ())).expect("appendable");
            returned.send(()).expect("the test listens");
        });
        assert_eq!(wal.metrics().queue_bytes, full as usize * 152);
        assert!(returns.try_recv().is_err(), "the queue is full");
        *gate.open.lock() = true;
        gate.changed.notify_all();
        returns.recv().expect("there is room again");
    });
    assert_eq!(wal.read(0, u64::MAX, usize::MAX).expect("readable"), records(0, full + 2));
}

#[test]
fn a_callback_may_call_the_log_and_may_be_its_last_owner() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (wal, _) = Wal::open(Arc::new(OsFileSystem), dir.path(), options()).expect("opens");
    let wal = Arc::new(wal);
    let inner = wal.clone();
    let (done, finished) = mpsc::sync_channel(1);
    wal.append(
        records(0, 1),
        Box::new(move |result| {
            result.expect("durable");
            let big = "x".repeat(20_000);
            // More than the queue holds: a caller on another thread would wait.
            for index in 1..4 {
                inner.append(vec![record(index, 1, &big)], Box::new(|_| ())).expect("appendable");
            }
            assert_eq!(inner.read(0, 9, usize::MAX).expect("readable").len(), 4);
            drop(inner);
            done.send(()).expect("the test listens");
        }),
    )
    .expect("appendable");
    drop(wal);
    finished.recv().expect("the callback ran");
}

#[test]
fn closing_writes_what_waits_and_later_calls_are_told() {
    for sync in [SyncPolicy::Fsync, SyncPolicy::Never] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let options = WalOptions { sync, ..options() };
        let (wal, _) = Wal::open(Arc::new(OsFileSystem), dir.path(), options.clone()).expect("opens");
        let (done, answers) = mpsc::sync_channel::<Result<(), WalError>>(2);
        let late = done.clone();
        wal.append(records(0, 10), Box::new(move |r| done.send(r).expect("the test listens"))).expect("appendable");
        wal.save_committed(Bytes::from_static(b"c"));
        wal.close();
        answers.recv().expect("an answer").expect("durable");
        let (wal, recovered) = Wal::open(Arc::new(OsFileSystem), dir.path(), options).expect("opens");
        assert_eq!(recovered.committed, Some(Bytes::from_static(b"c")));
        assert_eq!(recovered.last, Some((9, 1)));
        let stepped: Vec<LogRecord> = wal.read(0, 99, usize::MAX).expect("readable");
        assert_eq!(stepped, records(0, 10));
        assert!(!wal.step(), "a log with threads steps by itself");
        drop(late);
    }
}
