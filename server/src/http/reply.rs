//! The few kinds of answers that all endpoints share, with the bodies and headers that probes and scripts know.

use axum::body::Body;
use http::{HeaderValue, Method, Response, StatusCode, header};

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer with a body and its type.
pub(super) fn content(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// 200 with plain text.
pub(super) fn plain(body: impl Into<Body>) -> Response<Body> {
    content(StatusCode::OK, PLAIN, body)
}

/// 200 with JSON.
pub(super) fn json(body: impl Into<Body>) -> Response<Body> {
    content(StatusCode::OK, HeaderValue::from_static("application/json"), body)
}

/// A failure: plain text, a newline after it, and no guessing of another type.
pub(super) fn error(status: StatusCode, text: &str) -> Response<Body> {
    nosniff(content(status, PLAIN, format!("{text}\n")))
}

/// Forbids the reader to guess a type other than the one given.
pub(super) fn nosniff(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The refusal of any method but GET, if it is another.
pub(super) fn refuse_unless_get(method: &Method) -> Option<Response<Body>> {
    (method != Method::GET).then(|| {
        let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        response
    })
}

/// 404 as Go's server words it.
pub(super) async fn not_found() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "404 page not found")
}
