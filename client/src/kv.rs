//! Keys, values and transactions (contract 2.3 to 2.8).

use tonic::transport::Channel;

use crate::{
    ClientError, Pieces,
    api::{
        CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
        RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse, kv_client::KvClient,
    },
    call::Calls,
};

/// Calls of the KV service.
#[derive(Debug, Clone)]
pub struct Kv {
    stub: KvClient<Channel>,
    calls: Calls,
}

impl Kv {
    pub(crate) fn new(channel: Channel, calls: Calls) -> Self {
        // A large range is a caller's choice: the limit on what may arrive is the server's.
        let stub = KvClient::new(channel).max_decoding_message_size(usize::MAX);
        Self { stub, calls }
    }

    /// Reads one key or a range at one revision, linearizably unless `serializable` is set.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, ClientError> {
        let answer = self.stub.clone().range(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Reads a range in pieces. Servers older than 3.7 answer `Unimplemented`.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection. Either may also end the stream later.
    pub async fn range_stream(&self, request: RangeRequest) -> Result<Pieces<RangeStreamResponse>, ClientError> {
        let answer = self.stub.clone().range_stream(self.calls.stream(request)).await?;
        Ok(Pieces::new(answer.into_inner()))
    }

    /// Writes one key. The header's revision is the key's new `mod_revision`.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn put(&self, request: PutRequest) -> Result<PutResponse, ClientError> {
        let answer = self.stub.clone().put(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Deletes one key or a range.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn delete_range(&self, request: DeleteRangeRequest) -> Result<DeleteRangeResponse, ClientError> {
        let answer = self.stub.clone().delete_range(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Compares, then runs one of two lists of operations at one revision.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, ClientError> {
        let answer = self.stub.clone().txn(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }

    /// Forgets history below a revision.
    ///
    /// # Errors
    ///
    /// Whatever the server refused with, or a lost connection.
    pub async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse, ClientError> {
        let answer = self.stub.clone().compact(self.calls.unary(request)).await?;
        Ok(answer.into_inner())
    }
}
