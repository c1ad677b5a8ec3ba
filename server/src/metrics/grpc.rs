//! gRPC calls by method and code, as Go's Prometheus interceptor counts them (§8.3), and by client version.
//!
//! Rule: the samples of every listed method and code exist from the start with 0, and a call only touches handles.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus::{Histogram, IntCounter, IntCounterVec};
use tonic::Code;

use super::register::Register;
use crate::grpc_layer::methods::{METHODS, MethodId};

/// Most client versions that get a sample of their own. The text is the client's, so it must be bounded; when full,
/// further versions are counted as `other`.
pub const CLIENT_VERSIONS_MAX: usize = 64;

/// Codes by number, in Go's spelling.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// A code as Go prints it.
pub(crate) fn code_name(code: Code) -> &'static str {
    CODES[code as i32 as usize]
}

/// The counters of one method.
#[derive(Debug)]
pub(crate) struct MethodMetrics {
    /// Calls begun.
    pub(crate) started: IntCounter,
    /// Messages from clients.
    pub(crate) received: IntCounter,
    /// Messages to clients.
    pub(crate) sent: IntCounter,
    handled: [IntCounter; CODES.len()],
    /// Seconds per call, with `--metrics=extensive`.
    pub(crate) handling_seconds: Option<Histogram>,
}

impl MethodMetrics {
    pub(crate) fn handled(&self, code: Code) -> &IntCounter {
        &self.handled[code as i32 as usize]
    }
}

/// Calls of one client version.
#[derive(Debug)]
struct Version {
    name: Box<str>,
    unary: OnceLock<IntCounter>,
    stream: OnceLock<IntCounter>,
}

impl Version {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.into(), unary: OnceLock::new(), stream: OnceLock::new() })
    }
}

/// All gRPC counters.
#[derive(Debug)]
pub struct GrpcMetrics {
    methods: Vec<MethodMetrics>,
    requests: IntCounterVec,
    /// Versions seen so far. Readers share it; a new version replaces the list under `adding`.
    versions: ArcSwap<Vec<Arc<Version>>>,
    adding: Mutex<()>,
}

impl GrpcMetrics {
    pub(super) fn new(r: &Register<'_>, extensive: bool) -> Self {
        let labels = ["grpc_type", "grpc_service", "grpc_method"];
        let started = r.counters("grpc_server_started_total", "Calls begun.", &labels);
        let received = r.counters("grpc_server_msg_received_total", "Messages from clients.", &labels);
        let sent = r.counters("grpc_server_msg_sent_total", "Messages to clients.", &labels);
        let handled = r.counters(
            "grpc_server_handled_total",
            "Calls ended, by code.",
            &["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
        );
        let handling = extensive.then(|| {
            r.histograms_default("grpc_server_handling_seconds", "Seconds from begin to end of calls.", &labels)
        });
        let methods = METHODS
            .iter()
            .map(|m| {
                let labels = [m.kind.name(), m.service, m.name];
                MethodMetrics {
                    started: started.with_label_values(&labels),
                    received: received.with_label_values(&labels),
                    sent: sent.with_label_values(&labels),
                    handled: CODES.map(|code| handled.with_label_values(&[labels[0], labels[1], labels[2], code])),
                    handling_seconds: handling.as_ref().map(|family| family.with_label_values(&labels)),
                }
            })
            .collect();
        let requests = r.counters(
            "etcd_server_client_requests_total",
            "Requests by client version.",
            &["type", "client_api_version"],
        );
        let versions = ArcSwap::from_pointee(vec![Version::new("unknown")]);
        Self { methods, requests, versions, adding: Mutex::new(()) }
    }

    pub(crate) fn method(&self, id: MethodId) -> &MethodMetrics {
        &self.methods[id.index()]
    }

    /// Counts a request. `version` is what the client says of itself, `None` if it says nothing.
    pub(crate) fn client_request(&self, version: Option<&str>, stream: bool) {
        let name = version.unwrap_or("unknown");
        let versions = self.versions.load();
        match versions.iter().find(|v| &*v.name == name) {
            Some(version) => self.count(version, stream),
            None => self.count(&self.add_version(name), stream),
        }
    }

    fn count(&self, version: &Version, stream: bool) {
        let (handle, kind) = if stream { (&version.stream, "stream") } else { (&version.unary, "unary") };
        handle.get_or_init(|| self.requests.with_label_values(&[kind, &version.name])).inc();
    }

    fn add_version(&self, name: &str) -> Arc<Version> {
        let _adding = self.adding.lock();
        let versions = self.versions.load_full();
        let name = if versions.len() < CLIENT_VERSIONS_MAX { name } else { "other" };
        if let Some(known) = versions.iter().find(|v| &*v.name == name) {
            return Arc::clone(known);
        }
        let added = Version::new(name);
        let mut versions = versions.to_vec();
        versions.push(Arc::clone(&added));
        self.versions.store(Arc::new(versions));
        added
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use prometheus::core::Collector;

    use super::*;

    #[test]
    fn a_client_that_invents_versions_fills_one_sample() {
        let metrics = GrpcMetrics::new(&Register(&Registry::new()), false);
        for i in 0..10 * CLIENT_VERSIONS_MAX {
            metrics.client_request(Some(&format!("3.7.{i}")), false);
            metrics.client_request(None, true);
        }
        let families = metrics.requests.collect();
        // "unknown" for streams, the versions that had room, and "other".
        assert_eq!(families[0].get_metric().len(), CLIENT_VERSIONS_MAX + 1);
        let count = |kind, version| metrics.requests.with_label_values(&[kind, version]).get();
        assert_eq!(count("stream", "unknown"), 10 * CLIENT_VERSIONS_MAX as u64);
        assert_eq!(count("unary", "3.7.0"), 1);
        assert_eq!(count("unary", "other"), (10 * CLIENT_VERSIONS_MAX - (CLIENT_VERSIONS_MAX - 1)) as u64);
    }

    #[test]
    fn codes_have_gos_names() {
        for (number, name) in
            [(0, "OK"), (1, "Canceled"), (4, "DeadlineExceeded"), (8, "ResourceExhausted"), (16, "Unauthenticated")]
        {
            assert_eq!(code_name(Code::from_i32(number)), name);
        }
        // A number from the future is Unknown to tonic, so it has a name too.
        assert_eq!(code_name(Code::from_i32(99)), "Unknown");
    }
}
