//! The three kinds of error, of which core knows two.
//!
//! A [`Refusal`] is a result: every member that applies the same entry refuses it in the same way. A [`Fault`] means the
//! member cannot go on: the engine failed or an invariant broke; it stops the member and never becomes an answer.
//! (Trouble, "this member cannot answer now", belongs to the server crate.)

use std::fmt;

/// Why a request was refused. The text of each is the protocol: clients compare it (contract §3.1). The gRPC codes are
/// in the server's one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An empty key where one is needed.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// `ignore_value` or `ignore_lease` on a missing key, or a transaction operation without a request.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// `ignore_value` with a value.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// `ignore_lease` with a lease.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// A list of a transaction is longer than allowed.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// Two changes of one key on one path of a transaction.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// An unknown sort order or target.
    #[error("etcdserver: invalid sort option")]
    InvalidSortOption,
    /// The revision asked for lies below the compaction.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// The revision asked for lies above the newest.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// The store is full.
    #[error("etcdserver: mvcc: database space exceeded")]
    NoSpace,
    /// No such lease.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// The lease id is taken.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// The time to live is beyond the maximum.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    /// The encoded proposal is larger than the limit.
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// A corruption alarm is active.
    #[error("etcdserver: corrupt cluster")]
    Corrupt,
    /// No member with that id.
    #[error("etcdserver: member not found")]
    MemberNotFound,
    /// An expiry that was proposed by a leader of an earlier term, or for an earlier lease of that id. Never shown to a
    /// client: only the member's own clock proposes these.
    #[error("quorate: the lease was renewed or granted anew since its expiry was proposed")]
    StaleExpiry,
}

/// A fault stops the member. The text is for the operator: what happened, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault(String);

impl Fault {
    /// A fault with its sentence.
    #[must_use]
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// A row that cannot be decoded: the store is damaged.
    #[must_use]
    pub fn damaged(table: &str, key: &[u8], why: impl fmt::Display) -> Self {
        Self(format!(
            "the store is damaged: table {table}, key 0x{}: {why}. Restore this member from a peer or a snapshot; \
             do not delete files of the data directory by hand.",
            key.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        ))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
