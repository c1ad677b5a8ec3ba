//! What every call has in common: metadata on the way out, errors and streamed answers on the way back.

use std::{sync::Arc, time::Duration};

use tonic::{
    Request, Streaming,
    metadata::{Ascii, MetadataKey, MetadataValue},
};

use crate::{ClientError, Options};

/// Dresses requests. Shared by all handles of a client.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    metadata: Arc<[(MetadataKey<Ascii>, MetadataValue<Ascii>)]>,
    request_timeout: Option<Duration>,
}

impl Calls {
    pub(crate) fn new(options: &Options) -> Result<Self, ClientError> {
        let metadata = options.metadata.iter().map(|(name, value)| {
            let key = MetadataKey::from_bytes(name.as_bytes())
                .map_err(|_| ClientError::Invalid(format!("`{name}` is not a metadata name")))?;
            let value = MetadataValue::try_from(value.as_str())
                .map_err(|_| ClientError::Invalid(format!("metadata `{name}` holds bytes that cannot be sent")))?;
            Ok((key, value))
        });
        Ok(Self { metadata: metadata.collect::<Result<_, ClientError>>()?, request_timeout: options.request_timeout })
    }

    /// A request with one answer, under the client's time limit.
    pub(crate) fn unary<T>(&self, message: T) -> Request<T> {
        let mut request = self.stream(message);
        if let Some(timeout) = self.request_timeout {
            request.set_timeout(timeout);
        }
        request
    }

    /// A request that opens a stream, which may last.
    pub(crate) fn stream<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (key, value) in &*self.metadata {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        request
    }
}

/// An answer that arrives in pieces. Dropping it ends the call.
#[derive(Debug)]
pub struct Pieces<T> {
    stream: Streaming<T>,
}

impl<T> Pieces<T> {
    pub(crate) fn new(stream: Streaming<T>) -> Self {
        Self { stream }
    }

    /// The next piece, `None` after the last.
    ///
    /// # Errors
    ///
    /// The status with which the server ended the stream.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        Ok(self.stream.message().await?)
    }
}
