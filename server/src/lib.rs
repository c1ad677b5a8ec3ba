//! Quorate, a drop-in replacement for etcd: the server as a library.
//!
//! This crate connects: it reads the configuration, opens the disk, runs the consensus and serves the API. What a
//! request does to the data is decided in `quorate-core`; how it is kept is decided in `quorate-disk`.

pub mod config;
pub mod grpc_layer;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod version;
