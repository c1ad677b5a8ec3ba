//! All effective values, for one log line at start.
//!
//! Names are etcd's where etcd logs the same value, so that a search of logs finds both. Secrets are not logged: the
//! options of a JWT name key files, and those are paths; passwords are never kept.

use serde_json::{Map, Value, json};

use super::duration::GoDuration;
use super::model::{AuthToken, AutoCompaction, Config};
use super::tls::TlsInfo;
use super::url::Url;
use crate::version;

impl Config {
    /// Every value the member runs with, as one JSON object.
    pub fn describe(&self) -> Value {
        let mut fields = Map::new();
        self.describe_binary(&mut fields);
        self.describe_member(&mut fields);
        self.describe_cluster(&mut fields);
        self.describe_serving(&mut fields);
        Value::Object(fields)
    }

    /// Logs every effective value in one line, then every notice as a warning. Call once, when logging is set up.
    pub fn log_at_start(&self) {
        tracing::info!({ crate::logging::INLINE_FIELDS } = %self.describe(), "starting an etcd server");
        for notice in &self.notices {
            tracing::warn!("{notice}");
        }
    }

    fn describe_binary(&self, fields: &mut Map<String, Value>) {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        add(fields, "quorate-version", version::QUORATE_VERSION);
        add(fields, "etcd-version", version::ETCD_VERSION);
        add(fields, "git-sha", version::GIT_SHA);
        add(fields, "platform", version::platform());
        add(fields, "max-cpu-available", cpus);
    }

    fn describe_member(&self, fields: &mut Map<String, Value>) {
        let local = &self.local;
        add(fields, "name", local.name.as_str());
        add(fields, "data-dir", local.data_dir.display().to_string());
        add(fields, "wal-dir", local.wal_dir.as_ref().map(|dir| dir.display().to_string()));
        add(fields, "force-new-cluster", local.force_new_cluster);
        add(fields, "unsafe-no-fsync", local.unsafe_no_fsync);
        add(fields, "snapshot-count", local.snapshot_count);
        add(fields, "snapshot-catchup-entries", local.snapshot_catchup_entries);
        for (name, urls) in [
            ("listen-peer-urls", &local.urls.listen_peer),
            ("listen-client-urls", &local.urls.listen_client),
            ("listen-client-http-urls", &local.urls.listen_client_http),
            ("listen-metrics-urls", &local.urls.listen_metrics),
            ("initial-advertise-peer-urls", &local.urls.advertise_peer),
            ("advertise-client-urls", &local.urls.advertise_client),
        ] {
            add(fields, name, urls.iter().map(Url::to_string).collect::<Vec<_>>());
        }
        add(fields, "pre-vote", local.pre_vote);
        add(fields, "log-level", local.log.level.as_str());
        add(fields, "log-outputs", local.log.outputs.iter().map(ToString::to_string).collect::<Vec<_>>());
        add(fields, "metrics", local.metrics.as_str());
        add(fields, "client-tls", tls(&local.client_tls));
        add(fields, "peer-tls", tls(&local.peer_tls));
    }

    fn describe_cluster(&self, fields: &mut Map<String, Value>) {
        let cluster = &self.cluster;
        add(fields, "initial-cluster", cluster.initial.to_string());
        add(fields, "initial-cluster-state", self.local.initial_state.as_str());
        add(fields, "initial-cluster-token", cluster.token.as_str());
        add(fields, "heartbeat-interval", go(cluster.heartbeat_interval));
        add(fields, "election-timeout", go(cluster.election_timeout));
        add(fields, "quota-backend-bytes", cluster.quota_backend_bytes.map_or(json!(-1), |bytes| json!(bytes.get())));
        add(fields, "strict-reconfig-check", cluster.strict_reconfig_check);
        add(fields, "max-learners", cluster.max_learners);
        add(fields, "feature-gates", cluster.gates.to_string());
        let token = match &cluster.auth_token {
            AuthToken::Simple => "simple".to_owned(),
            AuthToken::Jwt(options) => format!("jwt,{options}"),
        };
        add(fields, "auth-token", token);
    }

    fn describe_serving(&self, fields: &mut Map<String, Value>) {
        let local = &self.local;
        add(fields, "max-txn-ops", local.limits.txn_ops_max);
        add(fields, "max-request-bytes", local.limits.request_bytes_max);
        add(fields, "max-concurrent-streams", local.limits.concurrent_streams_max);
        add(fields, "grpc-keepalive-min-time", go(local.connections.keepalive_min_time));
        add(fields, "grpc-keepalive-interval", go(local.connections.keepalive_interval.unwrap_or_default()));
        add(fields, "grpc-keepalive-timeout", go(local.connections.keepalive_timeout.unwrap_or_default()));
        add(fields, "socket-reuse-port", local.connections.reuse_port);
        add(fields, "socket-reuse-address", local.connections.reuse_address);
        let (mode, retention) = match local.compaction.auto {
            AutoCompaction::Off => ("off", json!(0)),
            AutoCompaction::Periodic(age) => ("periodic", json!(go(age))),
            AutoCompaction::Revisions(count) => ("revision", json!(count)),
        };
        add(fields, "auto-compaction-mode", mode);
        add(fields, "auto-compaction-retention", retention);
        add(fields, "compaction-batch-limit", local.compaction.batch_keys);
        add(fields, "compaction-sleep-interval", go(local.compaction.pause));
        add(fields, "watch-progress-notify-interval", go(local.watch_progress_notify_interval));
        add(fields, "warning-apply-duration", go(local.warning_apply_duration));
        add(fields, "warning-unary-request-duration", go(local.warning_unary_request_duration));
        add(fields, "corrupt-check-time-interval", go(local.checks.corrupt_check_time.unwrap_or_default()));
        add(fields, "compact-check-time-interval", go(local.checks.compact_hash_check_time));
        add(fields, "downgrade-check-interval", go(local.checks.downgrade_check_time));
        add(fields, "cors", local.http.cors.clone());
        add(fields, "host-whitelist", local.http.host_whitelist.clone());
        add(fields, "enable-grpc-gateway", local.http.gateway);
        add(fields, "enable-pprof", local.http.pprof);
        add(fields, "bcrypt-cost", local.credentials.bcrypt_cost);
        add(fields, "auth-token-ttl", go(local.credentials.simple_token_ttl));
    }
}

fn add(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    fields.insert(name.to_owned(), value.into());
}

fn go(duration: std::time::Duration) -> String {
    GoDuration::from(duration).to_string()
}

/// Where the TLS files are, or null when TLS is off.
fn tls(info: &TlsInfo) -> Value {
    if info.first_demand().is_none() {
        return Value::Null;
    }
    json!({
        "cert-file": info.cert_file,
        "key-file": info.key_file,
        "trusted-ca-file": info.trusted_ca_file,
        "client-cert-auth": info.client_cert_auth,
        "auto-tls": info.auto_tls,
    })
}
