//! Quorate: a drop-in replacement for etcd, as a library.

pub mod raft;
