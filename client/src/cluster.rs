//! Members (contract 2.16).
//!
//! Left out so far: changing the membership.

use tonic::transport::Channel;

use crate::{
    ClientError,
    api::{MemberListRequest, MemberListResponse, cluster_client::ClusterClient},
    call::Calls,
};

/// Calls of the Cluster service.
#[derive(Debug, Clone)]
pub struct Cluster {
    stub: ClusterClient<Channel>,
    calls: Calls,
}

impl Cluster {
    pub(crate) fn new(channel: Channel, calls: Calls) -> Self {
        // A large range is a caller's choice: the limit on what may arrive is the server's.
        let stub = ClusterClient::new(channel).max_decoding_message_size(usize::MAX);
        Self { stub, calls }
    }

    /// Lists the members.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn member_list(&self, request: MemberListRequest) -> Result<MemberListResponse, ClientError> {
        let answer = self.stub.clone().member_list(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }
}
