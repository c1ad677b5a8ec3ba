//! Who may connect, and what is said over the wire.
//!
//! The TLS rows are read in full so that every deployment's flags parse. While this build has no TLS, giving one of
//! them is refused in `unavailable.rs`; serving plain text instead would be worse than not serving.

use super::flag;
use crate::config::flag::{Effect, Flag, Kind};

const TLS: &str = "TLS is not in this build";

pub(super) const FLAGS: &[Flag] = &[
    flag("cert-file", Kind::Text, "", Effect::NotYet(TLS), "Certificate shown to clients."),
    flag("key-file", Kind::Text, "", Effect::NotYet(TLS), "Key of the certificate shown to clients."),
    flag(
        "client-cert-file",
        Kind::Text,
        "",
        Effect::NotYet(TLS),
        "Certificate this member shows when it calls its own client port.",
    ),
    flag("client-key-file", Kind::Text, "", Effect::NotYet(TLS), "Key of --client-cert-file."),
    flag("client-cert-auth", Kind::Bool, "false", Effect::NotYet(TLS), "Require and verify certificates of clients."),
    flag("client-crl-file", Kind::Text, "", Effect::NotYet(TLS), "Revocation list for certificates of clients."),
    flag(
        "client-cert-allowed-hostname",
        Kind::List,
        "",
        Effect::NotYet(TLS),
        "Names that certificates of clients may bear.",
    ),
    flag("trusted-ca-file", Kind::Text, "", Effect::NotYet(TLS), "CA certificates that clients are verified with."),
    flag("auto-tls", Kind::Bool, "false", Effect::NotYet(TLS), "Make a certificate for the client port."),
    flag("peer-cert-file", Kind::Text, "", Effect::NotYet(TLS), "Certificate shown to other members."),
    flag("peer-key-file", Kind::Text, "", Effect::NotYet(TLS), "Key of the certificate shown to other members."),
    flag(
        "peer-client-cert-file",
        Kind::Text,
        "",
        Effect::NotYet(TLS),
        "Certificate this member shows when it calls others, if a different one.",
    ),
    flag("peer-client-key-file", Kind::Text, "", Effect::NotYet(TLS), "Key of --peer-client-cert-file."),
    flag(
        "peer-client-cert-auth",
        Kind::Bool,
        "false",
        Effect::NotYet(TLS),
        "Require and verify certificates of other members.",
    ),
    flag(
        "peer-trusted-ca-file",
        Kind::Text,
        "",
        Effect::NotYet(TLS),
        "CA certificates that other members are verified with.",
    ),
    flag("peer-auto-tls", Kind::Bool, "false", Effect::NotYet(TLS), "Make a certificate for the peer port."),
    flag(
        "self-signed-cert-validity",
        Kind::Uint,
        "1",
        Effect::NotYet(TLS),
        "Years that a certificate made here is valid.",
    ),
    flag("peer-crl-file", Kind::Text, "", Effect::NotYet(TLS), "Revocation list for certificates of other members."),
    flag(
        "peer-cert-allowed-cn",
        Kind::List,
        "",
        Effect::NotYet(TLS),
        "Common names that certificates of other members may bear.",
    ),
    flag(
        "peer-cert-allowed-hostname",
        Kind::List,
        "",
        Effect::NotYet(TLS),
        "Names that certificates of other members may bear.",
    ),
    flag(
        "peer-skip-client-san-verification",
        Kind::Bool,
        "false",
        Effect::NotYet(TLS),
        "Do not compare the address of a peer with its certificate.",
    ),
    flag("cipher-suites", Kind::List, "", Effect::NotYet(TLS), "Cipher suites to allow, by their TLS names."),
    flag(
        "tls-min-version",
        Kind::Text,
        "TLS1.2",
        Effect::NotYet(TLS),
        "Oldest TLS version to allow: TLS1.2 or TLS1.3.",
    ),
    flag(
        "tls-max-version",
        Kind::Text,
        "",
        Effect::NotYet(TLS),
        "Newest TLS version to allow: TLS1.2, TLS1.3, or empty for no limit.",
    ),
    flag("cors", Kind::Origins, "*", Effect::Now, "Origins that browsers may call from; * is all."),
    flag("host-whitelist", Kind::Set, "*", Effect::Now, "Host names that plain HTTP requests may ask for; * is all."),
    flag(
        "auth-token",
        Kind::Text,
        "simple",
        Effect::NotYet("users and roles are not in this build"),
        "Kind of tokens: simple, or jwt with its options.",
    ),
    flag(
        "bcrypt-cost",
        Kind::Uint,
        "10",
        Effect::NotYet("users and roles are not in this build"),
        "Cost of hashing a password, 4 to 31.",
    ),
    flag(
        "auth-token-ttl",
        Kind::Uint,
        "300",
        Effect::NotYet("users and roles are not in this build"),
        "Seconds that a simple token lives without use.",
    ),
];
