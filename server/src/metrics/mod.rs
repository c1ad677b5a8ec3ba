//! Everything this member counts, under the names that etcd's dashboards and alerts read (contract §8).
//!
//! One [`Metrics`] holds one registry and a typed handle for every metric. Names, types, labels and buckets are the
//! contract; help texts are ours.
//!
//! Rules:
//! - A metric without labels is present from the start with 0. One with labels appears when first used.
//! - Counting costs an atomic addition. Labels are never looked up per request.
//! - What is a state (sizes, revisions, roles) is read once per scrape from a [`MetricsSource`], without waiting.
//! - Nothing is invented: `go_*` is absent. See `docs/compatibility.md`.

mod constant;
mod disk;
mod grpc;
mod mvcc;
mod network;
mod own;
mod process;
mod register;
mod sample;
mod server;

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use prometheus::{Encoder, IntCounter, IntGauge, Registry, TextEncoder};

pub use disk::DiskMetrics;
pub use grpc::{CLIENT_VERSIONS_MAX, GrpcMetrics};
pub use mvcc::{MvccMetrics, WatchMetrics};
pub use network::{NetworkMetrics, PeerMetrics, StreamSide, TransferMetrics};
pub use own::OwnMetrics;
pub use sample::{MetricsSource, Sample};
pub use server::{Op, ServerMetrics};

pub(crate) use grpc::code_name;
pub(crate) use process::{fd_limit, memory_bytes};

/// Content type of [`Metrics::render`].
pub const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What decides which metrics exist.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    /// The version told to clients, `major.minor.patch`.
    pub server_version: String,
    /// `--metrics=extensive`: adds the histogram of gRPC handling times.
    pub extensive: bool,
}

/// All metrics of one member. Made once, shared by reference.
pub struct Metrics {
    registry: Registry,
    /// The member.
    pub server: ServerMetrics,
    /// The store.
    pub mvcc: MvccMetrics,
    /// Sending to watchers.
    pub watch: WatchMetrics,
    /// Log, engine, snapshots.
    pub disk: DiskMetrics,
    /// Clients and peers.
    pub network: NetworkMetrics,
    /// gRPC calls.
    pub grpc: GrpcMetrics,
    /// What only Quorate has.
    pub own: OwnMetrics,
    pub(crate) scrapes: ScrapeMetrics,
    process: process::ProcessMetrics,
    source: OnceLock<Arc<dyn MetricsSource>>,
    /// One scrape at a time: sampled values are set and rendered as one.
    scraping: Mutex<()>,
}

/// Scrapes of `/metrics` itself.
#[derive(Debug)]
pub(crate) struct ScrapeMetrics {
    pub(crate) in_flight: IntGauge,
    pub(crate) ok: IntCounter,
    pub(crate) failed: IntCounter,
    pub(crate) refused: IntCounter,
}

impl Metrics {
    /// Creates and registers everything.
    pub fn new(options: &MetricsOptions) -> Self {
        let registry = Registry::new();
        let r = register::Register(&registry);
        constant::register(&r);
        let scrapes =
            r.counters("promhttp_metric_handler_requests_total", "Scrapes of the metrics, by HTTP code.", &["code"]);
        Self {
            server: ServerMetrics::new(&r, &options.server_version),
            mvcc: MvccMetrics::new(&r),
            watch: WatchMetrics::new(&r),
            disk: DiskMetrics::new(&r),
            network: NetworkMetrics::new(&r),
            grpc: GrpcMetrics::new(&r, options.extensive),
            own: OwnMetrics::new(&r),
            scrapes: ScrapeMetrics {
                in_flight: r.gauge("promhttp_metric_handler_requests_in_flight", "Scrapes being served."),
                ok: scrapes.with_label_values(&["200"]),
                failed: scrapes.with_label_values(&["500"]),
                refused: scrapes.with_label_values(&["503"]),
            },
            process: process::ProcessMetrics::new(&r),
            source: OnceLock::new(),
            scraping: Mutex::new(()),
            registry,
        }
    }

    /// Says where the state of the member is read. Before that, sampled metrics are 0. Only the first call counts.
    pub fn set_source(&self, source: Arc<dyn MetricsSource>) {
        let _ = self.source.set(source);
    }

    /// The state of the member now, `None` before a source is set.
    pub fn sample(&self) -> Option<Sample> {
        self.source.get().map(|source| source.sample())
    }

    /// All metrics as Prometheus text, format 0.0.4. Takes a millisecond or two; not for a thread that serves requests.
    ///
    /// # Errors
    ///
    /// A sentence for the operator if the text could not be made.
    pub fn render(&self) -> Result<Vec<u8>, String> {
        let _scraping = self.scraping.lock();
        self.process.refresh();
        if let Some(sample) = self.sample() {
            self.server.set(&sample);
            self.mvcc.set(&sample);
            self.own.set(&sample);
        }
        let mut text = Vec::with_capacity(192 * 1024);
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .map_err(|error| format!("the metrics could not be written as text: {error}"))?;
        Ok(text)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
