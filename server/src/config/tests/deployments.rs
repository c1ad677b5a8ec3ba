//! What kubeadm, minikube, k3s and etcd's own sample file pass (contract §6.3, §6.5).

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::logging::LogLevel;

/// What kubeadm passes whatever the release; `{}` stands for the scheme.
const KUBEADM: [&str; 17] = [
    "--advertise-client-urls={}://192.168.1.10:2379",
    "--cert-file=/etc/kubernetes/pki/etcd/server.crt",
    "--client-cert-auth=true",
    "--data-dir=/var/lib/etcd",
    "--initial-advertise-peer-urls={}://192.168.1.10:2380",
    "--initial-cluster=cp1={}://192.168.1.10:2380,cp2={}://192.168.1.11:2380",
    "--initial-cluster-state=existing",
    "--key-file=/etc/kubernetes/pki/etcd/server.key",
    "--listen-client-urls={}://127.0.0.1:2379,{}://192.168.1.10:2379",
    "--listen-metrics-urls=http://127.0.0.1:2381",
    "--listen-peer-urls={}://192.168.1.10:2380",
    "--name=cp1",
    "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt",
    "--peer-client-cert-auth=true",
    "--peer-key-file=/etc/kubernetes/pki/etcd/peer.key",
    "--snapshot-count=10000",
    "--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
];
const KUBEADM_PEER_CA: &str = "--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt";
const KUBEADM_3_5: [&str; 2] =
    ["--experimental-initial-corrupt-check=true", "--experimental-watch-progress-notify-interval=5s"];
const KUBEADM_3_6: [&str; 2] = ["--feature-gates=InitialCorruptCheck=true", "--watch-progress-notify-interval=5s"];
/// What minikube added before Kubernetes 1.31.
const MINIKUBE: &str = "--proxy-refresh-interval=70000";

fn kubeadm(scheme: &str, with_tls: bool, more: &[&str]) -> Vec<String> {
    let is_tls = |flag: &str| ["cert-file", "key-file", "ca-file", "cert-auth"].iter().any(|part| flag.contains(part));
    KUBEADM
        .iter()
        .chain([&KUBEADM_PEER_CA])
        .chain(more)
        .filter(|flag| with_tls || !is_tls(flag))
        .map(|flag| flag.replace("{}", scheme))
        .collect()
}

fn borrowed(line: &[String]) -> Vec<&str> {
    line.iter().map(String::as_str).collect()
}

#[test]
fn kubeadms_flags_of_both_generations_mean_the_same() {
    for more in [&KUBEADM_3_5[..], &KUBEADM_3_6, &[KUBEADM_3_5[0], KUBEADM_3_5[1], MINIKUBE]] {
        let config = read(&borrowed(&kubeadm("https", true, more))).expect("kubeadm's flags are valid");
        let (cluster, local) = (&config.cluster, &config.local);
        assert_eq!(local.name, "cp1");
        assert_eq!(local.data_dir, PathBuf::from("/var/lib/etcd"));
        assert_eq!(url::join(&local.urls.listen_client), "https://127.0.0.1:2379,https://192.168.1.10:2379");
        assert_eq!(url::join(&local.urls.listen_metrics), "http://127.0.0.1:2381");
        assert_eq!(cluster.initial.members().count(), 2);
        assert_eq!(local.initial_state, InitialState::Existing);
        assert!(cluster.gates.is_enabled("InitialCorruptCheck"));
        assert_eq!(local.watch_progress_notify_interval, Duration::from_secs(5));
        assert_eq!(local.client_tls.cert_file, Some(PathBuf::from("/etc/kubernetes/pki/etcd/server.crt")));
        assert_eq!(local.client_tls.trusted_ca_file, Some(PathBuf::from("/etc/kubernetes/pki/etcd/ca.crt")));
        assert_eq!(local.peer_tls.key_file, Some(PathBuf::from("/etc/kubernetes/pki/etcd/peer.key")));
        assert!(local.client_tls.client_cert_auth && local.peer_tls.client_cert_auth);
    }
}

#[test]
fn a_member_told_to_encrypt_refuses_to_serve_plain_text() {
    let error = run(&borrowed(&kubeadm("https", true, &KUBEADM_3_6))).expect_err("TLS is not available");
    let text = error.to_string();
    assert!(
        text.starts_with("TLS is not available in this build yet, and --listen-client-urls=https://127.0.0.1:2379")
    );
    assert_eq!(error.exit_code(), 1);
    for flag in [
        "--cert-file=/c",
        "--client-cert-auth",
        "--auto-tls",
        "--trusted-ca-file=/c",
        "--client-crl-file=/c",
        "--client-cert-allowed-hostname=h",
        "--peer-cert-file=/c",
        "--peer-auto-tls",
        "--peer-cert-allowed-cn=cn",
        "--listen-peer-urls=https://127.0.0.1:2380",
        "--listen-metrics-urls=unixs://sock",
    ] {
        let text = run(&[flag]).expect_err("TLS is not available").to_string();
        assert!(text.starts_with("TLS is not available in this build yet"), "{flag}: {text}");
        let named = flag.split('=').next().unwrap_or(flag);
        assert!(text.contains(named), "{flag}: {text}");
    }
}

