//! The tables and what their rows mean.
//!
//! Rule: a table's number is on disk for ever. A table that is no longer used keeps its number, marked as retired.

/// A table of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Every change that is not compacted away, in revision order, so that inserts are sequential.
    /// Key: main revision (8, big-endian) ‖ sub revision (4, big-endian).
    /// Value: `mvccpb.KeyValue` as it goes to clients; a tombstone has only the field `key`.
    Row = 1,
    /// What the index needs to know of each row, so that opening a store never reads values.
    /// Key: escaped user key ‖ 00 01 ‖ revision as in [`Table::Row`]; grouped by key, ascending revisions.
    /// Value: [`super::codec::IndexRow`]: length, create revision, version, lease.
    Index = 2,
    /// Leases that are granted and not revoked. Attachments are not stored: they are the lease fields of live keys.
    /// Key: lease id (8, big-endian, sign bit flipped).
    /// Value: `quorate.internal.StoredLease`.
    Lease = 3,
    /// Alarms that are active.
    /// Key: member id (8, big-endian) ‖ alarm type (4, big-endian).
    /// Value: `quorate.internal.StoredAlarm`.
    Alarm = 4,
    /// The members of the cluster.
    /// Key: member id (8, big-endian).
    /// Value: `quorate.internal.StoredMember`.
    Member = 5,
    /// Single facts about the whole store, the applied index among them.
    /// Key: the name, one of [`meta`].
    /// Value: as the name says.
    Meta = 6,
    /// Facts about this member's copy that no other member shares: how far it has trimmed, for example. Never part of a
    /// snapshot for a peer, nor of a hash.
    /// Key: the name, one of [`local`].
    /// Value: as the name says.
    Local = 7,
}

impl Table {
    /// All tables, in number order.
    pub const ALL: [Self; 7] =
        [Self::Row, Self::Index, Self::Lease, Self::Alarm, Self::Member, Self::Meta, Self::Local];

    /// The name, for messages and for engines that name their tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Index => "index",
            Self::Lease => "lease",
            Self::Alarm => "alarm",
            Self::Member => "member",
            Self::Meta => "meta",
            Self::Local => "local",
        }
    }
}

/// Names in [`Table::Meta`].
pub mod meta {
    /// u32, big-endian: the version of the tables' format.
    pub const FORMAT: &[u8] = b"format";
    /// u64 term ‖ u64 index, big-endian: the last log entry that the tables contain.
    pub const APPLIED: &[u8] = b"applied";
    /// `quorate.internal.StoredMembership`: the Raft membership at that index.
    pub const MEMBERSHIP: &[u8] = b"membership";
    /// i64, big-endian: the newest main revision; independent of which rows survive.
    pub const REVISION: &[u8] = b"revision";
    /// i64, big-endian: the logical compaction floor; absent on a store that was never compacted.
    pub const COMPACTED: &[u8] = b"compacted";
    /// u64, big-endian: the cluster id.
    pub const CLUSTER_ID: &[u8] = b"cluster-id";
    /// Text: the cluster version, as `3.7.0`.
    pub const CLUSTER_VERSION: &[u8] = b"cluster-version";
}

/// Names in [`Table::Local`].
pub mod local {
    /// i64, big-endian: rows hidden by this floor are gone from the tables.
    pub const TRIMMED: &[u8] = b"trimmed";
}

/// The format that this build writes; it opens this one only.
pub const FORMAT_VERSION: u32 = 1;
