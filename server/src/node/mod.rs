//! One member: what connects the API to consensus, the machine and the disk.
//!
//! ```text
//!   api ──▶ propose ──▶ raft ──▶ wal ──▶ raft ──▶ apply_loop ──▶ store (view) ──▶ watch hub ──▶ answers
//!    └────▶ read_index ─────────────────────────────▶ store
//! ```
//!
//! Rule: the node decides nothing about data (that is core's) and keeps nothing on disk (that is disk's). It orders the
//! waiting: what must be durable, applied or confirmed before whom is answered.
//!
//! * [`start`], [`stop`]: from a directory to a member that serves, and back. [`data_dir`], [`identity`]: the directory.
//! * [`propose`], [`read_index`]: the two ways a request takes.
//! * [`apply_loop`]: rounds. [`trimmer`], [`flusher`]: the background work on the store.
//! * [`leadership`], [`lease_clock`], [`expiry`], [`leases`]: who leads, and time.
//! * [`quota`]: the size limit. [`fatal`]: how a fault ends the member. [`report`]: what metrics are told.

pub mod apply_loop;
pub mod data_dir;
pub mod expiry;
pub mod fatal;
pub mod flusher;
pub mod identity;
pub mod leadership;
pub mod lease_clock;
pub mod leases;
pub mod propose;
pub mod quota;
pub mod read_index;
pub mod report;
pub mod start;
pub mod stop;
pub mod trimmer;

use crate::config::Config;
use crate::metrics::Metrics;
use crate::raft::Consensus;
use crate::store::Store;
use crate::watch::session::WatchHandle;
use fatal::Fatal;
use identity::Identity;
use lease_clock::LeaseClock;
use parking_lot::Mutex;
use propose::InFlight;
use quorate_core::pb::ResponseHeader;
use read_index::ReadIndex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A member that runs. Clones are handles to the same one.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

/// What the parts of a member share.
pub struct Inner {
    /// What it was told at start.
    pub config: Arc<Config>,
    /// Who it is.
    pub identity: Identity,
    /// What readers read.
    pub store: Arc<Store>,
    /// What orders writes.
    pub consensus: Consensus,
    /// What confirms reads.
    pub reads: ReadIndex,
    /// Where watchers register.
    pub watchers: WatchHandle,
    /// When leases end.
    pub clock: Arc<Mutex<LeaseClock>>,
    /// What dashboards see.
    pub metrics: Arc<Metrics>,
    /// How a fault ends the member.
    pub fatal: Fatal,
    pub(crate) in_flight: InFlight,
    /// True while this member is its own quorum and leads: see [`read_index`].
    pub(crate) sole_leader: Arc<AtomicBool>,
    /// The newest term this member knows; kept here because every answer carries it.
    pub(crate) term: Arc<AtomicU64>,
    pub(crate) lease_counter: AtomicU64,
    /// Unix time in seconds of the last compaction that was asked of this member; 0 before the first.
    pub(crate) compacted_at: AtomicI64,
    pub(crate) stopping: watch::Sender<bool>,
}

impl std::ops::Deref for Node {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("member", &self.identity.member_id).finish_non_exhaustive()
    }
}

impl Inner {
    /// A response header with this revision (contract §2.1).
    #[must_use]
    pub fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.identity.cluster_id,
            member_id: self.identity.member_id.0,
            revision,
            raft_term: self.term.load(Ordering::Relaxed),
        }
    }

    /// Fills in what the machine leaves open in a header.
    pub fn complete(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
    }

    /// How long a proposal or a barrier may take: 5 s and two election timeouts (contract §2.2).
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.config.cluster.election_timeout
    }

    /// True once the member has begun to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Resolves when the member begins to stop.
    pub async fn stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives in the node, so an error means that it is gone altogether.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// True when a leader is known that a quorum has confirmed lately.
    #[must_use]
    pub fn has_leader(&self) -> bool {
        if self.sole_leader.load(Ordering::Acquire) {
            return true;
        }
        let status = self.consensus.status();
        let confirmed = !status.is_leader
            || status.quorum_acked_ago.is_some_and(|ago| ago < self.config.cluster.election_timeout * 2);
        status.leader.is_some() && confirmed
    }
}
