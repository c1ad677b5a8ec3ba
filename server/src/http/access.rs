//! Who may ask over plain HTTP: the host whitelist against DNS rebinding, and CORS (contract §5.5).
//!
//! Rule: the host is checked before anything else, also before OPTIONS. Over TLS the certificate has done it.
//! Left out: the check of client certificates against the gateway, which belongs to the gateway.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::reply;

/// Access rules of one listener.
#[derive(Clone, Debug)]
pub struct AccessRules {
    /// Names a `Host` header may carry, without port (`--host-whitelist`). Empty or `*` allows all.
    pub hosts: BTreeSet<String>,
    /// Origins that browsers may ask from (`--cors`). `*` allows all.
    pub origins: BTreeSet<String>,
    /// The listener speaks TLS.
    pub tls: bool,
}

impl Default for AccessRules {
    fn default() -> Self {
        Self { hosts: ["*".to_owned()].into(), origins: ["*".to_owned()].into(), tls: false }
    }
}

impl AccessRules {
    fn allows_host(&self, host: &str) -> bool {
        self.tls || self.hosts.is_empty() || self.hosts.contains("*") || self.hosts.contains(host)
    }

    /// What `Access-Control-Allow-Origin` says, if anything.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.contains("*") {
            return Some(HeaderValue::from_static("*"));
        }
        let origin = headers.get(header::ORIGIN)?;
        self.origins.contains(origin.to_str().ok()?).then(|| origin.clone())
    }
}

/// The host a request was sent to, without its port; empty if it names none.
fn host_of(request: &Request) -> &str {
    let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let host = header.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

pub(super) async fn check(State(rules): State<Arc<AccessRules>>, request: Request, next: Next) -> Response<Body> {
    let host = host_of(&request);
    if !rules.allows_host(host) {
        tracing::warn!(host, "refused a request: its host is not in --host-whitelist");
        return reply::error(
            StatusCode::MISDIRECTED_REQUEST,
            &format!(
                "This server does not answer to the host name {host:?}.\n\n\
                 Without this check, a web page could reach the server through the browser of someone who can \
                 (DNS rebinding, CVE-2018-5702).\n\
                 To allow the name, add it to the list in --host-whitelist, or use TLS."
            ),
        );
    }
    let origin = rules.allowed_origin(request.headers());
    let mut response =
        if request.method() == Method::OPTIONS { Response::new(Body::empty()) } else { next.run(request).await };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        let methods = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");
        let allowed = HeaderValue::from_static("accept, content-type, authorization");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    response
}
