//! Every refusal of contract §6.6 that needs neither disk nor network, with etcd's words.

use super::*;

#[test]
fn what_etcd_refuses_is_refused_in_its_words() {
    for (line, text) in [
        (
            &["--listen-client-urls=http://example.com:1", "--advertise-client-urls=http://example.com:1"][..],
            "expected IP in URL for binding (http://example.com:1)",
        ),
        (&["--listen-peer-urls=http://example.com:1"], "expected IP in URL for binding (http://example.com:1)"),
        (&["--listen-metrics-urls=http://example.com:1"], "expected IP in URL for binding (http://example.com:1)"),
        (&["--listen-client-http-urls=http://:1"], "expected IP in URL for binding (http://:1)"),
        (
            &["--initial-advertise-peer-urls=http://:1"],
            "--initial-advertise-peer-urls \"http://:1\" must be \"host:port\" (unexpected empty host (http://:1))",
        ),
        (
            &["--advertise-client-urls=http://:1"],
            "--advertise-client-urls \"http://:1\" must be in the format \"host:port\", \"unix:/path/to/socket\" or \
             \"unixs:/path/to/socket\" (unexpected empty host (http://:1))",
        ),
        (
            &["--listen-client-urls=http://127.0.0.1:1"],
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (
            &["--initial-cluster=default=http://localhost:2380", "--discovery-srv=example.com"],
            "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \
             \"discovery-endpoints\" or \"discovery-srv\"",
        ),
        (
            &["--discovery-endpoints=http://a:1", "--discovery-token=t", "--discovery-srv=example.com"],
            "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \
             \"discovery-endpoints\" or \"discovery-srv\"",
        ),
        (&["--discovery-token=t"], "both --discovery-token and --discovery-endpoints must be set"),
        (&["--discovery-endpoints=http://a:1"], "both --discovery-token and --discovery-endpoints must be set"),
        (
            &["--discovery-endpoints=http://a:1,", "--discovery-token=t"],
            "--discovery-endpoints must not contain empty endpoints",
        ),
        (
            &["--discovery-fallback=proxy"],
            "v2 proxy is deprecated, and --discovery-fallback can't be configured as \"proxy\"",
        ),
        (&["--heartbeat-interval=0"], "--heartbeat-interval must be >0 (set to 0ms)"),
        (&["--election-timeout=0"], "--election-timeout must be >0 (set to 0ms)"),
        (
            &["--heartbeat-interval=201"],
            "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[201ms]",
        ),
        (
            &["--heartbeat-interval=18446744073709551615"],
            "--election-timeout[1000ms] should be at least as 5 times as --heartbeat-interval[18446744073709551615ms]",
        ),
        (&["--election-timeout=50001"], "--election-timeout[50001ms] is too long, and should be set less than 50000ms"),
        (&["--auto-compaction-mode="], "undefined auto-compaction-mode"),
        (&["--auto-compaction-mode=hourly"], "unknown auto-compaction-mode \"hourly\""),
        (&["--auto-compaction-retention=soon"], "error parsing CompactionRetention: time: invalid duration \"soon\""),
        (&["--compact-hash-check-time=0"], "--compact-hash-check-time must be >0 (set to 0s)"),
        (&["--compact-hash-check-time=-1m"], "--compact-hash-check-time must be >0 (set to -1m0s)"),
        (&["--tls-min-version=TLS1.1"], "unexpected TLS version \"TLS1.1\" (must be one of: TLS1.2, TLS1.3)"),
        (
            &["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"],
            "min version (TLS1.3) is greater than max version (TLS1.2)",
        ),
        (
            &["--tls-min-version=TLS1.3", "--cipher-suites=TLS_AES_128_GCM_SHA256"],
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ),
        (&["--cipher-suites=TLS_NOPE"], "unexpected TLS cipher suite \"TLS_NOPE\""),
        (
            &["--feature-gates=LeaseCheckpointPersist=true"],
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
        ),
        (
            &["--experimental-enable-lease-checkpoint-persist"],
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint",
        ),
        (
            &["--experimental-corrupt-check-time=1m", "--corrupt-check-time=1m"],
            "cannot set --experimental-corrupt-check-time and --corrupt-check-time at the same time, please use \
             --corrupt-check-time only",
        ),
        (
            &["--experimental-initial-corrupt-check=true", "--feature-gates=InitialCorruptCheck=false"],
            "cannot specify both flags: --experimental-initial-corrupt-check=true and \
             --feature-gates=InitialCorruptCheck=false at the same time, please just use \
             --feature-gates=InitialCorruptCheck=false",
        ),
        (&["--logger=capnslog"], "--logger=capnslog is removed in v3.5"),
        (&["--logger=log4j"], "unknown logger option \"log4j\""),
        (&["--log-level=loud"], "unrecognized level: \"loud\""),
        (&["--log-format=xml"], "unknown log format: xml, supported values json, console"),
        (&["--log-outputs=default,stdout"], "multi logoutput for \"default\" is not supported yet"),
        (
            &["--enable-log-rotation"],
            "--log-outputs requires a single file path when --log-rotate-config-json is defined",
        ),
        (
            &["--enable-distributed-tracing", "--distributed-tracing-sampling-rate=-1"],
            "distributed tracing configurition is not valid: (tracing sampling rate must be positive)",
        ),
        (
            &["--initial-cluster=a"],
            "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ",
        ),
        (
            &["--listen-client-http-urls=http://localhost:2379"],
            "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url http://localhost:2379",
        ),
    ] {
        match run(line) {
            Ok(_) => panic!("{line:?} is accepted"),
            Err(error) => assert_eq!((error.to_string().as_str(), error.exit_code()), (text, 1), "{line:?}"),
        }
    }
}

#[test]
fn a_cluster_that_cannot_be_found_is_not_invented() {
    for line in [
        &["--discovery-endpoints=http://a:1", "--discovery-token=t"][..],
        &["--discovery-srv=example.com"],
        &["--discovery=https://discovery.example.com/token"],
    ] {
        let text = run(line).expect_err("discovery is not available").to_string();
        assert!(text.starts_with("discovery is not available in this build"), "{line:?}: {text}");
    }
    assert!(run(&["--proxy=on"]).expect_err("no proxy").to_string().starts_with("--proxy asks for the v2 proxy"));
    assert!(run(&["--proxy=off"]).is_ok());
}

#[test]
fn what_is_allowed_and_unwise_is_said() {
    for (line, part) in [
        (&["--name=default"][..], "it isn't recommended to use default name"),
        (&["--quota-backend-bytes=8589934593"], "above the advised maximum of 8589934592"),
        (&["--max-request-bytes=10485761"], "above the advised maximum of 10485760"),
        (&["--unsafe-no-fsync"], "acknowledged writes are lost"),
        (&["--feature-gates=LeaseCheckpoint=true"], "without LeaseCheckpointPersist"),
        (&["--log-outputs=systemd/journal"], "written to stderr"),
        (&["--name=a"], "'data-dir' was empty; using default: a.quorate"),
    ] {
        let notices = run(line).expect("a valid line").notices;
        assert_eq!(notices.iter().filter(|notice| notice.contains(part)).count(), 1, "{line:?}: {notices:?}");
    }
    let notices = run(&["--name=a", "--data-dir=d", "--quota-backend-bytes=8589934592"]).expect("a valid line").notices;
    assert_eq!(notices, [""; 0]);
}
