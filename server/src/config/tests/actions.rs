//! What a command line asks for besides running a member, and where its values come from.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::logging::{LogFormat, LogLevel, LogOutput};

#[test]
fn defaults_are_etcds() {
    let config = run(&[]).expect("no flags are a valid configuration");
    let (cluster, local) = (&config.cluster, &config.local);
    assert_eq!(local.name, "default");
    assert_eq!(local.data_dir, PathBuf::from("default.quorate"));
    assert_eq!(local.wal_dir, None);
    assert_eq!(url::join(&local.urls.listen_client), "http://localhost:2379");
    assert_eq!(url::join(&local.urls.listen_peer), "http://localhost:2380");
    assert_eq!(url::join(&local.urls.advertise_client), "http://localhost:2379");
    assert_eq!(url::join(&local.urls.advertise_peer), "http://localhost:2380");
    assert!(local.urls.listen_client_http.is_empty() && local.urls.listen_metrics.is_empty());
    assert_eq!(cluster.initial.to_string(), "default=http://localhost:2380");
    assert_eq!(cluster.token, "etcd-cluster");
    assert_eq!(local.initial_state, InitialState::New);
    assert_eq!(cluster.heartbeat_interval, Duration::from_millis(100));
    assert_eq!(cluster.election_timeout, Duration::from_secs(1));
    assert_eq!(cluster.quota_backend_bytes, NonZeroU64::new(2_147_483_648));
    assert_eq!(cluster.max_learners, 1);
    assert!(cluster.strict_reconfig_check && local.pre_vote);
    assert!(!local.force_new_cluster && !local.unsafe_no_fsync);
    assert_eq!((local.snapshot_count, local.snapshot_catchup_entries), (10_000, 5_000));
    assert_eq!(local.limits.txn_ops_max, 128);
    assert_eq!(local.limits.request_bytes_max, 1_572_864);
    assert_eq!(local.limits.concurrent_streams_max, u32::MAX);
    assert_eq!(local.connections.keepalive_min_time, Duration::from_secs(5));
    assert_eq!(local.connections.keepalive_interval, Some(Duration::from_secs(7200)));
    assert_eq!(local.connections.keepalive_timeout, Some(Duration::from_secs(20)));
    assert_eq!(local.compaction.auto, AutoCompaction::Off);
    assert_eq!((local.compaction.batch_keys, local.compaction.pause), (1000, Duration::from_millis(10)));
    assert_eq!(local.watch_progress_notify_interval, Duration::from_secs(600));
    assert_eq!(local.warning_apply_duration, Duration::from_millis(100));
    assert_eq!(local.warning_unary_request_duration, Duration::from_millis(300));
    assert_eq!(local.checks.corrupt_check_time, None);
    assert_eq!(local.checks.compact_hash_check_time, Duration::from_secs(60));
    assert_eq!(
        (local.http.cors.as_slice(), local.http.host_whitelist.as_slice()),
        (&["*".to_owned()][..], &["*".to_owned()][..])
    );
    assert_eq!(cluster.auth_token, AuthToken::Simple);
    assert_eq!(local.credentials.bcrypt_cost, 10);
    assert_eq!(local.metrics, MetricsLevel::Basic);
    assert_eq!((local.log.level, local.log.format), (LogLevel::Info, LogFormat::Json));
    assert_eq!(local.log.outputs, [LogOutput::Stderr]);
    assert_eq!(local.client_tls.first_demand(), None);
}

#[test]
fn the_name_decides_the_data_directory_and_the_cluster() {
    let config = run(&["--name=n1", "--initial-advertise-peer-urls=http://10.0.0.1:2380"]).expect("a valid line");
    assert_eq!(config.local.data_dir, PathBuf::from("n1.quorate"));
    assert_eq!(config.cluster.initial.to_string(), "n1=http://10.0.0.1:2380");
    let Ok(Action::Run(config)) = resolve_line("/usr/bin/etcd", &["--name=n1"], &[], None) else {
        panic!("a valid line");
    };
    assert_eq!(config.local.data_dir, PathBuf::from("n1.etcd"));
}

#[test]
fn version_and_help_are_for_standard_output() {
    let Ok(Action::PrintVersion(text)) = resolve_line("/opt/etcd", &["--version", "--name=a"], &[], None) else {
        panic!("a version");
    };
    assert!(text.starts_with("etcd Version: 3.7.1\n"));
    let Ok(Action::PrintVersion(text)) = resolve_line("quorate", &["-version"], &[], None) else { panic!("a version") };
    assert!(text.starts_with("quorate Version: "));
    let Ok(Action::PrintHelp(text)) = resolve_line("quorate", &["--name=a", "-h"], &[], None) else { panic!("help") };
    assert!(text.starts_with("Usage:\n  quorate [flags]\n"));
    assert!(matches!(resolve_line("etcd", &["--version=false"], &[], None), Ok(Action::Run(_))));
}

#[test]
fn stray_words_are_refused() {
    for (line, text) in [
        (&["--pre-vote", "false"][..], "\"false\" is not a valid flag"),
        (&["--version", "x"], "\"x\" is not a valid flag"),
        (
            &["gateway", "start"],
            "\"gateway\" is a proxy of etcd's own binary and not part of this server: run etcd's for it",
        ),
    ] {
        let error = run(line).expect_err("a stray word");
        assert_eq!((error.to_string().as_str(), error.exit_code()), (text, 1));
    }
}