#[test]
fn kubeadms_plain_flags_run_and_say_what_has_no_effect() {
    let config = run(&borrowed(&kubeadm("http", false, &KUBEADM_3_6))).expect("plain flags run");
    assert_eq!(
        config.notices,
        [
            "feature gate InitialCorruptCheck=true has no effect: corruption checks across members are not in this build yet"
        ]
    );
}

/// The keys k3s and RKE2 write; `{scheme}` and `{tls}` are filled in.
const K3S: &str = r"
name: server-1-5f2b
data-dir: /var/lib/rancher/k3s/server/db/etcd
initial-cluster: server-1-5f2b={scheme}://10.0.0.1:2380
initial-cluster-state: new
initial-advertise-peer-urls: {scheme}://10.0.0.1:2380
listen-peer-urls: {scheme}://127.0.0.1:2380,{scheme}://10.0.0.1:2380
listen-client-urls: {scheme}://127.0.0.1:2379,{scheme}://10.0.0.1:2379
listen-client-http-urls: {scheme}://127.0.0.1:2382
listen-metrics-urls: http://127.0.0.1:2381
advertise-client-urls: {scheme}://10.0.0.1:2379
heartbeat-interval: 500
election-timeout: 5000
snapshot-count: 10000
log-outputs:
- stderr
logger: zap
socket-options:
  reuse-address: true
  reuse-port: true
experimental-initial-corrupt-check: true
experimental-watch-progress-notify-interval: 5000000000
{tls}";

const K3S_TLS: &str = r"
client-transport-security:
  cert-file: /tls/server-client.crt
  client-cert-auth: true
  key-file: /tls/server-client.key
  trusted-ca-file: /tls/server-ca.crt
peer-transport-security:
  cert-file: /tls/peer.crt
  client-cert-auth: true
  key-file: /tls/peer.key
  trusted-ca-file: /tls/peer-ca.crt
";

#[test]
fn the_file_of_k3s_is_read() {
    let text = K3S.replace("{scheme}", "http").replace("{tls}", "");
    let config = run_file(&text).expect("the plain file runs");
    let (cluster, local) = (&config.cluster, &config.local);
    assert_eq!(local.name, "server-1-5f2b");
    assert_eq!(cluster.heartbeat_interval, Duration::from_millis(500));
    assert_eq!(cluster.election_timeout, Duration::from_secs(5));
    assert_eq!(local.watch_progress_notify_interval, Duration::from_secs(5));
    assert_eq!(url::join(&local.urls.listen_client_http), "http://127.0.0.1:2382");
    assert!(local.connections.reuse_address && local.connections.reuse_port);
    assert!(cluster.gates.is_enabled("InitialCorruptCheck"));

    let text = K3S.replace("{scheme}", "https").replace("{tls}", K3S_TLS);
    let config = read_settings(file::parse("k3s", &text).expect("a valid file")).expect("a valid configuration");
    assert_eq!(config.local.client_tls.key_file, Some(PathBuf::from("/tls/server-client.key")));
    assert_eq!(config.local.peer_tls.trusted_ca_file, Some(PathBuf::from("/tls/peer-ca.crt")));
    assert!(config.local.client_tls.client_cert_auth && config.local.peer_tls.client_cert_auth);
    assert!(run_file(&text).expect_err("TLS is not available").to_string().starts_with("TLS is not available"));
}

/// A file with the keys and values of the sample that comes with etcd, which its tests start a member with.
const SAMPLE: &str = r#"
name: 'default'
data-dir:
wal-dir:
snapshot-count: 10000
heartbeat-interval: 100
election-timeout: 1000
quota-backend-bytes: 0
listen-peer-urls: http://localhost:2380
listen-client-urls: http://localhost:2379
max-wals: 5
cors:
initial-advertise-peer-urls: http://localhost:2380
advertise-client-urls: http://localhost:2379
discovery:
discovery-fallback: 'proxy'
discovery-proxy:
discovery-srv:
initial-cluster:
initial-cluster-token: 'etcd-cluster'
initial-cluster-state: 'new'
strict-reconfig-check: false
enable-pprof: true
client-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
peer-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
  allowed-cn:
  allowed-hostname:
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr]
force-new-cluster: false
auto-compaction-mode: periodic
auto-compaction-retention: "1"
cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
tls-min-version: 'TLS1.2'
tls-max-version: 'TLS1.3'
"#;

#[test]
fn a_file_like_etcds_sample_runs() {
    let config = run_file(SAMPLE).expect("the sample runs");
    let local = &config.local;
    assert_eq!(local.name, "default");
    assert_eq!(local.log.level, LogLevel::Debug);
    assert!(!config.cluster.strict_reconfig_check);
    assert_eq!(config.cluster.initial.to_string(), "default=http://localhost:2380");
    assert_eq!(local.compaction.auto, AutoCompaction::Periodic(Duration::from_secs(3600)));
    assert_eq!(local.client_tls.cipher_suites.len(), 2);
    assert_eq!(local.client_tls.version_max, Some(TlsVersion::V13));
    assert_eq!(local.http.cors, ["*"]);
}

#[test]
fn a_file_may_choose_listen_urls_and_keep_the_advertised_default() {
    let config = run_file("listen-client-urls: http://127.0.0.1:23790\n").expect("a valid file");
    assert_eq!(url::join(&config.local.urls.advertise_client), "http://localhost:2379");
}
