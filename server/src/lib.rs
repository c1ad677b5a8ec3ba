//! Quorate, a drop-in replacement for etcd: the server as a library.
//!
//! This crate connects: it reads the configuration, opens the disk, runs the consensus and serves the API. What a
//! request does to the data is decided in `quorate-core`; how it is kept is decided in `quorate-disk`.

pub mod api;
pub mod config;
pub mod grpc_layer;
pub mod http;
pub mod logging;
pub mod member;
pub mod metrics;
pub mod node;
pub mod raft;
pub mod serve;
pub mod store;
pub mod trouble;
pub mod version;
pub mod watch;

pub use member::Member;
