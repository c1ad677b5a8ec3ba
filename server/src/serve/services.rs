//! What the ports serve: the services over a node, and what they ask of it.

use crate::api::cluster::ClusterService;
use crate::api::kv::KvService;
use crate::api::lease::LeaseService;
use crate::api::maintenance::MaintenanceService;
use crate::api::watch::WatchService;
use crate::grpc_layer::{GrpcLayer, LeaderProbe, Limits};
use crate::http::{AccessRules, Alarm, Endpoints, HealthSource, Versions, client_router, grpc_health_service};
use crate::node::Node;
use crate::trouble::Unanswered;
use crate::version::{CLUSTER_VERSION, ETCD_VERSION};
use crate::watch::OpenGate;
use axum::Router;
use futures::future::BoxFuture;
use quorate_core::limits::REQUEST_OVERHEAD_BYTES;
use quorate_core::pb::cluster_server::ClusterServer;
use quorate_core::pb::kv_server::KvServer;
use quorate_core::pb::lease_server::LeaseServer;
use quorate_core::pb::maintenance_server::MaintenanceServer;
use quorate_core::pb::watch_server::WatchServer;
use quorate_core::pb::{AlarmType, RangeRequest};
use quorate_proto::wire::grpc_health::health_check_response::ServingStatus;
use std::sync::Arc;
use tokio::sync::watch;
use tonic::service::Routes;

/// The gRPC services of a node.
#[must_use]
pub fn routes(node: &Node, serving: watch::Receiver<ServingStatus>) -> Routes {
    // The layer has refused what is too large before a service decodes it.
    let limit = request_bytes_max(node);
    macro_rules! sized {
        ($server:ident, $service:ident) => {
            $server::new($service::new(node.clone()))
                .max_decoding_message_size(limit)
                .max_encoding_message_size(usize::MAX)
        };
    }
    let watches = WatchService::new(node.watchers.clone(), Arc::new(node.clone()), Arc::new(OpenGate));
    let watches = WatchServer::new(watches).max_decoding_message_size(limit).max_encoding_message_size(usize::MAX);
    Routes::new(sized!(KvServer, KvService))
        .add_service(watches)
        .add_service(sized!(LeaseServer, LeaseService))
        .add_service(sized!(ClusterServer, ClusterService))
        .add_service(sized!(MaintenanceServer, MaintenanceService))
        .add_service(grpc_health_service(serving))
}

/// The layer around them.
#[must_use]
pub fn layer(node: &Node) -> GrpcLayer {
    let limits = Limits {
        request_bytes_max: u32::try_from(request_bytes_max(node)).unwrap_or(u32::MAX),
        slow_unary: node.config.local.warning_unary_request_duration,
    };
    GrpcLayer::new(Arc::clone(&node.metrics), Arc::new(node.clone()), limits)
}

/// What health, metrics and version endpoints ask.
#[must_use]
pub fn endpoints(node: &Node) -> Endpoints {
    Endpoints { health: Arc::new(node.clone()), metrics: Arc::clone(&node.metrics) }
}

/// The HTTP side of a client port.
pub fn client_http(node: &Node) -> Router {
    let http = &node.config.local.http;
    let rules = AccessRules {
        hosts: http.host_whitelist.iter().cloned().collect(),
        origins: http.cors.iter().cloned().collect(),
        tls: false,
    };
    client_router(endpoints(node), rules, Router::new())
}

fn request_bytes_max(node: &Node) -> usize {
    let proposal = usize::try_from(node.config.local.limits.request_bytes_max).unwrap_or(usize::MAX);
    proposal.saturating_add(REQUEST_OVERHEAD_BYTES)
}

impl LeaderProbe for Node {
    fn has_leader(&self) -> bool {
        (**self).has_leader()
    }

    fn lost(&self) -> BoxFuture<'static, ()> {
        let node = self.clone();
        Box::pin(async move {
            let patience = 3 * node.config.cluster.election_timeout;
            let mut changes = node.consensus.changes();
            loop {
                // Seen before it is looked at, so that only what comes after wakes this up. A receiver that has seen
                // nothing is ready at once and for ever, and would keep the stream's task from doing anything else.
                changes.borrow_and_update();
                if LeaderProbe::has_leader(&node) {
                    // Ends when leadership changes; a leader that loses its quorum without a change is looked at again.
                    let _ = tokio::time::timeout(patience, changes.changed()).await;
                    continue;
                }
                tokio::time::sleep(patience).await;
                if !LeaderProbe::has_leader(&node) {
                    return;
                }
            }
        })
    }
}

impl HealthSource for Node {
    fn alarms(&self) -> Vec<Alarm> {
        let active = self.store.view().alarms.list(AlarmType::None.into());
        let alarm = |number: i32| match AlarmType::try_from(number) {
            Ok(AlarmType::Nospace) => Alarm::NoSpace,
            Ok(AlarmType::Corrupt) => Alarm::Corrupt,
            _ => Alarm::Unknown,
        };
        active.into_iter().map(|active| alarm(active.alarm)).collect()
    }

    fn has_leader(&self) -> bool {
        (**self).has_leader()
    }

    fn is_learner(&self) -> bool {
        false
    }

    fn versions(&self) -> Versions {
        let cluster = self.store.view().members.cluster_version.clone();
        Versions {
            server: ETCD_VERSION.to_owned(),
            cluster: (!cluster.is_empty()).then_some(cluster),
            storage: Some(CLUSTER_VERSION.to_owned()),
        }
    }

    fn serializable_read(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { self.probe().await.map_err(|unanswered| unanswered.to_string()) })
    }

    fn linearizable_read(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let confirmed = async {
                self.barrier().await?;
                self.probe().await
            };
            confirmed.await.map_err(|unanswered: Unanswered| unanswered.to_string())
        })
    }
}

impl Node {
    /// The read that probes make: one key at most, without its value.
    async fn probe(&self) -> Result<(), Unanswered> {
        let everything = RangeRequest {
            key: bytes::Bytes::from_static(&[0]),
            range_end: bytes::Bytes::from_static(&[0]),
            limit: 1,
            keys_only: true,
            ..RangeRequest::default()
        };
        self.store.range(everything).await.map(drop)
    }
}
