//! The HTTP endpoints besides gRPC: health, metrics, versions (contract §5.1 to §5.5), and the gRPC health service.
//!
//! Three routers for four kinds of listeners. Bodies, codes and headers are what probes and scripts of etcd's users
//! match. Everything is asked of a [`HealthSource`]; nothing is decided here.
//!
//! Left out: the JSON gateway, TLS, and which connection is gRPC and which is HTTP; the listeners decide that.

mod access;
mod checks;
mod debug;
mod grpc_health;
mod health;
mod reply;
mod version;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use futures::future::BoxFuture;

pub use access::AccessRules;
pub use grpc_health::{HealthService, service as grpc_health_service};
pub use version::Versions;

use crate::metrics::Metrics;

/// A condition of the whole cluster that an operator must clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The database is full.
    NoSpace,
    /// Members do not hold the same data.
    Corrupt,
    /// One that this server does not know.
    Unknown,
}

impl Alarm {
    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Alarm::NoSpace => "NOSPACE",
            Alarm::Corrupt => "CORRUPT",
            Alarm::Unknown => "UNKNOWN",
        }
    }
}

/// Answers the questions of the health endpoints. Nothing but the reads may wait.
///
/// A failed read is the text a gRPC client would get, such as `etcdserver: request timed out`.
pub trait HealthSource: Send + Sync {
    /// Alarms that are active in the cluster.
    fn alarms(&self) -> Vec<Alarm>;

    /// A leader is known now, and was heard of recently enough to be believed.
    fn has_leader(&self) -> bool;

    /// This member does not vote.
    fn is_learner(&self) -> bool;

    /// Versions to tell.
    fn versions(&self) -> Versions;

    /// Reads from this member's own data, as root.
    fn serializable_read(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Reads after a quorum agreed, as root, within the request timeout. Fails while the member starts or stops.
    fn linearizable_read(&self) -> BoxFuture<'_, Result<(), String>>;
}

/// What the endpoints need, shared by all routers of a member.
#[derive(Clone)]
pub struct Endpoints {
    /// Where health is asked.
    pub health: Arc<dyn HealthSource>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
}

/// For `--listen-client-urls` (unless separate HTTP URLs are given) and `--listen-client-http-urls`.
///
/// `more` is merged in behind the same access rules, such as the JSON gateway; it must bring no fallback.
pub fn client_router(endpoints: Endpoints, rules: AccessRules, more: Router<Endpoints>) -> Router {
    probes()
        .route("/version", any(version::version))
        .route("/debug/vars", any(debug::vars))
        .merge(more)
        .fallback(reply::not_found)
        .layer(from_fn_with_state(Arc::new(rules), access::check))
        .with_state(endpoints)
}

/// For `--listen-metrics-urls`: probes and metrics, without access rules.
pub fn metrics_router(endpoints: Endpoints) -> Router {
    probes().fallback(reply::not_found).with_state(endpoints)
}

/// For `--listen-peer-urls`: the version, without access rules.
pub fn peer_router(endpoints: Endpoints) -> Router {
    Router::new().route("/version", any(version::version)).fallback(reply::not_found).with_state(endpoints)
}

fn probes() -> Router<Endpoints> {
    checks::routes().route("/health", any(health::health)).route("/metrics", any(debug::metrics))
}
