//! Every RPC this server offers, by path: what to count it as, and how to tell a method from a stranger.
//!
//! Rule: the table is the published API, no more and no less. A test compares it with the descriptors.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Who sends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One request, one response.
    Unary,
    /// One request, a stream of responses.
    ServerStream,
    /// Streams both ways.
    BidiStream,
}

impl Kind {
    /// As label `grpc_type` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unary => "unary",
            Kind::ServerStream => "server_stream",
            Kind::BidiStream => "bidi_stream",
        }
    }
}

/// One RPC.
#[derive(Debug)]
pub struct Method {
    /// Full name of the service, such as `etcdserverpb.KV`.
    pub service: &'static str,
    /// Name of the method.
    pub name: &'static str,
    /// What `:path` says, `/service/name`.
    pub path: &'static str,
    /// Shape of the call.
    pub kind: Kind,
}

impl Method {
    /// The call is meant to wait for others, so that taking long says nothing about this server.
    pub(crate) fn waits_by_design(&self) -> bool {
        matches!((self.service, self.name), ("v3lockpb.Lock", "Lock") | ("v3electionpb.Election", "Campaign"))
    }
}

/// A row of [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodId(u8);

impl MethodId {
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The row itself.
    pub fn method(self) -> &'static Method {
        &METHODS[self.index()]
    }
}

macro_rules! method {
    ($service:literal, $name:literal, $kind:ident) => {
        Method { service: $service, name: $name, path: concat!("/", $service, "/", $name), kind: Kind::$kind }
    };
}

/// All RPCs (contract §1.1).
pub static METHODS: &[Method] = &[
    method!("etcdserverpb.KV", "Range", Unary),
    method!("etcdserverpb.KV", "RangeStream", ServerStream),
    method!("etcdserverpb.KV", "Put", Unary),
    method!("etcdserverpb.KV", "DeleteRange", Unary),
    method!("etcdserverpb.KV", "Txn", Unary),
    method!("etcdserverpb.KV", "Compact", Unary),
    method!("etcdserverpb.Watch", "Watch", BidiStream),
    method!("etcdserverpb.Lease", "LeaseGrant", Unary),
    method!("etcdserverpb.Lease", "LeaseRevoke", Unary),
    method!("etcdserverpb.Lease", "LeaseKeepAlive", BidiStream),
    method!("etcdserverpb.Lease", "LeaseTimeToLive", Unary),
    method!("etcdserverpb.Lease", "LeaseLeases", Unary),
    method!("etcdserverpb.Cluster", "MemberAdd", Unary),
    method!("etcdserverpb.Cluster", "MemberRemove", Unary),
    method!("etcdserverpb.Cluster", "MemberUpdate", Unary),
    method!("etcdserverpb.Cluster", "MemberList", Unary),
    method!("etcdserverpb.Cluster", "MemberPromote", Unary),
    method!("etcdserverpb.Maintenance", "Alarm", Unary),
    method!("etcdserverpb.Maintenance", "Status", Unary),
    method!("etcdserverpb.Maintenance", "Defragment", Unary),
    method!("etcdserverpb.Maintenance", "Hash", Unary),
    method!("etcdserverpb.Maintenance", "HashKV", Unary),
    method!("etcdserverpb.Maintenance", "Snapshot", ServerStream),
    method!("etcdserverpb.Maintenance", "MoveLeader", Unary),
    method!("etcdserverpb.Maintenance", "Downgrade", Unary),
    method!("etcdserverpb.Auth", "AuthEnable", Unary),
    method!("etcdserverpb.Auth", "AuthDisable", Unary),
    method!("etcdserverpb.Auth", "AuthStatus", Unary),
    method!("etcdserverpb.Auth", "Authenticate", Unary),
    method!("etcdserverpb.Auth", "UserAdd", Unary),
    method!("etcdserverpb.Auth", "UserGet", Unary),
    method!("etcdserverpb.Auth", "UserList", Unary),
    method!("etcdserverpb.Auth", "UserDelete", Unary),
    method!("etcdserverpb.Auth", "UserChangePassword", Unary),
    method!("etcdserverpb.Auth", "UserGrantRole", Unary),
    method!("etcdserverpb.Auth", "UserRevokeRole", Unary),
    method!("etcdserverpb.Auth", "RoleAdd", Unary),
    method!("etcdserverpb.Auth", "RoleGet", Unary),
    method!("etcdserverpb.Auth", "RoleList", Unary),
    method!("etcdserverpb.Auth", "RoleDelete", Unary),
    method!("etcdserverpb.Auth", "RoleGrantPermission", Unary),
    method!("etcdserverpb.Auth", "RoleRevokePermission", Unary),
    method!("v3lockpb.Lock", "Lock", Unary),
    method!("v3lockpb.Lock", "Unlock", Unary),
    method!("v3electionpb.Election", "Campaign", Unary),
    method!("v3electionpb.Election", "Proclaim", Unary),
    method!("v3electionpb.Election", "Leader", Unary),
    method!("v3electionpb.Election", "Observe", ServerStream),
    method!("v3electionpb.Election", "Resign", Unary),
    method!("grpc.health.v1.Health", "Check", Unary),
    method!("grpc.health.v1.Health", "Watch", ServerStream),
];

static BY_PATH: LazyLock<HashMap<&'static str, MethodId>> = LazyLock::new(|| {
    METHODS.iter().enumerate().map(|(i, m)| (m.path, MethodId(u8::try_from(i).expect("under 256 methods")))).collect()
});

/// Finds a method by its path.
pub fn find(path: &str) -> Option<MethodId> {
    BY_PATH.get(path).copied()
}

/// Why there is no method at this path, in the words Go's gRPC uses (contract §3.2).
pub fn unknown(path: &str) -> String {
    let name = path.strip_prefix('/').unwrap_or(path);
    match name.rsplit_once('/') {
        None => format!("malformed method name: {path:?}"),
        Some((service, method)) if METHODS.iter().any(|m| m.service == service) => {
            format!("unknown method {method} for service {service}")
        }
        Some((service, _)) => format!("unknown service {service}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    #[test]
    fn the_table_is_the_published_api() {
        let set = FileDescriptorSet::decode(quorate_proto::FILE_DESCRIPTOR_SET).expect("built with the crate");
        let mut published = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let kind = match (method.client_streaming(), method.server_streaming()) {
                        (false, false) => Kind::Unary,
                        (false, true) => Kind::ServerStream,
                        (true, true) => Kind::BidiStream,
                        (true, false) => panic!("{} is a kind no metric has a name for", method.name()),
                    };
                    published.push((format!("/{}.{}/{}", file.package(), service.name(), method.name()), kind.name()));
                }
            }
        }
        let mut ours: Vec<_> = METHODS.iter().map(|m| (m.path.to_owned(), m.kind.name())).collect();
        published.sort();
        ours.sort();
        assert_eq!(ours, published);
    }

    #[test]
    fn strangers_are_told_apart_as_go_does() {
        for (path, text) in [
            ("/etcdserverpb.KV/Nope", "unknown method Nope for service etcdserverpb.KV"),
            ("/etcdserverpb.Nope/Range", "unknown service etcdserverpb.Nope"),
            ("/a/b/c", "unknown service a/b"),
            ("/Range", "malformed method name: \"/Range\""),
            ("/", "malformed method name: \"/\""),
        ] {
            assert_eq!(find(path), None);
            assert_eq!(unknown(path), text);
        }
        assert_eq!(find("/etcdserverpb.KV/Put").map(|id| id.method().name), Some("Put"));
    }
}
