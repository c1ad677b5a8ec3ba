//! What this build cannot honour and must not ignore.
//!
//! Most flags that have no effect yet earn a notice and the member starts. That would be wrong for the ones here: a
//! member that was told to encrypt would serve plain text, and one that was told to find its cluster would invent one.
//! They are refused, after every other check, so that whoever gets this answer knows that the rest is right.

use super::error::ConfigError;
use super::model::Config;
use super::settings::Settings;

/// Refuses a configuration that would be dangerous without what is missing.
pub(super) fn check(settings: &Settings, config: &Config) -> Result<(), ConfigError> {
    let cause = tls_demand(config)
        .map(|flag| {
            format!(
                "TLS is not available in this build yet, and {flag} asks for it. This member does not serve in plain \
                 text what is meant to be encrypted: remove the TLS flags and the https:// and unixs:// URLs, or use a \
                 build with TLS"
            )
        })
        .or_else(|| {
            discovery_demand(settings).map(|flag| {
                format!(
                    "discovery is not available in this build, and --{flag} asks for it. Without it this member would \
                     start a cluster of its own: list the members in --initial-cluster instead"
                )
            })
        })
        .or_else(|| {
            (settings.text("proxy") != "off").then(|| {
                "--proxy asks for the v2 proxy, which is gone since 3.6: point clients at the members instead"
                    .to_owned()
            })
        });
    cause.map_or(Ok(()), |cause| Err(ConfigError::refused(cause)))
}

/// The first flag that asks for TLS here. Advertised URLs do not: a proxy in front of the member may speak TLS for it.
fn tls_demand(config: &Config) -> Option<String> {
    let local = &config.local;
    let urls = &local.urls;
    let lists = [
        ("listen-client-urls", &urls.listen_client),
        ("listen-client-http-urls", &urls.listen_client_http),
        ("listen-metrics-urls", &urls.listen_metrics),
        ("listen-peer-urls", &urls.listen_peer),
    ];
    lists
        .into_iter()
        .find_map(|(flag, list)| list.iter().find(|url| url.is_tls()).map(|url| format!("--{flag}={url}")))
        .or_else(|| local.client_tls.first_demand().map(client_flag))
        .or_else(|| local.peer_tls.first_demand().map(|name| format!("--peer-{name}")))
}

/// Two client flags are named differently from their peer twins.
fn client_flag(name: &str) -> String {
    match name {
        "crl-file" | "cert-allowed-hostname" => format!("--client-{name}"),
        "cert-allowed-cn" => "client-transport-security: allowed-cn".to_owned(),
        _ => format!("--{name}"),
    }
}

fn discovery_demand(settings: &Settings) -> Option<&'static str> {
    if !settings.words("discovery-endpoints").is_empty() {
        return Some("discovery-endpoints");
    }
    ["discovery-srv", "discovery"].into_iter().find(|name| !settings.text(name).is_empty())
}
