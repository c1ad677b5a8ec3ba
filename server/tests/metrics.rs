//! `/metrics` against the tables it must keep: the contract's, and what a real etcd prints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate::metrics::{Metrics, MetricsOptions, MetricsSource, Op, Sample, StreamSide};

const TABLE: &str = include_str!("data/metrics.txt");
const ETCD: &str = include_str!("data/metrics-etcd-3.4.23.txt");

fn metrics() -> Metrics {
    Metrics::new(&MetricsOptions { server_version: "3.7.1".to_owned(), extensive: true })
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.render().expect("renders")).expect("text")
}

/// Names and types of the `# TYPE` lines.
fn types(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.map(|line| line.split_once(' ').expect("name and type")).collect()
}

fn rows(table: &str) -> impl Iterator<Item = &str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

struct Row<'a> {
    name: &'a str,
    kind: &'a str,
    labels: BTreeSet<&'a str>,
    buckets: &'a str,
}

fn table() -> Vec<Row<'static>> {
    let rows = rows(TABLE).filter(|row| !row.starts_with("absent "));
    rows.map(|row| {
        let [name, kind, labels, buckets] = row.split(' ').collect::<Vec<_>>()[..] else {
            panic!("four columns: {row}")
        };
        Row { name, kind, labels: labels.split(',').filter(|label| *label != "-").collect(), buckets }
    })
    .collect()
}

/// Names of labels in the first sample of a metric.
fn labels_of<'a>(text: &'a str, name: &str) -> BTreeSet<&'a str> {
    let sample = text
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .find_map(|rest| rest.split_once('{').filter(|(suffix, _)| ["", "_count"].contains(suffix)));
    let Some((_, labels)) = sample else { return BTreeSet::new() };
    let labels = labels.split('}').next().unwrap_or_default();
    labels.split(',').map(|pair| pair.split('=').next().unwrap_or_default()).collect()
}

struct Still(Sample);

impl MetricsSource for Still {
    fn sample(&self) -> Sample {
        self.0.clone()
    }
}

fn sample() -> Sample {
    Sample {
        member_id: 0x8e9e_05c5_2164_694d,
        has_leader: true,
        is_leader: true,
        committed_index: 7,
        applied_index: 6,
        revision: 5,
        compact_revision: -1,
        live_keys: 1,
        db_size_bytes: 20_480,
        wal_sync_in_flight: Some(Duration::from_millis(1500)),
        cluster_version: Some("3.7".to_owned()),
        alarms: vec![(0x8e9e_05c5_2164_694d, "NOSPACE")],
        ..Sample::default()
    }
}

/// Uses every labelled metric once.
fn use_all(metrics: &Metrics) {
    metrics.set_source(Arc::new(Still(sample())));
    metrics.server.apply_seconds(Op::Put, true).observe(0.001);
    metrics.server.request_seconds(Op::Txn, false).observe(0.001);
    metrics.server.range_seconds(true).observe(0.001);
    metrics.server.promote_failed("not ready");
    metrics.server.set_feature("InitialCorruptCheck", "ALPHA", true);
    metrics.network.stream_failed(StreamSide::Send, "watch");
    let peer = metrics.network.peer(1, 2);
    peer.active.set(1);
    metrics.network.snapshots_to(2).successes.inc();
    metrics.network.snapshots_from(2).successes.inc();
}

#[test]
fn names_types_labels_and_buckets_are_the_table() {
    let metrics = metrics();
    use_all(&metrics);
    let text = text(&metrics);
    let shown = types(&text);
    // Counted by the layer and by the health endpoints, and tested there.
    let elsewhere = ["etcd_server_client_requests_total", "etcd_server_healthcheck", "etcd_server_healthchecks_total"];
    for Row { name, kind, labels, buckets } in table().iter().filter(|row| !elsewhere.contains(&row.name)) {
        assert_eq!(shown.get(name), Some(kind), "{name}");
        assert_eq!(&labels_of(&text, name), labels, "{name}");
        let bounds: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}_bucket")))
            .map_while(|line| line.split("le=\"").nth(1)?.split('"').next()?.parse::<f64>().ok())
            .take_while(|bound| bound.is_finite())
            .collect();
        let expected: Vec<f64> = match *buckets {
            "-" => vec![],
            "default" => vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            exponential => {
                let [start, factor, count] = exponential.split(',').collect::<Vec<_>>()[..] else { panic!("{name}") };
                let number = |text: &str| text.parse::<f64>().expect("number");
                let bounds = std::iter::successors(Some(number(start)), |bound| Some(bound * number(factor)));
                bounds.take(count.parse().expect("number")).collect()
            }
        };
        assert_eq!(bounds, expected, "{name}");
    }
    let known: BTreeSet<&str> = table().iter().map(|row| row.name).collect();
    let unknown: Vec<_> = shown.keys().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
}

