//! What was written, as JSON lines, so that it can be checked after the server was killed, or moved.
//!
//! Rule: a change stands in the file once the server has acknowledged it; a change whose answer was lost stands there
//! as unknown, and no check assumes that it did or did not happen. Each line is handed to the operating system at
//! once: the file outlives this process, though not the machine.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{error::Trouble, kubernetes::cluster::Cluster};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The first line: which cluster, and the store's revision before it.
    Start {
        seed: u64,
        nodes: u64,
        events_per_node: u64,
        revision: i64,
    },
    /// A lease was granted, at the latest at this time.
    Lease {
        id: i64,
        ttl_seconds: i64,
        granted_unix: u64,
    },
    Put {
        key: String,
        revision: i64,
        #[serde(flatten)]
        written: Written,
    },
    Delete {
        key: String,
        revision: i64,
    },
    /// The answer to a put was lost.
    UnknownPut {
        key: String,
        #[serde(flatten)]
        written: Written,
    },
    /// The answer to a delete was lost.
    UnknownDelete {
        key: String,
    },
    /// History up to this revision was compacted.
    Compacted {
        revision: i64,
    },
}

/// A value, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) hash: u64,
    /// 0: none.
    #[serde(default)]
    pub(crate) lease: i64,
}

impl Written {
    pub(crate) fn of(value: &[u8], lease: i64) -> Self {
        Self { bytes: value.len() as u64, hash: fnv1a(value), lease }
    }
}

/// FNV-1a with 64 bits: tells versions of objects apart, and is the same in every release.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The file, open for writing.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Starts a new file. One that exists is not overwritten.
    pub(crate) fn create(path: &Path) -> Result<Self, Trouble> {
        let file = File::create_new(path).map_err(Trouble::file(path))?;
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file) })
    }

    /// Continues a file.
    pub(crate) fn append(path: &Path) -> Result<Self, Trouble> {
        let file = OpenOptions::new().append(true).open(path).map_err(Trouble::file(path))?;
        Ok(Self { path: path.to_path_buf(), file: Mutex::new(file) })
    }

    pub(crate) fn write(&self, line: &Line) -> Result<(), Trouble> {
        let mut text = serde_json::to_vec(line).map_err(|error| Trouble::Cannot(error.to_string()))?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text).map_err(Trouble::file(&self.path))
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// A change that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) revision: i64,
    pub(crate) key: String,
    /// `None`: deleted.
    pub(crate) written: Option<Written>,
}

/// A key as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) written: Written,
    pub(crate) create_revision: i64,
    pub(crate) mod_revision: i64,
    pub(crate) version: i64,
}

/// A journal that was read.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) cluster: Cluster,
    /// The store's revision before the first change.
    pub(crate) start_revision: i64,
    /// By revision.
    pub(crate) changes: Vec<Change>,
    /// Changes that may have happened, by key. `None`: a delete.
    pub(crate) unknown: HashMap<String, Vec<Option<Written>>>,
    /// When each lease ends at the earliest, in seconds since 1970.
    pub(crate) lease_ends_unix: HashMap<i64, u64>,
    pub(crate) compacted_revision: i64,
}

