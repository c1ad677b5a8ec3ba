//! Judges a configuration: etcd's checks, in etcd's order, with etcd's words (contract §6.6).
//!
//! Checks that need the network or the disk (does the name resolve, is the data directory new) are not here; see
//! `peers.rs` for the one that runs before a cluster is started.

use super::error::ConfigError;
use super::model::Config;
use super::settings::Settings;
use super::tls::{self, TlsVersion};
use super::url::{self, Url};
use super::{assemble::DEFAULT_NAME, duration::GoDuration};
use crate::logging::LogOutput;

/// The election timeout may not be longer, in milliseconds.
const ELECTION_MS_MAX: u64 = 50_000;
/// A quota above 8 GiB and requests above 10 MiB are beyond what etcd was tested with (contract §4).
const QUOTA_BYTES_ADVISED: u64 = 8 * 1024 * 1024 * 1024;
const REQUEST_BYTES_ADVISED: u64 = 10 * 1024 * 1024;

/// Refuses what etcd refuses, and adds a notice for what it warns of.
pub(super) fn validate(settings: &Settings, config: &mut Config) -> Result<(), ConfigError> {
    check(settings, config).map_err(ConfigError::refused)?;
    config.notices.extend(advice(config));
    Ok(())
}

fn check(settings: &Settings, config: &Config) -> Result<(), String> {
    if settings.text("discovery-fallback") == "proxy" {
        return Err("v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"".to_owned());
    }
    check_logging(settings, config)?;
    check_urls(config)?;
    check_bootstrap(settings)?;
    check_timing(settings)?;
    // An empty list cannot be written, so it means that listen URLs were chosen and nothing is told to clients.
    if config.local.urls.advertise_client.is_empty() {
        return Err("--advertise-client-urls is required when --listen-client-urls is set explicitly".to_owned());
    }
    if settings.bool("enable-distributed-tracing") {
        let why = match settings.int("distributed-tracing-sampling-rate") {
            ..0 => Some("tracing sampling rate must be positive"),
            1_000_001.. => Some("tracing sampling rate must be less than 1000000"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(format!("distributed tracing configurition is not valid: ({why})"));
        }
    }
    let gates = &config.cluster.gates;
    if gates.is_enabled("LeaseCheckpointPersist") && !gates.is_enabled("LeaseCheckpoint") {
        return Err(
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint".to_owned()
        );
    }
    let hash_check = settings.duration("compact-hash-check-time");
    if hash_check <= GoDuration::from_nanos(0) {
        return Err(format!("--compact-hash-check-time must be >0 (set to {hash_check})"));
    }
    check_tls(settings, config)
}

fn check_logging(settings: &Settings, config: &Config) -> Result<(), String> {
    match settings.text("logger").as_str() {
        "zap" => {}
        "capnslog" => return Err("--logger=capnslog is removed in v3.5".to_owned()),
        other => return Err(format!("unknown logger option {other:?}")),
    }
    let words = settings.words("log-outputs");
    if words.len() > 1 && words.iter().any(|word| word == "default") {
        return Err("multi logoutput for \"default\" is not supported yet".to_owned());
    }
    if settings.bool("enable-log-rotation") {
        let files = config.local.log.outputs.iter().filter(|output| matches!(output, LogOutput::File(_))).count();
        if files > 1 || (files == 0 && words.len() <= 1) {
            return Err("--log-outputs requires a single file path when --log-rotate-config-json is defined".to_owned());
        }
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&settings.text("log-rotation-config-json")) {
            return Err(format!("improperly formatted log rotation config: {error}"));
        }
    }
    Ok(())
}

fn check_urls(config: &Config) -> Result<(), String> {
    let urls = &config.local.urls;
    for listen in [&urls.listen_peer, &urls.listen_client, &urls.listen_client_http, &urls.listen_metrics] {
        listen.iter().try_for_each(Url::check_bindable)?;
    }
    urls.advertise_peer.iter().try_for_each(Url::check_dialable).map_err(|why| {
        let list = url::join(&urls.advertise_peer);
        format!("--initial-advertise-peer-urls {list:?} must be \"host:port\" ({why})")
    })?;
    urls.advertise_client.iter().try_for_each(Url::check_dialable).map_err(|why| {
        let list = url::join(&urls.advertise_client);
        format!(
            "--advertise-client-urls {list:?} must be in the format \"host:port\", \"unix:/path/to/socket\" or \
             \"unixs:/path/to/socket\" ({why})"
        )
    })?;
    match urls.listen_client_http.iter().find(|url| urls.listen_client.contains(url)) {
        // Port 0 is a different port each time.
        Some(url) if !url.authority().is_some_and(|authority| authority.ends_with(":0")) => {
            Err(format!("cannot bind both --listen-client-urls and --listen-client-http-urls on the same url {url}"))
        }
        _ => Ok(()),
    }
}

fn check_bootstrap(settings: &Settings) -> Result<(), String> {
    let endpoints = settings.words("discovery-endpoints");
    let ways = [
        !settings.text("initial-cluster").is_empty(),
        !settings.text("discovery-srv").is_empty(),
        !endpoints.is_empty(),
    ];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err("multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \
                    \"discovery-endpoints\" or \"discovery-srv\""
            .to_owned());
    }
    if settings.text("discovery-token").is_empty() != endpoints.is_empty() {
        return Err("both --discovery-token and --discovery-endpoints must be set".to_owned());
    }
    if endpoints.iter().any(|endpoint| endpoint.trim().is_empty()) {
        return Err("--discovery-endpoints must not contain empty endpoints".to_owned());
    }
    Ok(())
}

