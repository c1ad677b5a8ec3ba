//! The messages that travel: etcd's v3 API, and what Quorate's members write for one another.
//!
//! The .proto files in `etcd/` and `internal/` are compiled by `build.rs`, without `protoc`, into two Rust views:
//!
//! - [`api`]: the API as published, with client stubs. For everything that asks.
//! - [`wire`]: the same bytes, with server stubs, for everything that answers. Here `RangeResponse.kvs`,
//!   `PutResponse.prev_kv`, `DeleteRangeResponse.prev_kvs` and `WatchResponse.events` are already encoded
//!   `mvccpb.KeyValue`s and `mvccpb.Event`s, so that a key-value is encoded once and then only passed on.
//!
//! [`internal`] holds the log command and stored rows. It builds on the requests of [`wire`].
//!
//! Rule: what one view encodes, the other decodes and encodes to the same bytes, whatever the fields hold.
//! Fields that our files do not know are dropped.
//!
//! Names follow Rust: field `TTL` is `ttl`, `peerURLs` is `peer_urls`. All bytes fields are [`bytes::Bytes`], which share
//! the buffer they were decoded from. An enum field is an `i32`, so that unknown numbers survive.
//!
//! Left out: etcd's own log and snapshot records, which belong to whoever reads an etcd data directory, and the options
//! that say since when a field exists, which do not change the wire.

pub mod codec;

/// The published API with client stubs, such as `etcdserverpb::kv_client::KvClient`.
///
/// Documentation of messages and fields comes from `etcd/*.proto`.
pub mod api {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        reason = "generated; documented in the .proto files where a name does not say it"
    )]

    /// Users, roles and permissions.
    pub mod authpb {
        include!(concat!(env!("OUT_DIR"), "/api/authpb.rs"));
    }
    /// The client API.
    pub mod etcdserverpb {
        include!(concat!(env!("OUT_DIR"), "/api/etcdserverpb.rs"));
    }
    /// The standard gRPC health service.
    pub mod grpc_health {
        include!(concat!(env!("OUT_DIR"), "/api/grpc.health.v1.rs"));
    }
    /// Leases as etcd stores them.
    pub mod leasepb {
        include!(concat!(env!("OUT_DIR"), "/api/leasepb.rs"));
    }
    /// Members as etcd's log describes them.
    pub mod membershippb {
        include!(concat!(env!("OUT_DIR"), "/api/membershippb.rs"));
    }
    /// Key-values and events.
    pub mod mvccpb {
        include!(concat!(env!("OUT_DIR"), "/api/mvccpb.rs"));
    }
    /// Elections.
    pub mod v3electionpb {
        include!(concat!(env!("OUT_DIR"), "/api/v3electionpb.rs"));
    }
    /// Locks.
    pub mod v3lockpb {
        include!(concat!(env!("OUT_DIR"), "/api/v3lockpb.rs"));
    }
}

/// The same format with server stubs, such as `etcdserverpb::kv_server::Kv`, and with key-values and events as
/// encoded bytes in the four fields named at the top of this crate.
///
/// Documentation of messages and fields comes from `etcd/*.proto` and `internal/*.proto`.
pub mod wire {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::pedantic,
        reason = "generated; documented in the .proto files where a name does not say it"
    )]

    /// Users, roles and permissions.
    pub mod authpb {
        include!(concat!(env!("OUT_DIR"), "/wire/authpb.rs"));
    }
    /// The client API, and etcd's log envelope.
    pub mod etcdserverpb {
        include!(concat!(env!("OUT_DIR"), "/wire/etcdserverpb.rs"));
    }
    /// The standard gRPC health service.
    pub mod grpc_health {
        include!(concat!(env!("OUT_DIR"), "/wire/grpc.health.v1.rs"));
    }
    /// Leases as etcd stores them.
    pub mod leasepb {
        include!(concat!(env!("OUT_DIR"), "/wire/leasepb.rs"));
    }
    /// Members as etcd's log describes them.
    pub mod membershippb {
        include!(concat!(env!("OUT_DIR"), "/wire/membershippb.rs"));
    }
    /// Key-values and events, typed: what goes into the bytes fields is encoded from these.
    pub mod mvccpb {
        include!(concat!(env!("OUT_DIR"), "/wire/mvccpb.rs"));
    }
    /// Elections.
    pub mod v3electionpb {
        include!(concat!(env!("OUT_DIR"), "/wire/v3electionpb.rs"));
    }
    /// Locks.
    pub mod v3lockpb {
        include!(concat!(env!("OUT_DIR"), "/wire/v3lockpb.rs"));
    }

    // Generated code finds other packages by their depth, so this one sits as deep as its package name.
    pub(crate) mod quorate {
        pub mod internal {
            include!(concat!(env!("OUT_DIR"), "/wire/quorate.internal.rs"));
        }
    }
}

/// The replicated command and the rows kept beside the log. Documented in `internal/command.proto`.
pub use wire::quorate::internal;

/// The published API as an encoded `google.protobuf.FileDescriptorSet`, without comments: what a JSON gateway needs
/// to know about names and types.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/etcd.fds"));
