//! One process per data directory.
//!
//! Rule: whoever writes under a data directory holds its [`DirLock`] from before the first read until after the last
//! write. The lock is the kernel's (`flock` on `<dir>/LOCK`), so it ends with the process however that ends; the file
//! stays behind and only tells a person which process holds it.
//!
//! Left out: file systems without working `flock` (some old NFS); there the lock call itself fails and the member
//! does not start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The name of the lock file inside the data directory.
const LOCK_FILE: &str = "LOCK";

/// Holds a data directory until dropped.
#[derive(Debug)]
pub struct DirLock {
    /// The lock lives as long as this descriptor.
    _file: File,
}

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it; `pid` is what that process wrote into the file, if it could be read.
    #[error(
        "the data directory {} is in use by {}; two members cannot share one. Stop that process, or give this one another --data-dir",
        dir.display(),
        pid.map_or("another process".to_string(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The data directory.
        dir: PathBuf,
        /// The holder.
        pid: Option<u32>,
    },
    /// The lock file cannot be opened, locked or written.
    #[error("cannot lock the data directory with {}: {error}. Check that the directory exists and that this user may write to it", file.display())]
    Io {
        /// The lock file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl DirLock {
    /// Takes the lock of `dir`, which must exist, without waiting, and writes this process's id into the lock file.
    pub fn acquire(dir: &Path) -> Result<DirLock, LockError> {
        let path = dir.join(LOCK_FILE);
        let trouble = |error: io::Error| LockError::Io { file: path.clone(), error };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(trouble)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held { dir: dir.to_path_buf(), pid: holder(&mut file) });
            }
            Err(error) => return Err(trouble(error.into())),
        }
        file.set_len(0).map_err(trouble)?;
        file.seek(SeekFrom::Start(0)).map_err(trouble)?;
        writeln!(file, "{}", std::process::id()).map_err(trouble)?;
        Ok(DirLock { _file: file })
    }
}

/// The process id in the lock file; `None` when its holder has not written it yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_first_ones_process_id() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let held = DirLock::acquire(dir.path()).expect("free");
        let refusal = DirLock::acquire(dir.path()).expect_err("held");
        let sentence = refusal.to_string();
        assert!(matches!(refusal, LockError::Held { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(sentence.contains(&format!("process {}", std::process::id())), "{sentence}");
        drop(held);
        DirLock::acquire(dir.path()).expect("free again");
    }

    #[test]
    fn a_shorter_process_id_replaces_a_longer_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join(LOCK_FILE), "4294967295 and more\n").expect("write");
        let _held = DirLock::acquire(dir.path()).expect("nobody holds it");
        let text = std::fs::read_to_string(dir.path().join(LOCK_FILE)).expect("read");
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let refusal = DirLock::acquire(Path::new("/nonexistent/quorate")).expect_err("missing");
        assert!(refusal.to_string().contains("/nonexistent/quorate/LOCK"), "{refusal}");
    }
}
