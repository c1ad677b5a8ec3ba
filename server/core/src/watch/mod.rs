//! Who hears of which change, and when.
//!
//! A *watcher* wants the changes of a key or a range from some revision on. Many watchers share a *stream*: one client
//! call with one outgoing queue. The [`hub::Hub`] knows all of them and is driven from outside: it is told of each applied
//! round, of requests, and of queues that have room again, and it offers responses to the queues. It never waits.
//!
//! The rules (contract §2.9):
//!
//! 1. Per watcher, changes arrive in revision order, each once, without a gap, and a revision is never split over two
//!    responses.
//! 2. A watcher that cannot be served this way is told so (compacted) and hears nothing more.
//! 3. The revision of a progress response is not above what all watchers it speaks for were offered before it.
//! 4. Nothing a watcher does or leaves undone costs the writer anything.
//!
//! How: a watcher that keeps up is *synced* and gets each revision as it is applied. One whose queue is full, or that asks
//! for the past, is *behind*: it has a next revision and is served in larger pieces, from the most recent changes in
//! memory ([`recent`]) or from the store ([`catch_up`]), until its next revision is the hub's. Both sources answer in the
//! same shape, a [`catch_up::Chunk`], and the hub alone decides by the watcher's next revision what it is still to hear.
//!
//! * [`range`], [`range_index`], [`interest`]: which watchers want a key.
//! * [`slab`]: compact storage with keys that do not outlive their entry.
//! * [`stream`]: the watcher ids of one stream.
//! * [`response`]: what the hub says. [`fragment`]: large responses in pieces.
//! * [`recent`]: the last changes, with their encoded events.
//! * [`catch_up`]: reading history from the store, away from the hub.
//! * [`hub`]: the watchers and their states; [`publish`], [`resume`] and [`progress`] are its three kinds of work.
//!
//! Left out: time, queues, tasks, permissions and gRPC, which are the server's.

pub mod catch_up;
pub mod fragment;
pub mod hub;
pub mod interest;
pub mod interval;
pub mod progress;
pub mod publish;
pub mod range;
pub mod range_index;
pub mod recent;
pub mod response;
pub mod resume;
pub mod slab;
pub mod stream;

use crate::storage::Rows;

/// Where the hub reads values from before a change, and up to where they are compacted away.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The values.
    pub rows: &'a dyn Rows,
    /// The compaction floor of a view that the caller holds during the call, so that rows above it cannot go.
    pub compact_revision: i64,
}
