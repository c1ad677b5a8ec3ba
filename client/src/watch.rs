//! Watches (contract 2.9).
//!
//! A [`Watcher`] is one stream. It starts with one watch and may carry more; answers are told apart by their watch id.
//!
//! Rule: every response the server sends is yielded, in order, cancellations and progress included. Only the answer to
//! the first create request is taken out, by [`Watch::start`].
//!
//! Left out so far: opening a broken stream again where it stopped, and joining fragments.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::{
    ClientError,
    api::{
        WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
        watch_client::WatchClient, watch_request::RequestUnion,
    },
    call::Calls,
};

/// Requests that may wait to be sent on one stream. A caller that asks faster than the server reads waits here.
const REQUESTS_WAITING_MAX: usize = 64;

/// Calls of the Watch service.
#[derive(Debug, Clone)]
pub struct Watch {
    stub: WatchClient<Channel>,
    calls: Calls,
}

impl Watch {
    pub(crate) fn new(channel: Channel, calls: Calls) -> Self {
        let stub = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
        Self { stub, calls }
    }

    /// Opens a stream with one watch on it and waits until the server has created it.
    ///
    /// A start that was compacted is not refused here: the server creates the watch and then cancels it, with
    /// `compact_revision` set.
    ///
    /// # Errors
    ///
    /// [`ClientError::WatchRefused`] when the server would not create it, else the status or a lost connection.
    pub async fn start(&self, create: WatchCreateRequest) -> Result<Watcher, ClientError> {
        let (requests, waiting) = mpsc::channel(REQUESTS_WAITING_MAX);
        let control = WatchControl { requests };
        // A server may send nothing, not even headers, before it has read a request: the first one goes in before.
        control.create(create).await?;
        let request = self.calls.stream(ReceiverStream::new(waiting));
        let responses = self.stub.clone().watch(request).await?.into_inner();
        let mut watcher = Watcher { control, responses, id: 0, revision: 0 };
        let created = watcher.next().await?;
        if created.canceled {
            return Err(ClientError::WatchRefused { reason: created.cancel_reason });
        }
        watcher.id = created.watch_id;
        watcher.revision = created.header.map_or(0, |header| header.revision);
        Ok(watcher)
    }
}

/// An open watch stream. Dropping it ends all its watches.
#[derive(Debug)]
pub struct Watcher {
    control: WatchControl,
    responses: Streaming<WatchResponse>,
    id: i64,
    revision: i64,
}

impl Watcher {
    /// The id of the watch that the stream was opened with.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The store's revision when that watch was created.
    #[must_use]
    pub fn created_revision(&self) -> i64 {
        self.revision
    }

    /// A handle to ask on this stream while another task reads it.
    #[must_use]
    pub fn control(&self) -> WatchControl {
        self.control.clone()
    }

    /// The next response of any watch on the stream.
    ///
    /// # Errors
    ///
    /// [`ClientError::StreamEnded`] or the status with which the server ended the stream.
    pub async fn next(&mut self) -> Result<WatchResponse, ClientError> {
        self.responses.message().await?.ok_or(ClientError::StreamEnded)
    }
}

/// Asks on an open watch stream. The stream stays open only while its [`Watcher`] lives.
#[derive(Debug, Clone)]
pub struct WatchControl {
    requests: mpsc::Sender<WatchRequest>,
}

impl WatchControl {
    /// Starts another watch on the stream.
    ///
    /// # Errors
    ///
    /// [`ClientError::StreamEnded`]. A refusal arrives as a response.
    pub async fn create(&self, create: WatchCreateRequest) -> Result<(), ClientError> {
        self.send(RequestUnion::CreateRequest(create)).await
    }

    /// Ends one watch. Its last response says `canceled`.
    ///
    /// # Errors
    ///
    /// [`ClientError::StreamEnded`].
    pub async fn cancel(&self, watch_id: i64) -> Result<(), ClientError> {
        self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id })).await
    }

    /// Asks how far the stream has come. The server answers, with watch id -1, only when all its watches are up to date.
    ///
    /// # Errors
    ///
    /// [`ClientError::StreamEnded`].
    pub async fn request_progress(&self) -> Result<(), ClientError> {
        self.send(RequestUnion::ProgressRequest(WatchProgressRequest {})).await
    }

    async fn send(&self, request: RequestUnion) -> Result<(), ClientError> {
        let request = WatchRequest { request_union: Some(request) };
        self.requests.send(request).await.map_err(|_| ClientError::StreamEnded)
    }
}