#[test]
fn what_has_no_labels_is_there_from_the_start() {
    let text = text(&metrics());
    let shown = types(&text);
    for row in table().iter().filter(|row| row.labels.is_empty()) {
        assert!(shown.contains_key(row.name), "{}", row.name);
    }
    // What is known from the start has its samples from the start, labels or not.
    for line in [
        r#"etcd_server_version{server_version="3.7.1"} 1"#,
        r#"promhttp_metric_handler_requests_total{code="503"} 0"#,
        r#"grpc_server_handled_total{grpc_code="Canceled",grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"} 0"#,
        r#"grpc_server_started_total{grpc_method="Lock",grpc_service="v3lockpb.Lock",grpc_type="unary"} 0"#,
        "etcd_mvcc_put_total 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("grpc_server_handled_total{")).count(), 51 * 17);
}

#[test]
fn types_agree_with_a_real_etcd() {
    let metrics = metrics();
    use_all(&metrics);
    let text = text(&metrics);
    let mut shown = types(&text);
    shown.insert("etcd_server_client_requests_total", "counter");
    let mut common = 0;
    for row in rows(ETCD) {
        if let Some(gone) = row.strip_prefix("gone ") {
            assert!(!shown.contains_key(gone), "{gone} is served and listed as gone");
            continue;
        }
        let (name, kind) = row.split_once(' ').expect("name and type");
        let absent = rows(TABLE).any(|row| row.starts_with(&format!("absent {name}:")));
        if !absent {
            assert_eq!(shown.get(name), Some(&kind), "{name}");
            common += 1;
        }
    }
    assert!(common > 80, "only {common} names in common");
}

#[test]
fn states_are_read_at_each_scrape_and_old_labels_go() {
    struct Turning(std::sync::Mutex<Sample>);
    impl MetricsSource for Turning {
        fn sample(&self) -> Sample {
            self.0.lock().expect("not poisoned").clone()
        }
    }
    let metrics = metrics();
    let source = Arc::new(Turning(std::sync::Mutex::new(sample())));
    metrics.set_source(Arc::clone(&source) as _);
    let first = text(&metrics);
    for line in [
        r#"etcd_server_id{server_id="8e9e05c52164694d"} 1"#,
        r#"etcd_cluster_version{cluster_version="3.7"} 1"#,
        r#"etcd_debugging_server_alarms{alarm_type="NOSPACE",server_id="8e9e05c52164694d"} 1"#,
        "etcd_server_is_leader 1",
        "etcd_server_proposals_committed_total 7",
        "etcd_server_proposals_applied_total 6",
        "etcd_debugging_mvcc_current_revision 5",
        "etcd_debugging_mvcc_compact_revision -1",
        "etcd_debugging_mvcc_keys_total 1",
        "etcd_mvcc_db_total_size_in_bytes 20480",
        "quorate_wal_sync_in_flight_seconds 1.5",
    ] {
        assert!(first.lines().any(|l| l == line), "{line}");
    }

    *source.0.lock().expect("not poisoned") =
        Sample { cluster_version: Some("3.8".to_owned()), alarms: vec![], is_leader: false, ..sample() };
    let second = text(&metrics);
    assert!(second.contains(r#"etcd_cluster_version{cluster_version="3.8"} 1"#));
    assert!(!second.contains(r#"cluster_version="3.7""#));
    assert!(!second.contains("etcd_debugging_server_alarms{"));
    assert!(second.contains("\netcd_server_is_leader 0\n"));
}

#[test]
fn a_removed_peer_leaves_no_samples() {
    let metrics = metrics();
    use_all(&metrics);
    assert!(text(&metrics).contains(r#"etcd_network_active_peers{Local="1",Remote="2"} 1"#));
    metrics.network.forget_peer(1, 2);
    let text = text(&metrics);
    for label in ["Remote=", "From=", "To="] {
        assert!(!text.contains(label), "{label} is still there");
    }
}

#[test]
fn the_process_describes_itself() {
    let text = text(&metrics());
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
        line.split(' ').nth(1).expect("value").parse().expect("number")
    };
    assert!(value("process_cpu_seconds_total") > 0.0);
    assert!(value("process_resident_memory_bytes") > 1_000_000.0);
    assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
    assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") <= value("process_max_fds"));
    assert_eq!(value("os_fd_limit"), value("process_max_fds"));
    assert!(value("process_start_time_seconds") > 1.6e9);
}
