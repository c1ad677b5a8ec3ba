//! The files the log stands on, as a small trait with a real and a simulated world behind it.
//!
//! Rule: the log reaches the disk through [`FileSystem`] and [`LogFile`] and through nothing else, so that the code
//! that runs in production is the code that the crash tests and the simulator break.
//!
//! What the log may assume of a disk, and no more:
//! - bytes written are certain to survive only after `sync_data` has returned `Ok`; until then any subset of the
//!   512-byte sectors may survive, and the last of them may be torn;
//! - a sector that is rewritten holds the old bytes or the new ones, never anything else;
//! - a name (created, renamed, removed) is certain only after `sync_dir` on its directory; names become durable in
//!   the order in which they were changed;
//! - after a failed sync nothing is known, so nobody may try again.
//!
//! Left out: memory mapping, asynchronous IO, locks (see [`crate::lock`]).

mod sim;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

pub use sim::SimDisk;

/// An open file of the log. Handles stay usable after their file is renamed or removed.
pub trait LogFile: Send + Sync {
    /// Writes all of `bytes` at `offset` (bytes from the start), growing the file if it is shorter.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buf` from `offset`; `UnexpectedEof` if the file is shorter.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
    /// Returns when everything written before the call is durable, the file's length included.
    fn sync_data(&self) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True when the file holds no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or grows the file to `bytes`; new bytes read as zero.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Reserves room for `bytes` from the start of the file and makes it at least that long; new bytes read as zero.
    /// Fails with `StorageFull` instead of leaving a later write to find out.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
}

/// The directory operations the log needs.
pub trait FileSystem: Send + Sync + 'static {
    /// Creates `dir` and its parents; no error if it exists.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Creates an empty file, or empties the one that is there, and opens it for reading and writing.
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;
    /// Renames within one directory, replacing `to` if it exists.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names of the plain files in `dir`, sorted. Names that are not UTF-8 are not ours and are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Returns when every name created, renamed or removed in `dir` before the call is durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
        std::fs::create_dir_all(dir)?;
        // The directory's own name must survive too, or a crash takes the whole log with it. It may have been made just
        // before an earlier crash, so it is synced even if it exists.
        for made in missing.into_iter().chain([dir]) {
            match made.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => self.sync_dir(parent)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

struct OsFile(File);

impl LogFile for OsFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve. Then a full disk is found by the write, which stops the log just as well.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                if self.0.metadata()?.len() < bytes {
                    self.0.set_len(bytes)?;
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both worlds must answer alike, or a crash test proves nothing about production.
    fn behaves_like_files(fs: &dyn FileSystem, dir: &Path) {
        fs.create_dir_all(dir).expect("create the directory");
        let a = dir.join("a");
        let b = dir.join("b");
        let file = fs.create(&a).expect("create");
        assert!(file.is_empty().expect("length"));
        file.allocate(100).expect("allocate");
        assert_eq!(file.len().expect("length"), 100);
        file.write_at(98, b"wxyz").expect("write");
        assert_eq!(file.len().expect("length"), 102);
        let mut buf = [1; 4];
        file.read_at(96, &mut buf).expect("read");
        assert_eq!(&buf, b"\0\0wx");
        assert_eq!(file.read_at(100, &mut buf).expect_err("past the end").kind(), io::ErrorKind::UnexpectedEof);
        fs.rename(&a, &b).expect("rename");
        file.write_at(0, b"renamed").expect("a handle survives a rename");
        assert_eq!(fs.list(dir).expect("list"), ["b"]);
        assert!(fs.open(&a).is_err());
        let again = fs.open(&b).expect("open");
        fs.remove(&b).expect("remove");
        let mut buf = [0; 7];
        again.read_at(0, &mut buf).expect("a handle survives removal");
        assert_eq!(&buf, b"renamed");
        again.set_len(3).expect("cut");
        assert_eq!(again.len().expect("length"), 3);
        again.sync_data().expect("sync");
        fs.sync_dir(dir).expect("sync the directory");
        assert!(fs.list(dir).expect("list").is_empty());
    }

    #[test]
    fn the_real_and_the_simulated_disk_answer_alike() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        behaves_like_files(&OsFileSystem, &dir.path().join("wal"));
        behaves_like_files(&SimDisk::new(), Path::new("/member/wal"));
    }
}
