//! What an operator meets: directories that are taken, damaged, incomplete or somebody else's, full disks, taken ports,
//! signals and mistyped flags.
//!
//! Rule: a member that cannot run ends with a code other than 0 and a sentence that names what is wrong and where, and
//! leaves the data as it found it. These tests are about our own files and always run our own binary.

mod command_line;
mod damage;
mod directories;
mod signals;
mod space;

use crate::support::launch::Launch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory in which a member has written `count` keys, `key0` and on, and was then ended.
struct Written {
    _parent: TempDir,
    data_dir: PathBuf,
}

/// How the writing member ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// `kill -9`: the newest writes are in the log only.
    Kill,
    /// SIGTERM: the tables are flushed.
    Terminate,
}

impl Written {
    fn keys(count: usize, ending: Ending) -> Self {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let data_dir = parent.path().join("data");
        let mut server = Launch::ours(&data_dir).start();
        for number in 0..count {
            server.etcdctl_ok(&["put", &format!("key{number}"), &format!("value{number}")]);
        }
        match ending {
            Ending::Kill => server.process().kill(),
            Ending::Terminate => assert_eq!(server.terminate(), 143),
        }
        Self { _parent: parent, data_dir }
    }

    fn launch(&self) -> Launch {
        Launch::ours(&self.data_dir)
    }

    /// The sentence with which a start on this directory is refused.
    fn refusal(&self) -> String {
        refusal(self.launch())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.data_dir.join(name)
    }
}

/// The last line of a process that refuses to run; checks that it says so with code 1.
fn refusal(launch: Launch) -> String {
    let (code, log) = launch.refused();
    assert_eq!(code, 1, "{log}");
    let last = log.lines().rev().find(|line| line.contains("\"level\":\"fatal\""));
    last.unwrap_or_else(|| panic!("no fatal line:\n{log}")).to_owned()
}

/// Every file below a directory with its content.
fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            files.insert(path, bytes);
        }
    }
    files
}

/// The files in a directory whose names end so, sorted.
fn files_ending(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}
