//! The body of a response on its way out: counted to its last message, and ended when the leader is lost.
//!
//! Rule: a call is counted as handled exactly once. The code is that of its trailers; a call that is dropped before
//! them was given up by its client and counts as Canceled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};

use super::frames::Frames;
use super::methods::{Kind, MethodId};
use super::{Shared, no_leader};

/// A call in progress. Dropping it unfinished counts it as Canceled.
pub(super) struct Call {
    shared: Arc<Shared>,
    method: MethodId,
    started: Instant,
    sent_bytes: u64,
    finished: bool,
}

impl Call {
    pub(super) fn start(shared: Arc<Shared>, method: MethodId) -> Self {
        shared.metrics.grpc.method(method).started.inc();
        Self { shared, method, started: Instant::now(), sent_bytes: 0, finished: false }
    }

    pub(super) fn finish(&mut self, code: Code) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let counters = self.shared.metrics.grpc.method(self.method);
        counters.handled(code).inc();
        let took = self.started.elapsed();
        if let Some(seconds) = &counters.handling_seconds {
            seconds.observe(took.as_secs_f64());
        }
        let threshold = self.shared.limits.slow_unary;
        let method = self.method.method();
        if took > threshold && method.kind == Kind::Unary && !method.waits_by_design() {
            tracing::warn!(
                method = method.path,
                took = ?took,
                threshold = ?threshold,
                code = crate::metrics::code_name(code),
                sent_bytes = self.sent_bytes,
                "request took longer than the warning threshold"
            );
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.finish(Code::Cancelled);
    }
}

/// The code in headers or trailers, if they carry one.
pub(super) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

pin_project! {
    /// A response body that counts its messages. It has no content for a refusal.
    pub struct ResponseBody<B> {
        #[pin]
        inner: Option<B>,
        frames: Frames,
        call: Option<Call>,
        // Ready when the stream must end because there is no leader.
        lost: Option<BoxFuture<'static, ()>>,
    }
}

impl<B> ResponseBody<B> {
    /// For an answer whose status is in its headers.
    pub(super) fn empty() -> Self {
        Self { inner: None, frames: Frames::new(u32::MAX), call: None, lost: None }
    }

    pub(super) fn new(inner: B, call: Call, lost: Option<BoxFuture<'static, ()>>) -> Self {
        Self { inner: Some(inner), frames: Frames::new(u32::MAX), call: Some(call), lost }
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Some(lost) = this.lost
            && lost.as_mut().poll(cx).is_ready()
        {
            let status = no_leader();
            if let Some(call) = this.call {
                call.finish(status.code());
            }
            *this.lost = None;
            // Dropping what the service was sending tells it that the stream is over.
            this.inner.set(None);
            let mut trailers = HeaderMap::with_capacity(2);
            put(&status, &mut trailers);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let Some(call) = this.call else { return inner.poll_frame(cx) };
        let frame = ready!(inner.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let seen = this.frames.read(data).unwrap_or_default();
                    call.sent_bytes += seen.bytes;
                    call.shared.sent(call.method, seen);
                } else if let Some(trailers) = frame.trailers_ref() {
                    call.finish(code_of(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(_)) => call.finish(Code::Internal),
            None => call.finish(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

pin_project! {
    /// The answer in the making.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Option<F>,
        call: Option<Call>,
        refusal: Option<Status>,
        lost: Option<BoxFuture<'static, ()>>,
        method: Option<MethodId>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn refused(status: Status) -> Self {
        Self { inner: None, call: None, refusal: Some(status), lost: None, method: None }
    }

    pub(super) fn new(inner: F, call: Call, lost: Option<BoxFuture<'static, ()>>) -> Self {
        Self { inner: Some(inner), method: Some(call.method), call: Some(call), refusal: None, lost }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<http::Response<B>, E>>,
    B: Body,
{
    type Output = Result<http::Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(status) = this.refusal.take() {
            return Poll::Ready(Ok(empty_with(&status)));
        }
        if let Some(lost) = this.lost
            && lost.as_mut().poll(cx).is_ready()
        {
            let status = no_leader();
            if let Some(call) = this.call {
                call.finish(status.code());
            }
            return Poll::Ready(Ok(empty_with(&status)));
        }
        let inner = this.inner.as_pin_mut().expect("polled again only while an answer is in the making");
        let mut response = ready!(inner.poll(cx))?;
        let mut call = this.call.take().expect("an inner future comes with its call");
        if let Some(code) = code_of(response.headers()) {
            call.finish(code);
            // Listed, but nobody serves it: say so as Go does, where tonic sends no text.
            if code == Code::Unimplemented
                && !response.headers().contains_key(Status::GRPC_MESSAGE)
                && let Some(method) = this.method
            {
                let status = Status::unimplemented(format!("unknown service {}", method.method().service));
                put(&status, response.headers_mut());
            }
        } else if response.body().is_end_stream() {
            call.finish(Code::Unknown);
        }
        let lost = this.lost.take();
        Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, call, lost))))
    }
}

/// A response that is nothing but a status.
fn empty_with<B>(status: &Status) -> http::Response<ResponseBody<B>> {
    let mut response = http::Response::new(ResponseBody::empty());
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    put(status, headers);
    response
}

/// Writes a status into headers or trailers.
fn put(status: &Status, headers: &mut HeaderMap) {
    if status.add_header(headers).is_err() {
        // The text cannot be escaped into a header; the code still can.
        headers.insert(Status::GRPC_STATUS, http::HeaderValue::from(status.code() as i32));
    }
}
