//! Turns what was said into a configuration, field by field, and derives what was left open.
//!
//! No value is judged here beyond reading it; `validate.rs` does that. What etcd derives is derived the same way
//! (contract §6.2): the data directory from the name, the cluster from the name and the peer URLs.
//!
//! Left out on purpose: etcd replaces an advertised default by the machine's own address when it listens on `0.0.0.0`.
//! That asks the routing table, and the member would bear a different ID after a change of address.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::duration::GoDuration;
use super::error::ConfigError;
use super::gates::FeatureGates;
use super::model::{
    AuthToken, AutoCompaction, Checks, Cluster, Compaction, Config, Connections, Credentials, Http, InitialState,
    Local, MetricsLevel, RequestLimits, Urls,
};
use super::number::parse_int;
use super::peers::InitialCluster;
use super::settings::{Settings, Source};
use super::tls::{TlsInfo, TlsVersion};
use super::url;
use crate::logging::{LogConfig, LogFormat, LogLevel, LogOutput};

/// The name of a member that was given none.
pub(super) const DEFAULT_NAME: &str = "default";
/// etcd reads a quota of 0 as 2 GiB (contract §4).
const DEFAULT_QUOTA_BYTES: NonZeroU64 = NonZeroU64::new(2 * 1024 * 1024 * 1024).expect("2 GiB is not zero");
const DEFAULT_COMPACTION_BATCH_KEYS: u64 = 1000;
const DEFAULT_COMPACTION_PAUSE: Duration = Duration::from_millis(10);
const DEFAULT_WATCH_PROGRESS_INTERVAL: Duration = Duration::from_secs(600);
const DEFAULT_WARNING_UNARY: Duration = Duration::from_millis(300);
const DEFAULT_BCRYPT_COST: u32 = 10;

/// Builds the configuration. `gates` come from the settings' old names; `as_etcd` chooses the default data directory.
pub(super) fn assemble(settings: &Settings, gates: FeatureGates, as_etcd: bool) -> Result<Config, ConfigError> {
    let mut notices = settings.notices.clone();
    let urls = urls(settings);
    let name = settings.text("name");
    let data_dir = match settings.text("data-dir") {
        dir if dir.is_empty() => {
            let dir = format!("{name}.{}", if as_etcd { "etcd" } else { "quorate" });
            notices.push(format!("'data-dir' was empty; using default: {dir}"));
            PathBuf::from(dir)
        }
        dir => PathBuf::from(dir),
    };
    let cluster = Cluster {
        initial: initial_cluster(settings, &name, &urls)?,
        token: settings.text("initial-cluster-token"),
        heartbeat_interval: Duration::from_millis(settings.uint("heartbeat-interval")),
        election_timeout: Duration::from_millis(settings.uint("election-timeout")),
        quota_backend_bytes: match settings.int("quota-backend-bytes") {
            ..0 => None,
            bytes => Some(NonZeroU64::new(bytes.unsigned_abs()).unwrap_or(DEFAULT_QUOTA_BYTES)),
        },
        max_learners: settings.int("max-learners"),
        strict_reconfig_check: settings.bool("strict-reconfig-check"),
        auth_token: auth_token(&settings.text("auth-token"))?,
        gates,
    };
    let local = Local {
        name,
        data_dir,
        wal_dir: path(settings, "wal-dir"),
        initial_state: match settings.text("initial-cluster-state").as_str() {
            "existing" => InitialState::Existing,
            _ => InitialState::New,
        },
        force_new_cluster: settings.bool("force-new-cluster"),
        unsafe_no_fsync: settings.bool("unsafe-no-fsync"),
        pre_vote: settings.bool("pre-vote"),
        snapshot_count: settings.uint("snapshot-count"),
        snapshot_catchup_entries: settings.uint("snapshot-catchup-entries"),
        urls,
        limits: RequestLimits {
            txn_ops_max: settings.uint("max-txn-ops"),
            request_bytes_max: settings.uint("max-request-bytes"),
            concurrent_streams_max: u32::try_from(settings.uint("max-concurrent-streams")).unwrap_or(u32::MAX),
        },
        connections: Connections {
            keepalive_min_time: settings.duration("grpc-keepalive-min-time").to_std(),
            keepalive_interval: positive(settings, "grpc-keepalive-interval"),
            keepalive_timeout: positive(settings, "grpc-keepalive-timeout"),
            reuse_port: settings.bool("socket-reuse-port"),
            reuse_address: settings.bool("socket-reuse-address"),
        },
        compaction: Compaction {
            auto: auto_compaction(settings)?,
            batch_keys: match settings.int("compaction-batch-limit") {
                ..=0 => DEFAULT_COMPACTION_BATCH_KEYS,
                keys => keys.unsigned_abs(),
            },
            pause: positive(settings, "compaction-sleep-interval").unwrap_or(DEFAULT_COMPACTION_PAUSE),
        },
        watch_progress_notify_interval: positive(settings, "watch-progress-notify-interval")
            .unwrap_or(DEFAULT_WATCH_PROGRESS_INTERVAL),
        warning_apply_duration: settings.duration("warning-apply-duration").to_std(),
        warning_unary_request_duration: positive(settings, "warning-unary-request-duration")
            .unwrap_or(DEFAULT_WARNING_UNARY),
        checks: Checks {
            corrupt_check_time: positive(settings, "corrupt-check-time"),
            compact_hash_check_time: settings.duration("compact-hash-check-time").to_std(),
            downgrade_check_time: settings.duration("downgrade-check-time").to_std(),
        },
        http: Http {
            cors: settings.words("cors"),
            host_whitelist: settings.words("host-whitelist"),
            gateway: settings.bool("enable-grpc-gateway"),
            pprof: settings.bool("enable-pprof"),
        },
        credentials: Credentials {
            bcrypt_cost: match u32::try_from(settings.uint("bcrypt-cost")) {
                Ok(cost @ 4..=31) => cost,
                _ => DEFAULT_BCRYPT_COST,
            },
            simple_token_ttl: Duration::from_secs(settings.uint("auth-token-ttl")),
        },
        client_tls: client_tls(settings)?,
        peer_tls: peer_tls(settings)?,
        metrics: match settings.text("metrics").as_str() {
            "extensive" => MetricsLevel::Extensive,
            _ => MetricsLevel::Basic,
        },
        log: log(settings)?,
    };
    Ok(Config { cluster, local, notices })
}

