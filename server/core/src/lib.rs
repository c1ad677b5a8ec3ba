//! Quorate decides here.
//!
//! This crate is the replicated state machine: what a log entry does to keys, leases and alarms, what a read sees, and
//! which watcher hears what. It is a function of state and input alone. It knows no file, clock, thread, socket or source
//! of randomness, and it iterates nothing whose order could differ between members; its `clippy.toml` enforces that.
//!
//! Start reading at [`machine`], then [`mvcc`], then [`watch`].

pub mod check;
pub mod error;
pub mod ids;
pub mod limits;
pub mod machine;
pub mod mvcc;
pub mod storage;
pub mod testing;
pub mod watch;

pub use quorate_proto::wire::etcdserverpb as pb;
pub use quorate_proto::wire::mvccpb;
