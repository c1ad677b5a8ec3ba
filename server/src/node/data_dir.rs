//! The data directory: what is in it, and what must not be.
//!
//! ```text
//!   <data-dir>/ LOCK            held by the process that uses it
//!               identity.json   who the member is (written first)
//!               wal/            the log          (or --wal-dir)
//!               store/          the tables
//! ```
//!
//! Rule: a member starts on an empty directory or on its own. Anything else, above all the directory of an etcd, is named
//! and left untouched; starting empty beside somebody's data would look like losing it.

use super::identity::{self, Identity};
use quorate_core::error::Fault;
use quorate_disk::lock::DirLock;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory that this process holds.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    wal: PathBuf,
    /// What was found in it; nothing in a new one.
    pub identity: Option<Identity>,
    _lock: DirLock,
}

impl DataDir {
    /// Takes the directory, makes it if it is missing, and looks at what is in it.
    ///
    /// # Errors
    /// A fault when another process holds it, when it is an etcd's, or when something in it is not ours.
    pub fn open(root: &Path, wal_dir: Option<&Path>) -> Result<Self, Fault> {
        refuse_etcd(root)?;
        make(root)?;
        let lock = DirLock::acquire(root).map_err(|error| Fault::new(error.to_string()))?;
        let identity = Identity::read(root)?;
        let wal = wal_dir.map_or_else(|| root.join("wal"), Path::to_path_buf);
        if identity.is_none() {
            refuse_strangers(root)?;
            if wal_dir.is_some() && is_occupied(&wal)? {
                return Err(Fault::new(format!(
                    "the log directory {} is not empty, but {} knows nothing of it; choose an empty one, or the data \
                     directory it belongs to",
                    wal.display(),
                    root.display()
                )));
            }
        }
        warn_of_open_permissions(root);
        if identity.is_some() {
            make(&wal)?;
        }
        Ok(Self { root: root.to_path_buf(), wal, identity, _lock: lock })
    }

    /// Makes a new member's directory its own. Before this nothing is written that a later start would stumble over.
    ///
    /// # Errors
    /// A fault when the directory cannot be written.
    pub fn claim(&mut self, identity: Identity) -> Result<(), Fault> {
        identity.write(&self.root)?;
        self.identity = Some(identity);
        make(&self.wal)
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the log is.
    #[must_use]
    pub fn wal(&self) -> &Path {
        &self.wal
    }

    /// Where the tables are.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }
}

fn make(directory: &Path) -> Result<(), Fault> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| Fault::new(format!("cannot make the directory {}: {error}", directory.display())))
}

/// etcd's layout is `member/snap` and `member/wal`.
fn refuse_etcd(root: &Path) -> Result<(), Fault> {
    if !root.join("member").exists() {
        return Ok(());
    }
    Err(Fault::new(format!(
        "{} holds the data of an etcd member (it has a directory `member`). This version does not convert it, and does \
         not start empty beside it. Nothing was changed. Choose another --data-dir; to move the data, copy it over the \
         client API with `etcdctl make-mirror`.",
        root.display()
    )))
}

fn refuse_strangers(root: &Path) -> Result<(), Fault> {
    let Some(name) = strangers(root)?.into_iter().next() else {
        return Ok(());
    };
    let ours = ["wal", "store"].contains(&name.as_str());
    Err(Fault::new(if ours {
        format!(
            "{} has a directory `{name}` but no {}: the member does not know who it is. Nothing was changed. Put the \
             file back, or restore this member from a peer or a snapshot into an empty directory.",
            root.display(),
            identity::FILE
        )
    } else {
        format!(
            "{} is not empty (it has `{name}`) and is not a Quorate data directory. Nothing was changed. Choose an \
             empty or a missing directory.",
            root.display()
        )
    }))
}

/// What is in a directory that no file system puts there by itself.
fn strangers(root: &Path) -> Result<Vec<String>, Fault> {
    let read = || {
        let mut names = Vec::new();
        for entry in fs::read_dir(root)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // A crash in the first moment can leave the unfinished identity; it says nothing.
            if !["LOCK", "lost+found", "identity.part"].contains(&name.as_str()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    };
    read().map_err(|error: std::io::Error| Fault::new(format!("cannot read the directory {}: {error}", root.display())))
}

fn is_occupied(directory: &Path) -> Result<bool, Fault> {
    Ok(directory.exists() && !strangers(directory)?.is_empty())
}

fn warn_of_open_permissions(root: &Path) {
    if let Ok(metadata) = fs::metadata(root) {
        let mode = metadata.permissions().mode() & 0o777;
        if mode != 0o700 {
            tracing::warn!(
                dir = %root.display(),
                permission = format!("{mode:o}"),
                "the data directory should be open to its owner only (700)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::ids::MemberId;

    fn refused(root: &Path) -> String {
        DataDir::open(root, None).expect_err("refused").to_string()
    }

    #[test]
    fn a_missing_directory_is_made_for_its_owner_only() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let root = parent.path().join("a/b");
        let opened = DataDir::open(&root, None).expect("opened");
        assert_eq!(opened.identity, None);
        assert_eq!(fs::metadata(&root).expect("made").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn an_etcd_directory_is_recognised_and_left_alone() {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir_all(root.path().join("member/snap")).expect("made");
        assert!(refused(root.path()).contains("holds the data of an etcd member"));
        assert!(!root.path().join("LOCK").exists());
    }

    #[test]
    fn a_directory_with_something_else_in_it_is_refused() {
        let root = tempfile::tempdir().expect("a temporary directory");
        fs::write(root.path().join("notes.txt"), "mine").expect("written");
        assert!(refused(root.path()).contains("is not empty (it has `notes.txt`)"));
        fs::rename(root.path().join("notes.txt"), root.path().join("store")).expect("renamed");
        assert!(refused(root.path()).contains("no identity.json"));
    }

    #[test]
    fn a_start_that_came_to_nothing_leaves_a_directory_that_starts() {
        let root = tempfile::tempdir().expect("a temporary directory");
        drop(DataDir::open(root.path(), None).expect("opened"));
        let mut again = DataDir::open(root.path(), None).expect("opened again");
        again.claim(Identity { member_id: MemberId(1), cluster_id: 2 }).expect("claimed");
        assert!(again.wal().is_dir());
    }

    #[test]
    fn a_second_holder_is_refused_until_the_first_is_gone() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let first = DataDir::open(root.path(), None).expect("opened");
        assert!(refused(root.path()).contains("process"));
        drop(first);
        let identity = Identity { member_id: MemberId(1), cluster_id: 2 };
        identity.write(root.path()).expect("written");
        assert_eq!(DataDir::open(root.path(), None).expect("opened").identity, Some(identity));
    }

    #[test]
    fn a_used_log_directory_is_not_taken_for_a_new_member() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let wal = tempfile::tempdir().expect("a temporary directory");
        fs::write(wal.path().join("1.wal"), "log").expect("written");
        let fault = DataDir::open(root.path(), Some(wal.path())).expect_err("refused").to_string();
        assert!(fault.contains("is not empty"), "{fault}");
    }
}
