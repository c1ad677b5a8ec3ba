//! An operator's calls (contract 2.11, 2.12, 2.15).
//!
//! Each speaks for the one member that answers, except alarms, which the cluster shares.

use tonic::transport::Channel;

use crate::{
    ClientError, Pieces,
    api::{
        AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, HashKvRequest, HashKvResponse,
        SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse, maintenance_client::MaintenanceClient,
    },
    call::Calls,
};

/// Calls of the Maintenance service.
#[derive(Debug, Clone)]
pub struct Maintenance {
    stub: MaintenanceClient<Channel>,
    calls: Calls,
}

impl Maintenance {
    pub(crate) fn new(channel: Channel, calls: Calls) -> Self {
        // A large range is a caller's choice: the limit on what may arrive is the server's.
        let stub = MaintenanceClient::new(channel).max_decoding_message_size(usize::MAX);
        Self { stub, calls }
    }

    /// What the member says about itself.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn status(&self, request: StatusRequest) -> Result<StatusResponse, ClientError> {
        let answer = self.stub.clone().status(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Hashes the member's store as of a revision.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn hash_kv(&self, request: HashKvRequest) -> Result<HashKvResponse, ClientError> {
        let answer = self.stub.clone().hash_kv(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Gives unused space back to the file system.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn defragment(&self, request: DefragmentRequest) -> Result<DefragmentResponse, ClientError> {
        let answer = self.stub.clone().defragment(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Lists, raises or clears alarms.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse, ClientError> {
        let answer = self.stub.clone().alarm(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// The member's database as one file, followed by its SHA-256.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection. Either may also end the stream later.
    pub async fn snapshot(&self, request: SnapshotRequest) -> Result<Pieces<SnapshotResponse>, ClientError> {
        let answer = self.stub.clone().snapshot(self.calls.stream(request)).await?;
        Ok(Pieces::new(answer.into_inner()))
    }
}
