//! What TLS a member is told to use. Reading and checking only; no certificate is opened here.

use std::path::PathBuf;

/// TLS for one side, clients or peers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsInfo {
    /// The certificate shown when others call.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The certificate shown when calling others, if a different one.
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    pub client_key_file: Option<PathBuf>,
    /// The CA certificates that others are verified with.
    pub trusted_ca_file: Option<PathBuf>,
    /// The revocation list for certificates of others.
    pub crl_file: Option<PathBuf>,
    /// Whether others must show a certificate.
    pub client_cert_auth: bool,
    /// Whether to make a certificate at start.
    pub auto_tls: bool,
    /// Common names that certificates of others may bear; empty is all.
    pub allowed_common_names: Vec<String>,
    /// Names that certificates of others may bear; empty is all.
    pub allowed_hostnames: Vec<String>,
    /// Whether the address of a caller is not compared with its certificate.
    pub skip_client_san_verification: bool,
    /// Cipher suites to allow; empty is the default set.
    pub cipher_suites: Vec<String>,
    /// The oldest version to allow; `None` leaves it to the TLS library.
    pub version_min: Option<TlsVersion>,
    /// The newest version to allow; `None` leaves it to the TLS library.
    pub version_max: Option<TlsVersion>,
    /// Years that a certificate made at start is valid.
    pub self_signed_years: u64,
}

impl TlsInfo {
    /// What here asks for protection, in the words of the flags without a `peer-` in front; `None` when nothing does.
    ///
    /// Versions and cipher suites alone ask for nothing: they say how TLS is done, not that it is.
    pub fn first_demand(&self) -> Option<&'static str> {
        [
            (self.cert_file.is_some(), "cert-file"),
            (self.key_file.is_some(), "key-file"),
            (self.client_cert_file.is_some(), "client-cert-file"),
            (self.client_key_file.is_some(), "client-key-file"),
            (self.client_cert_auth, "client-cert-auth"),
            (self.trusted_ca_file.is_some(), "trusted-ca-file"),
            (self.auto_tls, "auto-tls"),
            (self.crl_file.is_some(), "crl-file"),
            (!self.allowed_common_names.is_empty(), "cert-allowed-cn"),
            (!self.allowed_hostnames.is_empty(), "cert-allowed-hostname"),
        ]
        .into_iter()
        .find_map(|(demanded, name)| demanded.then_some(name))
    }
}

/// A TLS version that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

impl TlsVersion {
    /// Reads `TLS1.2`, `TLS1.3` or nothing. The error is etcd's text.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        match text {
            "" => Ok(None),
            "TLS1.2" => Ok(Some(Self::V12)),
            "TLS1.3" => Ok(Some(Self::V13)),
            _ => Err(format!("unexpected TLS version {text:?} (must be one of: TLS1.2, TLS1.3)")),
        }
    }
}

/// The cipher suites that Go knows by name, and so etcd accepts; the last two are older spellings.
const CIPHER_SUITES: [&str; 27] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
];

/// Refuses a cipher suite that etcd does not know.
pub(super) fn check_cipher_suites(names: &[String]) -> Result<(), String> {
    match names.iter().find(|name| !CIPHER_SUITES.contains(&name.as_str())) {
        Some(name) => Err(format!("unexpected TLS cipher suite {name:?}")),
        None => Ok(()),
    }
}
