//! The body of a request on its way in: counted, and cut off when a message is too large.
//!
//! tonic would answer OutOfRange in its own words after its own limit. Here the limit is found first and the error
//! that goes down the body is the finished status, which tonic passes on, to unary calls and to readers of streams.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use super::Shared;
use super::frames::Frames;
use super::methods::MethodId;

pin_project! {
    /// A request body that counts its messages and refuses those over the limit.
    pub struct RequestBody<B> {
        #[pin]
        inner: B,
        frames: Frames,
        shared: Arc<Shared>,
        method: MethodId,
    }
}

impl<B> RequestBody<B> {
    pub(super) fn new(inner: B, shared: Arc<Shared>, method: MethodId) -> Self {
        let frames = Frames::new(shared.limits.request_bytes_max);
        Self { inner, frames, shared, method }
    }
}

impl<B> Body for RequestBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        let frame = match ready!(this.inner.poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            match this.frames.read(data) {
                Ok(seen) => this.shared.received(*this.method, seen),
                Err(too_large) => {
                    let max = this.shared.limits.request_bytes_max;
                    return Poll::Ready(Some(Err(Status::resource_exhausted(format!(
                        "grpc: received message larger than max ({} vs. {max})",
                        too_large.bytes
                    )))));
                }
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
