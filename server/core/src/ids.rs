//! Numbers that mean something, as types.
//!
//! A revision is not an index and a lease is not a member; mixing them is a compile error. None of these types has
//! arithmetic it does not need.

use std::fmt;

/// A point in the history of the key space: the main revision counts write transactions, the sub revision counts the
/// changes inside one of them. Ordered main first, then sub (contract §2.7, §7.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Which write transaction, from 1; the empty store is at 1 and its first write makes 2.
    pub main: i64,
    /// Which change inside the transaction, from 0.
    pub sub: u32,
}

impl Revision {
    /// The revision of change `sub` in transaction `main`.
    #[must_use]
    pub const fn new(main: i64, sub: u32) -> Self {
        Self { main, sub }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.main, self.sub)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(number: $inner) -> Self {
                Self(number)
            }
        }
    };
}

number! {
    /// A lease. Zero means "no lease"; negative numbers are legal when a client chooses them.
    LeaseId(i64)
}
number! {
    /// A member of the cluster. Zero means "none" or "not known".
    MemberId(u64)
}
number! {
    /// A place in the Raft log, from 1. Zero means "before the first entry".
    LogIndex(u64)
}
number! {
    /// A Raft term.
    Term(u64)
}

impl LeaseId {
    /// The absent lease.
    pub const NONE: Self = Self(0);

    /// True when a key with this lease id is attached to a lease.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}
