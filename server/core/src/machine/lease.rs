//! Leases and the keys that hang on them.
//!
//! Rule: a key hangs on at most one lease, and on exactly the one its newest version names. Attachments are therefore not
//! stored: they are read off the index when a store is opened.
//!
//! Left out: time. The leader's clock decides when a lease has expired and proposes its revocation.

use crate::ids::{LeaseId, LogIndex};
use crate::mvcc::tree::{Entry, Tree};
use crate::storage::codec::lease_key;
use quorate_proto::internal::StoredLease;
use std::sync::Arc;

/// A lease that was granted and not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    order: [u8; 8],
    /// Its id.
    pub id: LeaseId,
    /// Granted time to live in seconds.
    pub ttl_seconds: i64,
    /// Seconds left at the last checkpoint; 0 when there was none.
    pub remaining_seconds: i64,
    /// The log index of the grant, which tells it from other leases of the same id.
    pub incarnation: LogIndex,
}

impl Entry for Lease {
    fn key(&self) -> &[u8] {
        &self.order
    }

    fn weight(&self) -> u64 {
        1
    }
}

/// One key on one lease: the lease's order, then the key.
#[derive(Clone, Debug)]
struct Attachment(Box<[u8]>);

impl Entry for Attachment {
    fn key(&self) -> &[u8] {
        &self.0
    }

    fn weight(&self) -> u64 {
        1
    }
}

fn attachment(lease: LeaseId, key: &[u8]) -> Box<[u8]> {
    let mut order = Vec::with_capacity(8 + key.len());
    order.extend_from_slice(&lease_key(lease));
    order.extend_from_slice(key);
    order.into()
}

/// All leases. A clone is a root (see [`crate::mvcc::tree`]).
#[derive(Clone, Debug, Default)]
pub struct Leases {
    leases: Tree<Lease>,
    attachments: Tree<Attachment>,
}

impl Leases {
    /// The lease with this id.
    #[must_use]
    pub fn get(&self, id: LeaseId) -> Option<&Arc<Lease>> {
        self.leases.get(&lease_key(id))
    }

    /// All leases, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.leases.iter_from(&[])
    }

    /// Number of leases.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// True without leases.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// The keys on a lease, in key order.
    pub fn keys(&self, id: LeaseId) -> impl Iterator<Item = &[u8]> {
        let order = lease_key(id);
        self.attachments.iter_from(&order).map_while(move |attachment| attachment.0.strip_prefix(&order))
    }

    pub(crate) fn insert(&mut self, stored: &StoredLease) {
        let id = LeaseId(stored.id);
        self.leases.insert(Lease {
            order: lease_key(id),
            id,
            ttl_seconds: stored.ttl_seconds,
            remaining_seconds: stored.remaining_seconds,
            incarnation: LogIndex(stored.granted_index),
        });
    }

    pub(crate) fn remove(&mut self, id: LeaseId) {
        self.leases.remove(&lease_key(id));
    }

    pub(crate) fn attach(&mut self, lease: LeaseId, key: &[u8]) {
        if lease.is_some() {
            self.attachments.insert(Attachment(attachment(lease, key)));
        }
    }

    pub(crate) fn detach(&mut self, lease: LeaseId, key: &[u8]) {
        if lease.is_some() {
            self.attachments.remove(&attachment(lease, key));
        }
    }
}
