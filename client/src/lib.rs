//! A client for Quorate, and for etcd, since both speak the same API.
//!
//! [`Client::connect`] opens connections; [`Client::kv`], [`Client::watch`], [`Client::lease`], [`Client::cluster`] and
//! [`Client::maintenance`] hand out small handles with typed calls. Each handle stays on one connection, and
//! connections are dealt out in turn: a program that wants its requests spread takes several handles.
//!
//! Rule: what the server said reaches the caller unchanged. Answers are the published messages, errors keep code and
//! text, and nothing is sent twice: after a lost connection a write may or may not have happened
//! ([`ClientError::may_have_happened`]), and only the caller knows whether doing it again is harmless.
//!
//! Left out so far: TLS, authentication, watches that resume by themselves, locks and elections, and moving to another
//! member when one is lost.
//!
//! ```no_run
//! # async fn example() -> Result<(), quorate_client::ClientError> {
//! use quorate_client::{Client, Options, api::PutRequest};
//!
//! let client = Client::connect(&["127.0.0.1:2379"], Options::default()).await?;
//! let put = PutRequest { key: "a".into(), value: "1".into(), ..Default::default() };
//! let answer = client.kv().put(put).await?;
//! assert!(answer.header.is_some_and(|header| header.revision > 1));
//! # Ok(())
//! # }
//! ```

mod call;
mod cluster;
mod connect;
mod error;
mod kv;
mod lease;
mod maintenance;
mod options;
mod range;
mod watch;

pub use call::Pieces;
pub use cluster::Cluster;
pub use connect::Client;
pub use error::ClientError;
pub use kv::Kv;
pub use lease::{KeepAlive, Lease};
pub use maintenance::Maintenance;
pub use options::Options;
pub use range::prefix_end;
pub use tonic::Code;
pub use watch::{Watch, WatchControl, Watcher};

/// Requests and answers of the client API.
pub use quorate_proto::api::etcdserverpb as api;
/// Key-values and events.
pub use quorate_proto::api::mvccpb;
