//! Every operation that was sent, and how it ended.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use tokio::sync::watch;

/// What an operation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Writes one key, attached to the lease if it is not 0.
    Put { key: String, lease: i64 },
    /// Deletes the keys in `[key, end)`, or `key` alone when `end` is empty.
    Delete { key: String, end: String },
    /// If `keys[0]` exists: puts `keys[0]` and `keys[1]` and deletes `keys[2]`; else puts `keys[0]`. The keys differ.
    Txn { keys: [String; 3] },
    /// Grants a lease, whose id follows from the operation's.
    Grant,
    /// Revokes a lease and with it its keys.
    Revoke { lease: i64 },
    /// Forgets what is below a revision.
    Compact { revision: i64 },
}

/// How an operation ended, as its sender saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Not known: still in flight, or the connection broke.
    Unknown,
    /// The server refused it, so nothing happened.
    Refused(String),
    /// Done; the answer's header had this revision. `changed` tells whether the answer says that keys were changed, which
    /// the answer to a revocation never does.
    Acknowledged { revision: i64, changed: bool },
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Unique; every value that it writes begins with it.
    pub(crate) id: u64,
    /// What it asks for.
    pub(crate) act: Act,
    /// How it ended.
    pub(crate) end: End,
}

/// All operations of a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    operations: Mutex<Vec<Operation>>,
    /// Acknowledged ones, counted for whoever waits.
    acknowledged: watch::Sender<u64>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { operations: Mutex::default(), acknowledged: watch::Sender::new(0) }
    }
}

impl Ledger {
    /// Notes an operation that is about to be sent and returns its id.
    pub(crate) fn propose(&self, act: Act) -> u64 {
        let mut operations = self.operations.lock();
        let id = operations.len() as u64;
        operations.push(Operation { id, act, end: End::Unknown });
        id
    }

    /// Notes how it ended.
    pub(crate) fn end(&self, id: u64, end: End) {
        if matches!(end, End::Acknowledged { .. }) {
            self.acknowledged.send_modify(|count| *count += 1);
        }
        let place = usize::try_from(id).expect("ids are places");
        self.operations.lock()[place].end = end;
    }

    /// Waits until so many more operations are acknowledged.
    pub(crate) async fn wait_for_acknowledged(&self, more: u64) {
        let mut count = self.acknowledged.subscribe();
        let goal = *count.borrow() + more;
        tokio::time::timeout(crate::support::PATIENCE, count.wait_for(|count| *count >= goal))
            .await
            .expect("the server acknowledges what is sent")
            .expect("the ledger outlives its waiters");
    }

    /// All operations so far.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.operations.lock().clone()
    }

    /// How many ended how.
    pub(crate) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for operation in self.operations.lock().iter() {
            match operation.end {
                End::Unknown => summary.unknown += 1,
                End::Refused(_) => summary.refused += 1,
                End::Acknowledged { .. } => summary.acknowledged += 1,
            }
        }
        summary
    }
}

/// Counts of operations by end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
}

impl Summary {
    /// What came after an earlier summary.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            acknowledged: self.acknowledged - before.acknowledged,
            refused: self.refused - before.refused,
            unknown: self.unknown - before.unknown,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} acknowledged, {} refused, {} unknown", self.acknowledged, self.refused, self.unknown)
    }
}

/// The operations that changed keys and were acknowledged, by their revision.
pub(crate) fn acknowledged_by_revision(operations: &[Operation]) -> BTreeMap<i64, &Operation> {
    let mut by_revision = BTreeMap::new();
    for operation in operations {
        if let End::Acknowledged { revision, changed: true } = operation.end {
            let other: Option<&Operation> = by_revision.insert(revision, operation);
            assert!(other.is_none(), "two operations were acknowledged at one revision: {operation:?} and {other:?}");
        }
    }
    by_revision
}
