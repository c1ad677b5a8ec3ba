//! Names that etcd's own server shows and never moves: its proxy's, and those of a store it no longer has.
//!
//! Rule: nothing can set them. They are here because dashboards and etcd's tests ask for the names (§8.2).
//! Left out: the old store's labelled counters, which have no samples before they are used, and never are.

use super::register::Register;

pub(super) fn register(r: &Register<'_>) {
    let proxy = "Always 0: this server is not etcd's gRPC proxy.";
    r.gauge("etcd_grpc_proxy_cache_hits_total", proxy);
    r.gauge("etcd_grpc_proxy_cache_keys_total", proxy);
    r.gauge("etcd_grpc_proxy_cache_misses_total", proxy);
    r.counter("etcd_grpc_proxy_events_coalescing_total", proxy);
    r.gauge("etcd_grpc_proxy_watchers_coalescing_total", proxy);

    let store = "Always 0: the store of etcd's version 2 API does not exist.";
    r.counter("etcd_debugging_store_expires_total", store);
    r.counter("etcd_debugging_store_watch_requests_total", store);
    r.gauge("etcd_debugging_store_watchers", store);

    let bbolt = "Always 0: a phase of committing to bbolt, which is not the engine here.";
    for phase in ["rebalance", "spill", "write"] {
        let name = format!("etcd_debugging_disk_backend_commit_{phase}_duration_seconds");
        r.histogram(&name, bbolt, super::register::SECONDS);
    }
}
