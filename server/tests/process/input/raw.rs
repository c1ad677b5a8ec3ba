//! A gRPC client that sends any bytes to any path.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// The connection.
#[derive(Clone, Debug)]
pub(super) struct Raw(Channel);

impl Raw {
    pub(super) async fn connect(endpoint: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{endpoint}")).expect("an address");
        Self(endpoint.connect().await.expect("the server is ready"))
    }

    /// The connection itself, for requests that are not gRPC.
    pub(super) fn channel(&self) -> Channel {
        self.0.clone()
    }

    /// Calls a method that takes one message.
    pub(super) async fn call(&self, path: &str, message: impl Into<Bytes>) -> Result<Bytes, Status> {
        self.call_with(path, message, MetadataMap::new()).await
    }

    /// As [`Raw::call`], with metadata.
    pub(super) async fn call_with(
        &self,
        path: &str,
        message: impl Into<Bytes>,
        metadata: MetadataMap,
    ) -> Result<Bytes, Status> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await.expect("the connection is open");
        let mut request = Request::new(message.into());
        *request.metadata_mut() = metadata;
        let path = PathAndQuery::try_from(path).expect("a path");
        Ok(grpc.unary(request, path, Untouched).await?.into_inner())
    }
}

/// Messages as they are.
struct Untouched;

impl Codec for Untouched {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Untouched {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Untouched {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}
