//! The Watch service (contract §2.9).
//!
//! Rule: this file turns the hub's responses into messages and nothing else; what is said and in which order is decided
//! before. It is also where a response is cut into pieces, because only here its encoded size is known.

use crate::trouble::{Trouble, Unanswered};
use crate::watch::queue::{End, Queue};
use crate::watch::session::WatchHandle;
use crate::watch::{HeaderSource, WatchGate};
use futures::Stream;
use prost::Message;
use prost::encoding::encoded_len_varint;
use quorate_core::pb::watch_server::Watch;
use quorate_core::pb::{WatchRequest, WatchResponse};
use quorate_core::watch::fragment::piece;
use quorate_core::watch::response::{Body, Events, Response as Said};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

/// The service.
#[derive(Clone)]
pub struct WatchService {
    handle: WatchHandle,
    headers: Arc<dyn HeaderSource>,
    gate: Arc<dyn WatchGate>,
}

impl std::fmt::Debug for WatchService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchService").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl WatchService {
    /// A service on a hub.
    #[must_use]
    pub fn new(handle: WatchHandle, headers: Arc<dyn HeaderSource>, gate: Arc<dyn WatchGate>) -> Self {
        Self { handle, headers, gate }
    }

    /// Opens a stream for these requests; what it yields are the responses. The JSON gateway comes in here.
    ///
    /// # Errors
    /// What the gate refuses with.
    pub fn open(
        &self,
        metadata: &MetadataMap,
        requests: impl Stream<Item = Result<WatchRequest, Status>> + Unpin + Send + 'static,
    ) -> Result<Outgoing, Status> {
        let gate = self.gate.open(metadata)?;
        let requires_leader = metadata.get("hasleader").is_some_and(|value| value == "true");
        let queue = self.handle.queue();
        tokio::spawn(self.handle.clone().serve(requests, Arc::clone(&queue), gate, requires_leader));
        Ok(Outgoing { handle: self.handle.clone(), headers: Arc::clone(&self.headers), queue, cut: None, over: false })
    }
}

#[tonic::async_trait]
impl Watch for WatchService {
    type WatchStream = Outgoing;

    async fn watch(&self, request: Request<Streaming<WatchRequest>>) -> Result<Response<Outgoing>, Status> {
        let (metadata, _, requests) = request.into_parts();
        Ok(Response::new(self.open(&metadata, requests)?))
    }
}

/// The responses of one stream.
pub struct Outgoing {
    handle: WatchHandle,
    headers: Arc<dyn HeaderSource>,
    queue: Arc<Queue>,
    cut: Option<Cut>,
    over: bool,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("over", &self.over).finish_non_exhaustive()
    }
}

/// A response that goes out in pieces.
struct Cut {
    /// The response without events, with the mark that more follows.
    frame: WatchResponse,
    events: Events,
    /// Events that are out already.
    sent: usize,
}

impl Stream for Outgoing {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Some(cut) = self.cut.take() {
            return Poll::Ready(Some(Ok(self.next_piece(cut))));
        }
        match ready!(self.queue.poll_next(context)) {
            Ok(said) => Poll::Ready(Some(Ok(self.message(said)))),
            Err(end) => {
                self.over = true;
                Poll::Ready(status(end).map(Err))
            }
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if self.queue.abandon() {
            self.handle.metrics().streams_canceled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Outgoing {
    fn message(&mut self, said: Said) -> WatchResponse {
        let mut message = WatchResponse {
            header: Some(self.headers.header(said.revision)),
            watch_id: said.watch_id,
            ..WatchResponse::default()
        };
        match said.body {
            Body::Created => message.created = true,
            Body::Refused(reason) => {
                (message.created, message.canceled) = (true, true);
                message.cancel_reason = reason.into();
            }
            Body::Canceled => message.canceled = true,
            Body::Compacted(floor) => {
                message.canceled = true;
                message.compact_revision = floor;
            }
            Body::Progress => {}
            Body::Events { events, fragment } => {
                if fragment && self.is_too_large(&message, &events) {
                    message.fragment = true;
                    return self.next_piece(Cut { frame: message, events, sent: 0 });
                }
                message.events = events.as_slice().to_vec();
            }
        }
        message
    }

    fn is_too_large(&self, frame: &WatchResponse, events: &Events) -> bool {
        let events = events.as_slice();
        let encoded = events.iter().map(|event| 1 + encoded_len_varint(event.len() as u64) + event.len());
        events.len() > 1 && frame.encoded_len() + encoded.sum::<usize>() >= self.handle.config().fragment_bytes
    }

    fn next_piece(&mut self, mut cut: Cut) -> WatchResponse {
        let left = &cut.events.as_slice()[cut.sent..];
        let count = piece(left, cut.frame.encoded_len(), self.handle.config().fragment_bytes);
        let mut message = WatchResponse { events: left[..count].to_vec(), ..cut.frame.clone() };
        message.fragment = count < left.len();
        cut.sent += count;
        if message.fragment {
            self.cut = Some(cut);
        }
        message
    }
}

/// The status at the end of a stream; none stands for OK (contract §2.9, §3.1).
fn status(end: End) -> Option<Status> {
    match end {
        End::Finished => None,
        End::Canceled => Some(Status::cancelled("etcdserver: watch canceled")),
        End::NoLeader => Some(Unanswered::from(Trouble::NoLeader).into()),
        End::Stopped => Some(Unanswered::from(Trouble::Stopped).into()),
        End::Broken(status) => Some(status),
    }
}