impl History {
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        let file = BufReader::new(File::open(path).map_err(Trouble::file(path))?);
        let mut lines = Vec::new();
        for (number, line) in file.lines().enumerate() {
            let line = line.map_err(Trouble::file(path))?;
            let place = || format!("{}, line {}", path.display(), number + 1);
            lines.push(serde_json::from_str(&line).map_err(|error| Trouble::Cannot(format!("{}: {error}", place())))?);
        }
        Self::from_lines(lines).ok_or_else(|| {
            Trouble::Cannot(format!("{} does not begin with the line that names a cluster", path.display()))
        })
    }

    pub(crate) fn from_lines(lines: Vec<Line>) -> Option<Self> {
        let mut lines = lines.into_iter();
        let Some(Line::Start { seed, nodes, events_per_node, revision }) = lines.next() else { return None };
        let mut history = Self {
            cluster: Cluster { seed, nodes, events_per_node },
            start_revision: revision,
            changes: Vec::new(),
            unknown: HashMap::new(),
            lease_ends_unix: HashMap::new(),
            compacted_revision: 0,
        };
        for line in lines {
            match line {
                Line::Start { .. } => return None,
                Line::Lease { id, ttl_seconds, granted_unix } => {
                    // The server's clock started before the answer was noted, by less than a second or two.
                    let ttl = u64::try_from(ttl_seconds).unwrap_or(0).saturating_sub(2);
                    history.lease_ends_unix.insert(id, granted_unix + ttl);
                }
                Line::Put { key, revision, written } => {
                    history.changes.push(Change { revision, key, written: Some(written) });
                }
                Line::Delete { key, revision } => history.changes.push(Change { revision, key, written: None }),
                Line::UnknownPut { key, written } => history.unknown.entry(key).or_default().push(Some(written)),
                Line::UnknownDelete { key } => history.unknown.entry(key).or_default().push(None),
                Line::Compacted { revision } => history.compacted_revision = revision,
            }
        }
        // Answers arrive in any order; revisions say what came first.
        history.changes.sort_by_key(|change| change.revision);
        Some(history)
    }

    /// Every key as acknowledged changes up to `revision` leave it.
    pub(crate) fn state_at(&self, revision: i64) -> BTreeMap<&str, Held> {
        let mut state: BTreeMap<&str, Held> = BTreeMap::new();
        for change in self.changes.iter().take_while(|change| change.revision <= revision) {
            let Some(written) = change.written else {
                state.remove(change.key.as_str());
                continue;
            };
            let born = Held { written, create_revision: change.revision, mod_revision: change.revision, version: 0 };
            let held = state.entry(&change.key).or_insert(born);
            (held.written, held.mod_revision) = (written, change.revision);
            held.version += 1;
        }
        state
    }

    /// Every key as all acknowledged changes leave it.
    pub(crate) fn state(&self) -> BTreeMap<&str, Held> {
        self.state_at(i64::MAX)
    }

    /// Whether a lease may have ended by now, and its keys with it.
    pub(crate) fn may_have_expired(&self, lease: i64) -> bool {
        lease != 0 && self.lease_ends_unix.get(&lease).is_none_or(|end| *end <= unix_now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, revision: i64, value: &[u8]) -> Line {
        Line::Put { key: key.to_owned(), revision, written: Written::of(value, 0) }
    }

    const START: Line = Line::Start { seed: 1, nodes: 2, events_per_node: 3, revision: 4 };

    #[test]
    fn a_file_read_back_holds_what_was_written() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("journal");
        let journal = Journal::create(&path).expect("is new");
        journal.write(&START).expect("writable");
        journal.write(&put("/a", 6, b"2")).expect("writable");
        let journal = Journal::append(&path).expect("is there");
        journal.write(&put("/a", 5, b"1")).expect("writable");
        journal.write(&Line::UnknownDelete { key: "/a".to_owned() }).expect("writable");
        let history = History::read(&path).expect("readable");
        assert_eq!((history.cluster.nodes, history.start_revision), (2, 4));
        assert_eq!(history.changes.iter().map(|change| change.revision).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(history.unknown["/a"], [None]);
        assert!(Journal::create(&path).is_err(), "a journal is never overwritten");
    }

    #[test]
    fn a_state_counts_versions_per_life_of_a_key() {
        let lines = vec![
            START,
            put("/a", 5, b"1"),
            put("/a", 6, b"2"),
            Line::Delete { key: "/a".to_owned(), revision: 7 },
            put("/a", 8, b"3"),
        ];
        let history = History::from_lines(lines).expect("begins with the start");
        let held = |revision| history.state_at(revision).get("/a").map(|held| (held.create_revision, held.version));
        assert_eq!(
            [held(4), held(5), held(6), held(7), held(8)],
            [None, Some((5, 1)), Some((5, 2)), None, Some((8, 1))]
        );
        assert_eq!(history.state()["/a"].written, Written::of(b"3", 0));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_file_without_its_first_line_is_refused() {
        assert!(History::from_lines(vec![put("/a", 5, b"1")]).is_none());
        assert!(History::from_lines(vec![]).is_none());
    }
}