fn check_timing(settings: &Settings) -> Result<(), String> {
    let heartbeat_ms = settings.uint("heartbeat-interval");
    let election_ms = settings.uint("election-timeout");
    if heartbeat_ms == 0 {
        return Err(format!("--heartbeat-interval must be >0 (set to {heartbeat_ms}ms)"));
    }
    if election_ms == 0 {
        return Err(format!("--election-timeout must be >0 (set to {election_ms}ms)"));
    }
    if heartbeat_ms.saturating_mul(5) > election_ms {
        return Err(format!(
            "--election-timeout[{election_ms}ms] should be at least as 5 times as --heartbeat-interval[{heartbeat_ms}ms]"
        ));
    }
    if election_ms > ELECTION_MS_MAX {
        return Err(format!(
            "--election-timeout[{election_ms}ms] is too long, and should be set less than {ELECTION_MS_MAX}ms"
        ));
    }
    Ok(())
}

fn check_tls(settings: &Settings, config: &Config) -> Result<(), String> {
    let tls = &config.local.client_tls;
    if let (Some(min), Some(max)) = (tls.version_min, tls.version_max)
        && min > max
    {
        return Err(format!(
            "min version ({}) is greater than max version ({})",
            settings.text("tls-min-version"),
            settings.text("tls-max-version")
        ));
    }
    if tls.version_min == Some(TlsVersion::V13) && !tls.cipher_suites.is_empty() {
        return Err("cipher suites cannot be configured when only TLS1.3 is enabled".to_owned());
    }
    tls::check_cipher_suites(&tls.cipher_suites)
}

/// What is allowed and unwise.
fn advice(config: &Config) -> Vec<String> {
    let local = &config.local;
    let gates = &config.cluster.gates;
    let quota = config.cluster.quota_backend_bytes.map_or(0, u64::from);
    let cases = [
        (
            local.name == DEFAULT_NAME,
            "it isn't recommended to use default name, please set a value for --name: members that share it are taken \
             for one"
                .to_owned(),
        ),
        (
            gates.is_enabled("LeaseCheckpoint") && !gates.is_enabled("LeaseCheckpointPersist"),
            "lease checkpoints are enabled without LeaseCheckpointPersist: a restart forgets them".to_owned(),
        ),
        (
            quota > QUOTA_BYTES_ADVISED,
            format!("--quota-backend-bytes={quota} is above the advised maximum of {QUOTA_BYTES_ADVISED}"),
        ),
        (
            local.limits.request_bytes_max > REQUEST_BYTES_ADVISED,
            format!(
                "--max-request-bytes={} is above the advised maximum of {REQUEST_BYTES_ADVISED}",
                local.limits.request_bytes_max
            ),
        ),
        (
            local.unsafe_no_fsync,
            "--unsafe-no-fsync is set: acknowledged writes are lost when this machine fails".to_owned(),
        ),
        (
            local.log.outputs.contains(&LogOutput::Journal),
            "--log-outputs=systemd/journal is written to stderr, which systemd forwards to the journal".to_owned(),
        ),
    ];
    cases.into_iter().filter_map(|(applies, text)| applies.then_some(text)).collect()
}
