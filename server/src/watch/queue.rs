//! What is said to one stream, in order.
//!
//! Rules:
//!
//! 1. Events, periodic progress and compaction are bounded in number and bytes; when they do not fit they are refused, and
//!    the hub is told when half of the queue is free again. One response always fits into an empty queue.
//! 2. Answers to requests are always taken. They are bounded by the permits of the session: it reads no further request
//!    while sixteen are unanswered, and a permit comes back when its answer leaves the queue.
//! 3. Once the queue has ended, nothing more comes after what is in it.

use crate::watch::metrics::WatchMetrics;
use crate::watch::signals::Signals;
use parking_lot::Mutex;
use quorate_core::limits::{WATCH_STREAM_BYTES_MAX, WATCH_STREAM_RESPONSES_MAX};
use quorate_core::watch::hub::StreamKey;
use quorate_core::watch::response::{Body, Outlet, Response};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tonic::Status;

/// What a response takes beside its events.
const RESPONSE_BYTES: usize = 64;
/// An empty queue with room for more items than this gives the room back.
const SPARE_ITEMS_MAX: usize = 16;

/// How a stream ends.
#[derive(Clone, Debug)]
pub enum End {
    /// The client ended it.
    Finished,
    /// The client went away.
    Canceled,
    /// No leader is known, and the client wants one.
    NoLeader,
    /// The member stops.
    Stopped,
    /// The client sent what is no request.
    Broken(Status),
}

impl End {
    /// What was said before is still worth sending.
    fn is_orderly(&self) -> bool {
        matches!(self, Self::Finished)
    }
}

/// A queue; the hub puts in, the response body takes out.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    /// Wakes the session when the stream has ended.
    over: Notify,
    signals: Arc<Signals>,
    metrics: Arc<WatchMetrics>,
}

#[derive(Debug, Default)]
struct Inner {
    items: VecDeque<Item>,
    bytes: usize,
    waker: Option<Waker>,
    refused: bool,
    end: Option<End>,
    end_taken: bool,
    key: Option<StreamKey>,
}

#[derive(Debug)]
struct Item {
    response: Response,
    bytes: usize,
    /// Comes back to the session when the response leaves.
    _permit: Option<OwnedSemaphorePermit>,
}

fn event_count(response: &Response) -> i64 {
    match &response.body {
        Body::Events { events, .. } => events.as_slice().len() as i64,
        _ => 0,
    }
}

fn response_bytes(response: &Response) -> usize {
    match &response.body {
        Body::Events { events, .. } => RESPONSE_BYTES + events.bytes(),
        _ => RESPONSE_BYTES,
    }
}

impl Queue {
    pub(crate) fn new(signals: Arc<Signals>, metrics: Arc<WatchMetrics>) -> Self {
        Self { inner: Mutex::default(), over: Notify::new(), signals, metrics }
    }

    /// The hub has given the stream its key.
    pub(crate) fn set_key(&self, key: StreamKey) {
        self.inner.lock().key = Some(key);
    }

    /// The stream's key, once the hub knows it.
    pub(crate) fn key(&self) -> Option<StreamKey> {
        self.inner.lock().key
    }

    /// Puts in the answer to a request.
    pub(crate) fn answer(&self, response: Response, permit: Option<OwnedSemaphorePermit>) {
        self.push(Item { bytes: response_bytes(&response), response, _permit: permit }, true);
    }

    /// Ends the stream; the first reason stays. After an orderly end what is in the queue still goes out.
    pub(crate) fn end(&self, end: End) {
        let waker = {
            let mut inner = self.inner.lock();
            if inner.end.is_some() {
                return;
            }
            if !end.is_orderly() {
                self.clear(&mut inner);
            }
            inner.end = Some(end);
            inner.waker.take()
        };
        self.over.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The response body is gone. Answers whether the stream was still going on.
    pub(crate) fn abandon(&self) -> bool {
        let going_on = {
            let mut inner = self.inner.lock();
            self.clear(&mut inner);
            inner.waker = None;
            !inner.end_taken
        };
        self.end(End::Canceled);
        going_on
    }

    /// True when the stream has ended or will when the queue is empty.
    pub(crate) fn ended(&self) -> bool {
        self.inner.lock().end.is_some()
    }

    /// Waits for the end.
    pub(crate) async fn over(&self) {
        while !self.ended() {
            self.over.notified().await;
        }
    }

    /// Takes the next response, or the end when nothing is left.
    pub(crate) fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Response, End>> {
        let mut inner = self.inner.lock();
        let Some(item) = inner.items.pop_front() else {
            if let Some(end) = inner.end.clone() {
                inner.end_taken = true;
                return Poll::Ready(Err(end));
            }
            if inner.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
                inner.waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        };
        inner.bytes -= item.bytes;
        self.metrics.pending_events.fetch_sub(event_count(&item.response), Ordering::Relaxed);
        if inner.items.is_empty() && inner.items.capacity() > SPARE_ITEMS_MAX {
            inner.items.shrink_to(SPARE_ITEMS_MAX);
        }
        let roomy = inner.items.len() <= WATCH_STREAM_RESPONSES_MAX / 2 && inner.bytes <= WATCH_STREAM_BYTES_MAX / 2;
        if inner.refused && roomy {
            inner.refused = false;
            if let Some(key) = inner.key {
                self.signals.room(key);
            }
        }
        Poll::Ready(Ok(item.response))
    }

    fn push(&self, item: Item, always: bool) -> bool {
        let waker = {
            let mut inner = self.inner.lock();
            if inner.end.is_some() {
                return true;
            }
            let full = inner.items.len() >= WATCH_STREAM_RESPONSES_MAX
                || inner.bytes + item.bytes > WATCH_STREAM_BYTES_MAX && !inner.items.is_empty();
            if full && !always {
                inner.refused = true;
                return false;
            }
            inner.bytes += item.bytes;
            self.metrics.pending_events.fetch_add(event_count(&item.response), Ordering::Relaxed);
            inner.items.push_back(item);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    fn clear(&self, inner: &mut Inner) {
        let events: i64 = inner.items.iter().map(|item| event_count(&item.response)).sum();
        self.metrics.pending_events.fetch_sub(events, Ordering::Relaxed);
        inner.items = VecDeque::new();
        inner.bytes = 0;
    }
}

/// A queue as the hub and its outgoing end share it.
#[derive(Clone, Debug)]
pub(crate) struct SharedQueue(pub(crate) Arc<Queue>);

impl Outlet for SharedQueue {
    fn offer(&self, response: Response) -> bool {
        self.0.push(Item { bytes: response_bytes(&response), response, _permit: None }, false)
    }
}

impl SharedQueue {
    /// Offers the answer to a request that may be left unanswered.
    pub(crate) fn offer_answer(&self, response: Response, permit: Option<OwnedSemaphorePermit>) -> bool {
        self.0.push(Item { bytes: response_bytes(&response), response, _permit: permit }, false)
    }
}
