//! What the hub says to a stream.
//!
//! Rule: a response is small and shares its events: the same encoded bytes stand in the queues of all watchers that get
//! them. Everything said to one stream goes through one queue, in order; that is what makes progress trustworthy.

use bytes::Bytes;
use std::sync::Arc;

/// One response, without the ids of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Whom it is for; −1 for the stream as a whole and for a refused create.
    pub watch_id: i64,
    /// Revision of the header.
    pub revision: i64,
    /// What it says.
    pub body: Body,
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The watcher exists from now on.
    Created,
    /// The watcher was not created, and why.
    Refused(Box<str>),
    /// The watcher is gone, as its client asked.
    Canceled,
    /// The watcher gets nothing more: it wanted history below this floor.
    Compacted(i64),
    /// Nothing is missing up to the header's revision.
    Progress,
    /// Changes.
    Events {
        /// Encoded `mvccpb.Event`s in revision order, at least one.
        events: Events,
        /// May go out in pieces.
        fragment: bool,
    },
}

/// Encoded events, shared. Most responses hold one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    /// A single event.
    One(Bytes),
    /// More than one.
    Many(Arc<[Bytes]>),
}

impl Events {
    /// Events in order; nothing when there are none.
    #[must_use]
    pub fn new(mut events: Vec<Bytes>) -> Option<Self> {
        match events.len() {
            0 => None,
            1 => events.pop().map(Self::One),
            _ => Some(Self::Many(events.into())),
        }
    }

    /// The events in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Bytes] {
        match self {
            Self::One(event) => std::slice::from_ref(event),
            Self::Many(events) => events,
        }
    }

    /// Encoded bytes of all events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.as_slice().iter().map(Bytes::len).sum()
    }
}

/// The outgoing queue of one stream, as the hub sees it. Created, refused, canceled and manual progress responses answer
/// requests and are put in by the caller; events, periodic progress and compaction come through here.
pub trait Outlet {
    /// Puts a response in, or answers false when the queue is full. A queue that refused must tell the hub when it has
    /// room again ([`crate::watch::hub::Hub::room`]). A queue that nobody reads any more accepts and forgets.
    fn offer(&self, response: Response) -> bool;
}
