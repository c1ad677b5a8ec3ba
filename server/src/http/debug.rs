//! `/metrics` for Prometheus, and `/debug/vars` for people (contract §5.4).
//!
//! Both are made on a thread that may block: they read `/proc` and write a lot of text.

use axum::body::Body;
use axum::extract::State;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use super::Endpoints;
use super::reply;
use crate::metrics::{Metrics, Sample, TEXT_CONTENT_TYPE, fd_limit, memory_bytes};

/// Scrapes that may be in progress. One is made at a time; a few may wait; more are refused with 503.
const SCRAPES_MAX: i64 = 8;

/// A scrape in progress.
struct InFlight<'a>(&'a Metrics);

impl<'a> InFlight<'a> {
    fn enter(metrics: &'a Metrics) -> Option<Self> {
        let this = Self(metrics);
        metrics.scrapes.in_flight.inc();
        (metrics.scrapes.in_flight.get() <= SCRAPES_MAX).then_some(this)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.scrapes.in_flight.dec();
    }
}

pub(super) async fn metrics(State(endpoints): State<Endpoints>) -> Response<Body> {
    let metrics = &endpoints.metrics;
    let Some(_in_flight) = InFlight::enter(metrics) else {
        metrics.scrapes.refused.inc();
        let text = format!("More than {SCRAPES_MAX} scrapes at once; try again later.");
        return reply::error(StatusCode::SERVICE_UNAVAILABLE, &text);
    };
    let rendering = std::sync::Arc::clone(metrics);
    let text = match tokio::task::spawn_blocking(move || rendering.render()).await {
        Ok(text) => text,
        Err(error) => Err(error.to_string()),
    };
    match text {
        Ok(text) => {
            metrics.scrapes.ok.inc();
            reply::content(StatusCode::OK, HeaderValue::from_static(TEXT_CONTENT_TYPE), text)
        }
        Err(reason) => {
            metrics.scrapes.failed.inc();
            tracing::error!(reason, "cannot render /metrics");
            reply::error(StatusCode::INTERNAL_SERVER_ERROR, &reason)
        }
    }
}

pub(super) async fn vars(method: Method, State(endpoints): State<Endpoints>) -> Response<Body> {
    if let Some(refusal) = reply::refuse_unless_get(&method) {
        return refusal;
    }
    let metrics = endpoints.metrics;
    match tokio::task::spawn_blocking(move || vars_text(metrics.sample())).await {
        Ok(text) => reply::content(StatusCode::OK, HeaderValue::from_static("application/json; charset=utf-8"), text),
        Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Go's shape of this page: one variable a line. `memstats` has the one field that means something here, the bytes
/// obtained from the system.
fn vars_text(sample: Option<Sample>) -> String {
    let cmdline: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let memory = memory_bytes().map_or(0, |(_, resident_bytes)| resident_bytes);
    let mut lines = vec![
        format!("\"cmdline\": {}", json!(cmdline)),
        format!("\"file_descriptor_limit\": {}", fd_limit().unwrap_or(u64::MAX)),
        format!("\"memstats\": {}", json!({ "Sys": memory })),
    ];
    if let Some(sample) = sample {
        lines.push(format!("\"raft.status\": {}", raft_status(&sample)));
    }
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn raft_status(sample: &Sample) -> serde_json::Value {
    // Go's names of the roles; that a member is a candidate is not told apart from waiting for a leader.
    let role = if sample.is_leader { "StateLeader" } else { "StateFollower" };
    json!({
        "id": format!("{:x}", sample.member_id),
        "term": sample.term,
        "commit": sample.committed_index,
        "lead": format!("{:x}", sample.leader_id.unwrap_or(0)),
        "raftState": role,
        "applied": sample.applied_index,
    })
}