fn urls(settings: &Settings) -> Urls {
    // Whoever chooses where clients connect must also say what they are told. etcd asks for it on the command line and
    // in the environment, and lets the file keep the default.
    let told = settings.source() == Source::File
        || settings.is_given("advertise-client-urls")
        || !settings.is_given("listen-client-urls");
    Urls {
        listen_peer: settings.urls("listen-peer-urls"),
        listen_client: settings.urls("listen-client-urls"),
        listen_client_http: settings.urls("listen-client-http-urls"),
        listen_metrics: settings.urls("listen-metrics-urls"),
        advertise_peer: settings.urls("initial-advertise-peer-urls"),
        advertise_client: if told { settings.urls("advertise-client-urls") } else { Vec::new() },
    }
}

/// The cluster of `--initial-cluster`, or the one this member forms alone under its own name.
fn initial_cluster(settings: &Settings, name: &str, urls: &Urls) -> Result<InitialCluster, ConfigError> {
    let default = format!("{DEFAULT_NAME}=http://localhost:2380");
    let text = match settings.text("initial-cluster") {
        text if text.is_empty() && !settings.is_given("initial-cluster") => default.clone(),
        text => text,
    };
    if text == default && name != DEFAULT_NAME {
        return Ok(InitialCluster::single(name, &urls.advertise_peer));
    }
    InitialCluster::parse(&text).map_err(|why| ConfigError::refused(format!("error setting up initial cluster: {why}")))
}

fn auth_token(text: &str) -> Result<AuthToken, ConfigError> {
    match text.split_once(',').unwrap_or((text, "")) {
        ("simple" | "", _) => Ok(AuthToken::Simple),
        ("jwt", options) => Ok(AuthToken::Jwt(options.to_owned())),
        (other, _) => Err(ConfigError::refused(format!(
            "--auth-token is {other:?}, but only \"simple\" and \"jwt,<options>\" are known"
        ))),
    }
}

/// etcd reads a bare number by the mode, and anything else as a duration, whatever the mode.
fn auto_compaction(settings: &Settings) -> Result<AutoCompaction, ConfigError> {
    let mode = settings.text("auto-compaction-mode");
    let by_revision = match mode.as_str() {
        "periodic" => false,
        "revision" => true,
        "" => return Err(ConfigError::refused("undefined auto-compaction-mode")),
        _ => {
            return Err(ConfigError::refused(format!("unknown auto-compaction-mode {mode:?}")));
        }
    };
    let text = settings.text("auto-compaction-retention");
    let number =
        parse_decimal(&text).or_else(|| GoDuration::parse(&text).map(GoDuration::as_nanos).filter(|_| by_revision));
    let retention = match (number, by_revision) {
        (Some(revisions), true) => {
            return Ok(match u64::try_from(revisions) {
                Ok(revisions @ 1..) => AutoCompaction::Revisions(revisions),
                _ => AutoCompaction::Off,
            });
        }
        (Some(hours), false) => Duration::from_secs(hours.unsigned_abs().saturating_mul(3600)),
        (None, _) => GoDuration::parse(&text)
            .ok_or_else(|| {
                ConfigError::refused(format!("error parsing CompactionRetention: time: invalid duration {text:?}"))
            })?
            .to_std(),
    };
    Ok(if retention.is_zero() { AutoCompaction::Off } else { AutoCompaction::Periodic(retention) })
}

