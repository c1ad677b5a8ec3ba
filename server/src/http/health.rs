//! `/health`, the older probe: one verdict with a reason (contract §5.2).
//!
//! Order: alarms that are not excluded, then a leader, then a read. The first that fails is the reason.

use axum::body::Body;
use axum::extract::{Query, State};
use http::{Method, Response, StatusCode};

use super::reply;
use super::{Alarm, Endpoints, HealthSource};

pub(super) async fn health(
    method: Method,
    State(endpoints): State<Endpoints>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response<Body> {
    if let Some(refusal) = reply::refuse_unless_get(&method) {
        return refusal;
    }
    let excluded = |alarm: Alarm| query.iter().any(|(key, value)| key == "exclude" && value == alarm.name());
    // As in etcd the first value counts if the key is repeated.
    let serializable = query.iter().find(|(key, _)| key == "serializable").is_some_and(|(_, value)| value == "true");

    match verdict(&*endpoints.health, excluded, serializable).await {
        Ok(()) => {
            endpoints.metrics.server.health_successes.inc();
            reply::plain(body("true", ""))
        }
        Err(reason) => {
            endpoints.metrics.server.health_failures.inc();
            tracing::warn!(reason, "answering /health with false");
            reply::error(StatusCode::SERVICE_UNAVAILABLE, &body("false", &reason))
        }
    }
}

async fn verdict(
    source: &dyn HealthSource,
    excluded: impl Fn(Alarm) -> bool,
    serializable: bool,
) -> Result<(), String> {
    if let Some(alarm) = source.alarms().into_iter().find(|alarm| !excluded(*alarm)) {
        return Err(format!("ALARM {}", alarm.name()));
    }
    if !serializable && !source.has_leader() {
        return Err("RAFT NO LEADER".to_owned());
    }
    let read = if serializable { source.serializable_read().await } else { source.linearizable_read().await };
    read.map_err(|text| format!("RANGE ERROR:{text}"))
}

fn body(health: &str, reason: &str) -> String {
    format!(r#"{{"health":"{health}","reason":{}}}"#, serde_json::Value::from(reason))
}
