//! A whole member, as a program that embeds one sees it: start, ports, a channel of its own, stop.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let member = quorate::Member::start(quorate::config::Config::single_node("./data")).await?;
//! let channel = member.channel();          // a gRPC channel without a socket
//! # drop(channel);
//! member.stop().await?;
//! # Ok(()) }
//! ```

use crate::config::Config;
use crate::http::{metrics_router, peer_router};
use crate::metrics::{Metrics, MetricsOptions};
use crate::node::Node;
use crate::node::start::{Started, start};
use crate::serve::connection::Connections;
use crate::serve::files;
use crate::serve::listen::{Socket, SocketOptions};
use crate::serve::services;
use crate::serve::split::Split;
use crate::version::ETCD_VERSION;
use hyper_util::rt::TokioIo;
use quorate_core::error::Fault;
use quorate_proto::wire::grpc_health::health_check_response::ServingStatus;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// How long calls that are inside may take to finish when the member stops.
const DRAIN: Duration = Duration::from_secs(5);
/// Bytes in the pipe under an embedded channel.
const PIPE_BYTES: usize = 1 << 20;

/// A member that serves.
pub struct Member {
    started: Started,
    connections: Connections,
    listeners: JoinSet<()>,
    stop: watch::Sender<bool>,
    serving: watch::Sender<ServingStatus>,
    service: Split,
    client_addresses: Vec<SocketAddr>,
    metrics_addresses: Vec<SocketAddr>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("client_addresses", &self.client_addresses).finish_non_exhaustive()
    }
}

impl Member {
    /// Starts a member and returns when it serves: everything committed is applied, and the ports are open.
    ///
    /// # Errors
    /// A fault whose sentence says what is in the way and what to do about it.
    pub async fn start(config: Config) -> Result<Self, Fault> {
        let config = Arc::new(config);
        let extensive = config.local.metrics == crate::config::MetricsLevel::Extensive;
        let metrics = Arc::new(Metrics::new(&MetricsOptions { server_version: ETCD_VERSION.to_owned(), extensive }));
        let started = start(Arc::clone(&config), Arc::clone(&metrics)).await?;
        let node = started.node.clone();
        metrics.set_source(Arc::new(node.scraped()));
        for (gate, enabled) in config.cluster.gates.iter() {
            metrics.server.set_feature(gate.name, gate.stage.as_str(), enabled);
        }

        let (serving, health) = watch::channel(ServingStatus::Serving);
        let urls = &config.local.urls;
        let http = services::client_http(&node);
        let shared_port = urls.listen_client_http.is_empty();
        let service =
            Split::both(&services::layer(&node), services::routes(&node, health), shared_port.then(|| http.clone()));
        let mut ports = Ports::new(&config);
        let client_addresses = ports.open(&urls.listen_client, &service, true).await?;
        ports.open(&urls.listen_client_http, &Split::http(http), true).await?;
        let endpoints = services::endpoints(&node);
        ports.open(&urls.listen_peer, &Split::http(peer_router(endpoints.clone())), true).await?;
        let metrics_addresses =
            ports.open(&urls.listen_metrics, &Split::http(metrics_router(endpoints)), false).await?;
        for address in &client_addresses {
            tracing::info!(address = %address, "serving client traffic insecurely; this is strongly discouraged!");
        }
        tracing::info!("ready to serve client requests");
        let Ports { connections, listeners, stop, .. } = ports;
        Ok(Self { started, connections, listeners, stop, serving, service, client_addresses, metrics_addresses })
    }

    /// The node, for what the API does not offer.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.started.node
    }

    /// Where clients connect; the numbers of ports given as 0 are the ones chosen.
    #[must_use]
    pub fn client_addresses(&self) -> &[SocketAddr] {
        &self.client_addresses
    }

    /// Where metrics and probes are served besides the client ports.
    #[must_use]
    pub fn metrics_addresses(&self) -> &[SocketAddr] {
        &self.metrics_addresses
    }

    /// A gRPC channel to this member that uses no socket. It connects when first used.
    #[must_use]
    pub fn channel(&self) -> Channel {
        let (connections, service) = (self.connections.clone(), self.service.clone());
        let connector = tower::service_fn(move |_: http::Uri| {
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            connections.serve(far, service.clone(), None);
            async move { Ok::<_, std::io::Error>(TokioIo::new(near)) }
        });
        Endpoint::from_static("http://member.invalid").connect_with_connector_lazy(connector)
    }

    /// Resolves when a fault has ended the member's work; call [`Member::stop`] then.
    pub async fn failed(&self) -> Fault {
        self.started.node.fatal.reported().await
    }

    /// Stops: nobody new gets in, calls inside finish, everything is flushed, and the directory is free.
    ///
    /// # Errors
    /// The fault that ended the member, or one of the last flush.
    pub async fn stop(mut self) -> Result<(), Fault> {
        self.serving.send_replace(ServingStatus::NotServing);
        self.stop.send_replace(true);
        while self.listeners.join_next().await.is_some() {}
        self.started.begin_stop();
        self.connections.end(DRAIN).await;
        let Self { started, service, connections, .. } = self;
        drop((service, connections));
        started.finish_stop().await
    }
}

/// Listeners as they are opened.
struct Ports {
    connections: Connections,
    listeners: JoinSet<()>,
    stop: watch::Sender<bool>,
    options: SocketOptions,
    /// How many clients may be connected. Files that a connection does not take are left for the store and the log.
    places: Arc<Semaphore>,
}

impl Ports {
    fn new(config: &Config) -> Self {
        let settings = config.local.connections;
        Self {
            connections: Connections::new(config),
            listeners: JoinSet::new(),
            stop: watch::Sender::new(false),
            places: Arc::new(Semaphore::new(files::connections_max())),
            options: SocketOptions { reuse_port: settings.reuse_port, reuse_address: settings.reuse_address },
        }
    }

    async fn open(
        &mut self,
        urls: &[crate::config::url::Url],
        service: &Split,
        limited: bool,
    ) -> Result<Vec<SocketAddr>, Fault> {
        let mut addresses = Vec::new();
        for url in urls {
            let socket = Socket::bind(url, self.options).await?;
            addresses.extend(socket.address());
            let places = limited.then(|| Arc::clone(&self.places));
            let accept = socket.accept(service.clone(), self.connections.clone(), places, self.stop.subscribe());
            self.listeners.spawn(accept);
        }
        Ok(addresses)
    }
}