/// A number of at least 0 in base ten; the file and flag hold it as a text.
fn parse_decimal(text: &str) -> Option<i64> {
    let plain = text.trim_start_matches('0');
    let digits = if plain.is_empty() && !text.is_empty() { "0" } else { plain };
    parse_int(digits).ok().filter(|number| *number >= 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn client_tls(settings: &Settings) -> Result<TlsInfo, ConfigError> {
    Ok(TlsInfo {
        cert_file: path(settings, "cert-file"),
        key_file: path(settings, "key-file"),
        client_cert_file: path(settings, "client-cert-file"),
        client_key_file: path(settings, "client-key-file"),
        trusted_ca_file: path(settings, "trusted-ca-file"),
        crl_file: path(settings, "client-crl-file"),
        client_cert_auth: settings.bool("client-cert-auth"),
        auto_tls: settings.bool("auto-tls"),
        allowed_common_names: settings.client_allowed_common_names.clone(),
        allowed_hostnames: settings.words("client-cert-allowed-hostname"),
        skip_client_san_verification: false,
        ..shared_tls(settings)?
    })
}

fn peer_tls(settings: &Settings) -> Result<TlsInfo, ConfigError> {
    Ok(TlsInfo {
        cert_file: path(settings, "peer-cert-file"),
        key_file: path(settings, "peer-key-file"),
        client_cert_file: path(settings, "peer-client-cert-file"),
        client_key_file: path(settings, "peer-client-key-file"),
        trusted_ca_file: path(settings, "peer-trusted-ca-file"),
        crl_file: path(settings, "peer-crl-file"),
        client_cert_auth: settings.bool("peer-client-cert-auth"),
        auto_tls: settings.bool("peer-auto-tls"),
        allowed_common_names: settings.words("peer-cert-allowed-cn"),
        allowed_hostnames: settings.words("peer-cert-allowed-hostname"),
        skip_client_san_verification: settings.bool("peer-skip-client-san-verification"),
        ..shared_tls(settings)?
    })
}

/// What clients and peers have in common.
fn shared_tls(settings: &Settings) -> Result<TlsInfo, ConfigError> {
    let version = |name| TlsVersion::parse(&settings.text(name)).map_err(ConfigError::refused);
    Ok(TlsInfo {
        cipher_suites: settings.words("cipher-suites"),
        version_min: version("tls-min-version")?,
        version_max: version("tls-max-version")?,
        self_signed_years: settings.uint("self-signed-cert-validity").max(1),
        ..TlsInfo::default()
    })
}

fn log(settings: &Settings) -> Result<LogConfig, ConfigError> {
    let level = settings.text("log-level");
    let format = settings.text("log-format");
    let mut outputs: Vec<LogOutput> = settings.words("log-outputs").iter().map(|word| LogOutput::parse(word)).collect();
    if outputs.is_empty() {
        outputs.push(LogOutput::Stderr);
    }
    Ok(LogConfig {
        level: LogLevel::parse(&level).ok_or_else(|| ConfigError::refused(format!("unrecognized level: {level:?}")))?,
        format: LogFormat::parse(&format).ok_or_else(|| {
            ConfigError::refused(format!("unknown log format: {format}, supported values json, console"))
        })?,
        outputs,
    })
}

fn path(settings: &Settings, name: &str) -> Option<PathBuf> {
    Some(settings.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn positive(settings: &Settings, name: &str) -> Option<Duration> {
    Some(settings.duration(name).to_std()).filter(|duration| !duration.is_zero())
}

impl Config {
    /// A member on its own, for programs and tests that embed the server: it listens on ports of the loopback address
    /// that the system chooses, and logs warnings to stderr.
    ///
    /// Ports are 0 here; whoever starts the member learns the real ones from it.
    pub fn single_node(data_dir: impl Into<PathBuf>) -> Self {
        let settings = Settings::new(Source::File);
        let mut config = assemble(&settings, FeatureGates::default(), false)
            .expect("the table's defaults are a valid configuration, a test assembles them");
        let any_port = url::Url::parse_list("http://127.0.0.1:0").expect("a valid URL");
        config.local.data_dir = data_dir.into();
        config.local.name = "single".to_owned();
        config.local.urls = Urls {
            listen_peer: any_port.clone(),
            listen_client: any_port.clone(),
            listen_client_http: Vec::new(),
            listen_metrics: Vec::new(),
            advertise_peer: any_port.clone(),
            advertise_client: any_port.clone(),
        };
        config.cluster.initial = InitialCluster::single("single", &any_port);
        config.local.log.level = LogLevel::Warn;
        config.notices.clear();
        config
    }
}
