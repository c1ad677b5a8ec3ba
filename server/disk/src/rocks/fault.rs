//! RocksDB's errors as sentences for an operator.
//!
//! Rule: a sentence says what happened, where, and what to do. It tells apart what the operator repairs (a full disk,
//! permissions, a second process) from what needs another copy of the data. RocksDB's own words are always included.

use quorate_core::error::Fault;
use quorate_core::storage::Table;
use rocksdb::{Error, ErrorKind};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where the store is.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
}

impl Place {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the directory, and refuses one that was a store and lost the file that says so: RocksDB would start an
    /// empty store in it and remove what is left of the old one.
    pub(super) fn prepare(&self) -> Result<(), Fault> {
        self.create()
            .map_err(|error| self.sentence("creating the directory", Cause::of_io(&error), &error.to_string()))?;
        let names = fs::read_dir(&self.directory)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>())
            .map_err(|error| self.sentence("listing its files", Cause::of_io(&error), &error.to_string()))?;
        let has_rows = names.iter().any(|name| Path::new(name).extension().is_some_and(|end| end == "sst"));
        if has_rows && !names.iter().any(|name| name == "CURRENT") {
            return Err(self.sentence("opening it", Cause::Damage, "the file CURRENT is missing"));
        }
        Ok(())
    }

    fn create(&self) -> io::Result<()> {
        if self.directory.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        // RocksDB syncs its own directory, not the entry that names it.
        match self.directory.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    }

    /// What `doing` (as in "flushing it") failed with.
    pub(super) fn fault(&self, doing: &str, error: &Error) -> Fault {
        self.sentence(doing, Cause::of(&error.kind(), error.as_ref()), error.as_ref())
    }

    /// What reading a row failed with.
    pub(super) fn row_fault(&self, table: Table, key: &[u8], error: &Error) -> Fault {
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.fault(&format!("reading table {}, key 0x{key},", table.name()), error)
    }

    /// Work in the background failed; RocksDB wrote down why.
    pub(super) fn background(&self) -> Fault {
        Fault::new(format!(
            "the store in {0} failed while compacting; the newest file {0}/LOG says why. If the disk is full or failing, \
             repair that and start this member again; else restore this member from a peer or a snapshot.",
            self.directory.display()
        ))
    }

    fn sentence(&self, doing: &str, cause: Cause, words: &str) -> Fault {
        let place = self.directory.display();
        Fault::new(match cause {
            Cause::Space => format!(
                "the disk of the store in {place} is full: {doing} failed: {words}. Free space on it and start this \
                 member again; the Raft log still holds what the store lost."
            ),
            Cause::InUse => format!(
                "the store in {place} is open in another process: {words}. Stop that process, or give this member a \
                 data directory of its own."
            ),
            Cause::Permission => format!(
                "this process may not use the store in {place}: {doing} failed: {words}. Give the user it runs as read \
                 and write permission for the directory and every file in it, and check that the file system is not \
                 mounted read-only."
            ),
            Cause::OpenFiles => format!(
                "{doing} failed for the store in {place}: {words}. Raise the limit of open files (ulimit -n) and start \
                 this member again."
            ),
            Cause::Newer => format!(
                "the store in {place} has tables that this version does not know: {words}. Start the version that wrote \
                 it, or restore a snapshot."
            ),
            Cause::Stopping => format!("the store in {place} is being closed: {doing} failed: {words}."),
            Cause::Damage => format!(
                "the store in {place} is damaged: {doing} failed: {words}. Restore this member from a peer or a \
                 snapshot; do not delete files of the data directory by hand."
            ),
            Cause::Device => format!(
                "the disk of the store in {place} failed: {doing} failed: {words}. Check the disk and the kernel's \
                 messages. If the disk is sound again, start this member again; else restore it from a peer or a \
                 snapshot."
            ),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Space,
    InUse,
    Permission,
    OpenFiles,
    Newer,
    Stopping,
    Damage,
    Device,
}

impl Cause {
    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Space,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Permission,
            // A file stands where the directory should be.
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => Self::Damage,
            _ => Self::Device,
        }
    }

    /// RocksDB hands out text only. These are the operating system's words, which RocksDB repeats at the end of its own;
    /// what is not recognised falls back to the kind.
    fn of(kind: &ErrorKind, words: &str) -> Self {
        const KNOWN: [(&str, Cause); 9] = [
            ("No space left on device", Cause::Space),
            ("Disk quota exceeded", Cause::Space),
            ("Permission denied", Cause::Permission),
            ("Operation not permitted", Cause::Permission),
            ("Read-only file system", Cause::Permission),
            ("While lock file", Cause::InUse),
            ("lock hold by current process", Cause::InUse),
            ("Too many open files", Cause::OpenFiles),
            ("Column families not opened", Cause::Newer),
        ];
        if let Some((_, cause)) = KNOWN.iter().find(|(text, _)| words.contains(text)) {
            return *cause;
        }
        match kind {
            ErrorKind::ShutdownInProgress => Self::Stopping,
            // A file that the manifest names and the directory has not.
            ErrorKind::IOError if words.contains("No such file or directory") => Self::Damage,
            ErrorKind::IOError | ErrorKind::TimedOut | ErrorKind::Busy => Self::Device,
            _ => Self::Damage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(words: &str) -> Cause {
        Cause::of(&ErrorKind::IOError, words)
    }

    #[test]
    fn what_an_operator_can_repair_is_told_apart_from_damage() {
        assert_eq!(cause("IO error: No space left on device: While appending to file: /d/000012.sst"), Cause::Space);
        assert_eq!(cause("IO error: While open a file for lock: /d/LOCK: Permission denied"), Cause::Permission);
        assert_eq!(cause("IO error: While lock file: /d/LOCK: Resource temporarily unavailable"), Cause::InUse);
        assert_eq!(
            cause("IO error: While open a file for random read: /d/9.sst: Too many open files"),
            Cause::OpenFiles
        );
        assert_eq!(cause("IO error: While pread offset 0 len 4096: /d/9.sst: Input/output error"), Cause::Device);
        assert_eq!(cause("IO error: No such file or directory: While open /d/9.sst"), Cause::Damage);
        assert_eq!(Cause::of(&ErrorKind::Corruption, "Corruption: block checksum mismatch"), Cause::Damage);
        assert_eq!(Cause::of(&ErrorKind::ShutdownInProgress, "Shutdown in progress: "), Cause::Stopping);
    }

    #[test]
    fn every_sentence_names_the_place_and_the_words() {
        let place = Place::new(Path::new("/data/engine"));
        for cause in [
            Cause::Space,
            Cause::InUse,
            Cause::Permission,
            Cause::OpenFiles,
            Cause::Newer,
            Cause::Stopping,
            Cause::Damage,
            Cause::Device,
        ] {
            let sentence = place.sentence("flushing it", cause, "its words").to_string();
            assert!(sentence.contains("/data/engine") && sentence.contains("its words"), "{sentence}");
        }
    }
}
