//! A small vocabulary: open, append, acknowledge, read everything.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_disk::file::{FileSystem, SimDisk};
use quorate_disk::wal::{Done, LogRecord, Recovered, Wal, WalError, WalOptions};

pub(crate) fn dir() -> &'static Path {
    Path::new("/member/wal")
}

/// Small segments, so that a short test crosses many of them.
pub(crate) fn small() -> WalOptions {
    WalOptions {
        segment_bytes: 4096,
        batch_bytes_max: 1024,
        queue_bytes_max: 1 << 20,
        tail_bytes_max: 512,
        ..WalOptions::default()
    }
}

pub(crate) fn try_open(disk: &SimDisk) -> Result<(Wal, Recovered), WalError> {
    Wal::open_stepped(Arc::new(disk.clone()), dir(), small(), Arc::new(|| ()))
}

pub(crate) fn open(disk: &SimDisk) -> (Wal, Recovered) {
    try_open(disk).expect("the log opens")
}

pub(crate) fn record(index: u64, term: u64, payload: &str) -> LogRecord {
    LogRecord { index, term, payload: Bytes::copy_from_slice(payload.as_bytes()) }
}

/// Entries `from..to` of term 1, each with a payload of about 100 bytes that names its index.
pub(crate) fn records(from: u64, to: u64) -> Vec<LogRecord> {
    (from..to).map(|index| record(index, 1, &format!("entry {index:<100}"))).collect()
}

/// What one callback said, under the label it was made with.
pub(crate) type Answer = (u64, Result<(), WalError>);

/// Collects what callbacks said, in the order in which they said it.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<Vec<Answer>>>);

impl Answers {
    pub(crate) fn done(&self, label: u64) -> Done {
        let answers = self.0.clone();
        Box::new(move |result| answers.lock().push((label, result)))
    }

    /// Labels of the callbacks that said `Ok`; fails the test if any said otherwise.
    pub(crate) fn all_ok(&self) -> Vec<u64> {
        self.0
            .lock()
            .iter()
            .map(|(label, result)| {
                result.as_ref().expect("acknowledged");
                *label
            })
            .collect()
    }

    /// Takes everything said so far.
    pub(crate) fn take(&self) -> Vec<Answer> {
        std::mem::take(&mut *self.0.lock())
    }
}

pub(crate) fn ignore() -> Done {
    Box::new(|_| ())
}

/// Appends and steps until everything is durable.
pub(crate) fn append(wal: &Wal, records: Vec<LogRecord>) {
    let answers = Answers::default();
    wal.append(records, answers.done(0)).expect("appendable");
    settle(wal);
    assert_eq!(answers.all_ok(), [0]);
}

/// Steps until nothing waits.
pub(crate) fn settle(wal: &Wal) {
    while wal.step() {}
}

pub(crate) fn read_all(wal: &Wal) -> Vec<LogRecord> {
    wal.read(0, u64::MAX, usize::MAX).expect("readable")
}

pub(crate) fn files(disk: &SimDisk) -> Vec<String> {
    disk.list(dir()).expect("list")
}

/// How many file names contain `part`.
pub(crate) fn files_named(disk: &SimDisk, part: &str) -> usize {
    files(disk).iter().filter(|name| name.contains(part)).count()
}

/// The segment files, oldest first.
pub(crate) fn segments(disk: &SimDisk) -> Vec<String> {
    let mut names = files(disk);
    names.retain(|name| name.ends_with(".wal"));
    names
}

pub(crate) fn contents(disk: &SimDisk, name: &str) -> Vec<u8> {
    let file = disk.open(&dir().join(name)).expect("open");
    let mut bytes = vec![0; file.len().expect("length") as usize];
    file.read_at(0, &mut bytes).expect("read");
    bytes
}

/// Writes and syncs `bytes` into a file behind the log's back.
pub(crate) fn overwrite(disk: &SimDisk, name: &str, offset: u64, bytes: &[u8]) {
    let file = disk.open(&dir().join(name)).expect("open");
    file.write_at(offset, bytes).expect("write");
    file.sync_data().expect("sync");
}

/// Flips one bit of a file, durably.
pub(crate) fn flip_bit(disk: &SimDisk, name: &str, offset: u64, bit: u32) {
    let byte = contents(disk, name)[offset as usize];
    overwrite(disk, name, offset, &[byte ^ (1 << bit)]);
}

/// Where `needle` first stands in a file.
pub(crate) fn find(disk: &SimDisk, name: &str, needle: &str) -> u64 {
    let bytes = contents(disk, name);
    bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).expect("the text is in the file") as u64
}