#[test]
fn the_environment_fills_what_the_line_leaves_open() {
    let env = [("ETCD_NAME", "e1"), ("ETCD_ELECTION_TIMEOUT", "2000"), ("HOME", "/root"), ("ETCD_ODD", "1")];
    let config = run_with(&["--heartbeat-interval=200"], &env, None).expect("a valid configuration");
    assert_eq!(config.local.name, "e1");
    assert_eq!(config.cluster.election_timeout, Duration::from_secs(2));
    assert!(config.notices.contains(&"unrecognized environment variable: ETCD_ODD=1".to_owned()));
}

#[test]
fn a_config_file_makes_flags_and_environment_silent() {
    let file = Some("name: f1\n");
    let notice = "config file /c.yml is used: other command line flags and ETCD_ variables are ignored";
    let config = run_with(&["--config-file=/c.yml", "--name=a"], &[("ETCD_NAME", "e")], file).expect("a valid file");
    assert_eq!(config.local.name, "f1");
    assert_eq!(config.notices[0], notice);
    let config = run_with(&[], &[("ETCD_CONFIG_FILE", "/c.yml")], file).expect("a valid file");
    assert_eq!(config.local.name, "f1");
    assert!(!config.notices.contains(&notice.to_owned()));
    let error = run_with(&["--config-file=/c.yml"], &[], None).expect_err("no such file");
    assert_eq!(error.to_string(), "open /c.yml: entity not found");
}

#[test]
fn flags_that_change_nothing_say_so_once_unless_they_ask_for_the_default() {
    let config = run(&[
        "--name=a",
        "--data-dir=d",
        "--auto-compaction-retention=1",
        "--enable-pprof=false",
        "--backend-batch-limit=5",
        "--enable-v2=false",
        "--experimental-watch-progress-notify-interval=5s",
        "--force",
    ])
    .expect("a valid line");
    assert_eq!(
        config.notices,
        [
            "--experimental-watch-progress-notify-interval is deprecated, its value is used for \
             --watch-progress-notify-interval",
            "--auto-compaction-retention is accepted but has no effect yet: auto-compaction is not in this build",
            "--backend-batch-limit is accepted but has no meaning here: bbolt is not used here",
            "--enable-v2 is ignored: the v2 API is gone since 3.6",
            "--force is ignored: etcd reads it and forgets it",
        ]
    );
    assert_eq!(config.local.watch_progress_notify_interval, Duration::from_secs(5));
}

#[test]
fn every_flag_can_be_given_its_default_in_one_line() {
    // Old names exclude the new ones, so each half is given alone.
    for outdated in [false, true] {
        let line: Vec<String> = table::flags()
            .filter(|flag| flag.is_outdated() == outdated && flag.name != "config-file")
            .map(|flag| format!("--{}={}", flag.name, flag.default))
            .collect();
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        if let Err(error) = run(&line) {
            panic!("{error}");
        }
    }
}

#[test]
fn units_and_modes_of_retention_follow_etcd() {
    let auto = |mode: &str, retention: &str| {
        let mode = format!("--auto-compaction-mode={mode}");
        let retention = format!("--auto-compaction-retention={retention}");
        run(&[&mode, &retention]).expect("a valid line").local.compaction.auto
    };
    let hours = |hours: u64| AutoCompaction::Periodic(Duration::from_secs(hours * 3600));
    assert_eq!(auto("periodic", "0"), AutoCompaction::Off);
    assert_eq!(auto("periodic", "0s"), AutoCompaction::Off);
    assert_eq!(auto("periodic", "8"), hours(8));
    assert_eq!(auto("periodic", "08"), hours(8));
    assert_eq!(auto("periodic", "10m"), AutoCompaction::Periodic(Duration::from_secs(600)));
    assert_eq!(auto("revision", "1000"), AutoCompaction::Revisions(1000));
    assert_eq!(auto("revision", "0"), AutoCompaction::Off);
    assert_eq!(auto("revision", "1us"), AutoCompaction::Revisions(1000));
}

#[test]
fn quotas_are_default_limit_or_none() {
    let quota = |bytes: &str| {
        run(&["--quota-backend-bytes", bytes]).expect("a valid line").cluster.quota_backend_bytes.map(u64::from)
    };
    assert_eq!(quota("0"), Some(2_147_483_648));
    assert_eq!(quota("1"), Some(1));
    assert_eq!(quota("-1"), None);
    assert_eq!(quota("-9223372036854775808"), None);
}

#[test]
fn an_embedded_member_listens_on_ports_the_system_chooses() {
    let config = Config::single_node("/data");
    assert_eq!(config.local.data_dir, PathBuf::from("/data"));
    assert_eq!(url::join(&config.local.urls.listen_client), "http://127.0.0.1:0");
    assert!(config.notices.is_empty());
    let no_dns = |_: &str| Err(io::Error::from(io::ErrorKind::NotFound));
    let checked =
        config.cluster.initial.check_bootstrap(&config.local.name, &config.local.urls.advertise_peer, false, &no_dns);
    assert_eq!(checked, Ok(()));
}

#[test]
fn the_line_at_start_names_values_as_etcd_does() {
    let described =
        run(&["--snapshot-catchup-entries=1000", "--quota-backend-bytes=-1"]).expect("a valid line").describe();
    assert_eq!(described["snapshot-catchup-entries"], 1000);
    assert_eq!(described["quota-backend-bytes"], -1);
    assert_eq!(described["heartbeat-interval"], "100ms");
    assert_eq!(described["election-timeout"], "1s");
    assert_eq!(described["listen-client-urls"][0], "http://localhost:2379");
    assert_eq!(described["etcd-version"], "3.7.1");
}
