//! `/version`, which tools read before they speak gRPC (contract §5.4).

use axum::body::Body;
use axum::extract::State;
use http::{Method, Response};

use super::Endpoints;
use super::reply;

/// Versions as `major.minor.patch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The version of etcd this server answers as.
    pub server: String,
    /// What the cluster agreed on, `None` before it has.
    pub cluster: Option<String>,
    /// The version of the stored data, `None` before it is known.
    pub storage: Option<String>,
}

pub(super) async fn version(method: Method, State(endpoints): State<Endpoints>) -> Response<Body> {
    if let Some(refusal) = reply::refuse_unless_get(&method) {
        return refusal;
    }
    let versions = endpoints.health.versions();
    let cluster = versions.cluster.as_deref().unwrap_or("not_decided");
    let storage = versions.storage.as_deref().unwrap_or("unknown");
    // Written by hand to keep the order of the fields.
    let text = |version: &str| serde_json::Value::from(version).to_string();
    reply::json(format!(
        r#"{{"etcdserver":{},"etcdcluster":{},"storage":{}}}"#,
        text(&versions.server),
        text(cluster),
        text(storage)
    ))
}
