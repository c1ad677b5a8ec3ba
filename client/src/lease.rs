//! Leases (contract 2.10).
//!
//! A lease is kept alive by whoever says so: [`KeepAlive`] sends one request per call and holds no timer. How often to
//! ask is up to the caller; a third of the granted time to live is usual.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use crate::{
    ClientError,
    api::{
        LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
        LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
        lease_client::LeaseClient,
    },
    call::Calls,
};

/// Requests that may wait on one keep-alive stream. Each caller waits for its answer, so one is in flight.
const KEEP_ALIVES_WAITING_MAX: usize = 1;

/// Calls of the Lease service.
#[derive(Debug, Clone)]
pub struct Lease {
    stub: LeaseClient<Channel>,
    calls: Calls,
}

impl Lease {
    pub(crate) fn new(channel: Channel, calls: Calls) -> Self {
        let stub = LeaseClient::new(channel).max_decoding_message_size(usize::MAX);
        Self { stub, calls }
    }

    /// Grants a lease of `ttl` seconds. Id 0 lets the server choose.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn grant(&self, request: LeaseGrantRequest) -> Result<LeaseGrantResponse, ClientError> {
        let answer = self.stub.clone().lease_grant(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Ends a lease and deletes its keys.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such lease, else as [`Lease::grant`].
    pub async fn revoke(&self, id: i64) -> Result<LeaseRevokeResponse, ClientError> {
        let request = self.calls.unary(LeaseRevokeRequest { id });
        Ok(self.stub.clone().lease_revoke(request).await?.into_inner())
    }

    /// Tells how long a lease has left. A time to live of -1 means that there is no such lease.
    ///
    /// # Errors
    ///
    /// As [`Lease::grant`].
    pub async fn time_to_live(&self, request: LeaseTimeToLiveRequest) -> Result<LeaseTimeToLiveResponse, ClientError> {
        let answer = self.stub.clone().lease_time_to_live(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Lists the ids of all leases.
    ///
    /// # Errors
    ///
    /// As [`Lease::grant`].
    pub async fn leases(&self) -> Result<LeaseLeasesResponse, ClientError> {
        let request = self.calls.unary(LeaseLeasesRequest {});
        Ok(self.stub.clone().lease_leases(request).await?.into_inner())
    }

    /// Opens a stream and keeps lease `id` alive once. The same stream may then serve any lease.
    ///
    /// # Errors
    ///
    /// As [`KeepAlive::renew`].
    pub async fn keep_alive(&self, id: i64) -> Result<(KeepAlive, LeaseKeepAliveResponse), ClientError> {
        let (requests, waiting) = mpsc::channel(KEEP_ALIVES_WAITING_MAX);
        // A server may send nothing, not even headers, before it has read a request: the first one goes in before.
        send(&requests, id).await?;
        let request = self.calls.stream(ReceiverStream::new(waiting));
        let responses = self.stub.clone().lease_keep_alive(request).await?.into_inner();
        let mut stream = KeepAlive { requests, responses };
        let first = stream.answer().await?;
        Ok((stream, first))
    }
}

/// An open keep-alive stream. Dropping it closes the stream; leases live on until they expire.
#[derive(Debug)]
pub struct KeepAlive {
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    responses: Streaming<LeaseKeepAliveResponse>,
}

impl KeepAlive {
    /// Renews lease `id`. A time to live of 0 or less in the answer means that the lease is gone.
    ///
    /// # Errors
    ///
    /// [`ClientError::StreamEnded`] or the status with which the server ended the stream.
    pub async fn renew(&mut self, id: i64) -> Result<LeaseKeepAliveResponse, ClientError> {
        send(&self.requests, id).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<LeaseKeepAliveResponse, ClientError> {
        self.responses.message().await?.ok_or(ClientError::StreamEnded)
    }
}

async fn send(requests: &mpsc::Sender<LeaseKeepAliveRequest>, id: i64) -> Result<(), ClientError> {
    let request = LeaseKeepAliveRequest { id };
    requests.send(request).await.map_err(|_| ClientError::StreamEnded)
}
