//! The HTTP endpoints: state of the member → code, headers and body, without sockets.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use quorate::http::{
    AccessRules, Alarm, Endpoints, HealthSource, Versions, client_router, metrics_router, peer_router,
};
use quorate::metrics::{Metrics, MetricsOptions, MetricsSource, Sample};
use tower::ServiceExt;

/// A member in a given state.
#[derive(Clone)]
struct Member {
    alarms: Vec<Alarm>,
    leader: bool,
    learner: bool,
    local: Result<(), String>,
    quorum: Result<(), String>,
    cluster: Option<String>,
}

impl Member {
    fn healthy() -> Self {
        Self {
            alarms: vec![],
            leader: true,
            learner: false,
            local: Ok(()),
            quorum: Ok(()),
            cluster: Some("3.7.0".into()),
        }
    }

    fn endpoints(self) -> Endpoints {
        let options = MetricsOptions { server_version: "3.7.1".to_owned(), extensive: false };
        Endpoints { health: Arc::new(self), metrics: Arc::new(Metrics::new(&options)) }
    }

    fn router(self) -> Router {
        client_router(self.endpoints(), AccessRules::default(), Router::new())
    }
}

impl HealthSource for Member {
    fn alarms(&self) -> Vec<Alarm> {
        self.alarms.clone()
    }
    fn has_leader(&self) -> bool {
        self.leader
    }
    fn is_learner(&self) -> bool {
        self.learner
    }
    fn versions(&self) -> Versions {
        Versions { server: "3.7.1".into(), cluster: self.cluster.clone(), storage: self.cluster.clone() }
    }
    fn serializable_read(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(self.local.clone()))
    }
    fn linearizable_read(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(self.quorum.clone()))
    }
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, http::HeaderMap, String) {
    let response: Response<Body> = router.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("whole body").to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).expect("text"))
}

fn request(method: &str, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path).header("host", "localhost:2379");
    request.body(Body::empty()).expect("valid")
}

async fn get(router: &Router, path: &str) -> (u16, String) {
    let (status, _, body) = ask(router, request("GET", path)).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn health_gives_the_first_reason_in_etcds_order() {
    let healthy = Member::healthy();
    let full = Member { alarms: vec![Alarm::NoSpace], ..healthy.clone() };
    let corrupt_and_full = Member { alarms: vec![Alarm::NoSpace, Alarm::Corrupt], leader: false, ..healthy.clone() };
    let unknown = Member { alarms: vec![Alarm::Unknown], ..healthy.clone() };
    let alone = Member { leader: false, quorum: Err("etcdserver: no leader".into()), ..healthy.clone() };
    let slow = Member { quorum: Err("etcdserver: request timed out".into()), ..healthy.clone() };
    let broken = Member { local: Err("a \"quoted\" reason".into()), ..healthy.clone() };
    let ok = r#"{"health":"true","reason":""}"#;
    for (member, query, code, body) in [
        (&healthy, "", 200, ok),
        (&full, "", 503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n"),
        (&full, "?exclude=NOSPACE", 200, ok),
        (&full, "?exclude=CORRUPT", 503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n"),
        (&full, "?exclude=", 503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n"),
        (&corrupt_and_full, "?exclude=NOSPACE", 503, "{\"health\":\"false\",\"reason\":\"ALARM CORRUPT\"}\n"),
        (
            &corrupt_and_full,
            "?exclude=NOSPACE&exclude=CORRUPT",
            503,
            "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n",
        ),
        (&unknown, "", 503, "{\"health\":\"false\",\"reason\":\"ALARM UNKNOWN\"}\n"),
        (&alone, "", 503, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n"),
        (&alone, "?serializable=true", 200, ok),
        (&alone, "?serializable=false", 503, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n"),
        (&alone, "?exclude=NOSPACE&serializable=true", 200, ok),
        (&slow, "", 503, "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: request timed out\"}\n"),
        (&slow, "?serializable=true", 200, ok),
        (
            &broken,
            "?serializable=true",
            503,
            "{\"health\":\"false\",\"reason\":\"RANGE ERROR:a \\\"quoted\\\" reason\"}\n",
        ),
    ] {
        let router = member.clone().router();
        assert_eq!(get(&router, &format!("/health{query}")).await, (code, body.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn health_has_etcds_headers_and_counts() {
    let endpoints = Member::healthy().endpoints();
    let router = metrics_router(endpoints.clone());
    let (_, headers, _) = ask(&router, request("GET", "/health")).await;
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert!(!headers.contains_key("x-content-type-options"));

    let sick = Endpoints { health: Arc::new(Member { leader: false, ..Member::healthy() }), ..endpoints.clone() };
    let (status, headers, _) = ask(&metrics_router(sick), request("GET", "/health")).await;
    assert_eq!(status, 503);
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(endpoints.metrics.server.health_successes.get(), 1);
    assert_eq!(endpoints.metrics.server.health_failures.get(), 1);
}

#[tokio::test]
async fn livez_and_readyz_list_what_they_checked() {
    let healthy = Member::healthy();
    let alone = Member { leader: false, quorum: Err("etcdserver: leader changed".into()), ..healthy.clone() };
    let corrupt = Member { alarms: vec![Alarm::Corrupt], ..healthy.clone() };
    let full = Member { alarms: vec![Alarm::NoSpace], ..healthy.clone() };
    let learner = Member { learner: true, ..healthy.clone() };
    let broken = Member { local: Err("no data".into()), ..healthy.clone() };
    let all_ok = "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n";
    let no_quorum = "[+]data_corruption ok\n[+]serializable_read ok\n\
        [-]linearizable_read failed: etcdserver: leader changed\n[+]non_learner ok\n\n";
    for (member, path, code, body) in [
        (&healthy, "/livez", 200, "ok\n"),
        (&healthy, "/livez?verbose", 200, "[+]serializable_read ok\nok\n"),
        (&healthy, "/readyz", 200, "ok\n"),
        (&healthy, "/readyz?verbose=1", 200, all_ok),
        (
            &healthy,
            "/readyz?verbose&exclude=linearizable_read&exclude=nonsense",
            200,
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]non_learner ok\nok\n",
        ),
        (&alone, "/livez", 200, "ok\n"),
        (&alone, "/readyz", 503, no_quorum),
        (&alone, "/readyz?exclude=linearizable_read", 200, "ok\n"),
        (&alone, "/readyz/linearizable_read", 503, "[-]linearizable_read failed: etcdserver: leader changed\n\n"),
        (
            &alone,
            "/readyz/linearizable_read?exclude=linearizable_read",
            503,
            "[-]linearizable_read failed: etcdserver: leader changed\n\n",
        ),
        (&alone, "/readyz/serializable_read?verbose", 200, "[+]serializable_read ok\nok\n"),
        (&corrupt, "/livez", 200, "ok\n"),
        (&corrupt, "/readyz/data_corruption", 503, "[-]data_corruption failed: alarm activated: CORRUPT\n\n"),
        (&full, "/livez", 200, "ok\n"),
        (&full, "/readyz", 200, "ok\n"),
        (&learner, "/livez", 200, "ok\n"),
        (&learner, "/readyz/non_learner", 503, "[-]non_learner failed: not supported for learner\n\n"),
        (&broken, "/livez", 503, "[-]serializable_read failed: no data\n\n"),
        (
            &broken,
            "/livez/serializable_read?exclude=serializable_read",
            503,
            "[-]serializable_read failed: no data\n\n",
        ),
        (&healthy, "/livez/linearizable_read", 404, "404 page not found\n"),
        (&healthy, "/livez/", 404, "404 page not found\n"),
    ] {
        assert_eq!(get(&member.clone().router(), path).await, (code, body.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn checks_are_counted_by_name_and_outcome() {
    let endpoints = Member { learner: true, ..Member::healthy() }.endpoints();
    let router = metrics_router(endpoints);
    get(&router, "/readyz").await;
    let (code, text) = get(&router, "/metrics").await;
    assert_eq!(code, 200);
    for line in [
        r#"etcd_server_healthcheck{name="non_learner",type="readyz"} 0"#,
        r#"etcd_server_healthcheck{name="linearizable_read",type="readyz"} 1"#,
        r#"etcd_server_healthchecks_total{name="non_learner",status="error",type="readyz"} 1"#,
        r#"etcd_server_healthchecks_total{name="data_corruption",status="success",type="readyz"} 1"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line}");
    }
}

#[tokio::test]
async fn each_listener_serves_its_own_paths() {
    let endpoints = Member::healthy().endpoints();
    let routers = [
        client_router(endpoints.clone(), AccessRules::default(), Router::new()),
        metrics_router(endpoints.clone()),
        peer_router(endpoints),
    ];
    for (path, codes) in [
        ("/health", [200, 200, 404]),
        ("/livez", [200, 200, 404]),
        ("/readyz/non_learner", [200, 200, 404]),
        ("/metrics", [200, 200, 404]),
        ("/version", [200, 404, 200]),
        ("/debug/vars", [200, 404, 404]),
        ("/", [404, 404, 404]),
        ("/v3/kv/range", [404, 404, 404]),
    ] {
        for (router, code) in routers.iter().zip(codes) {
            assert_eq!(get(router, path).await.0, code, "{path}");
        }
    }
}

#[tokio::test]
async fn only_get_except_for_metrics() {
    let router = Member::healthy().router();
    for path in ["/health", "/livez", "/readyz", "/readyz/non_learner", "/version", "/debug/vars"] {
        for method in ["POST", "PUT", "DELETE", "HEAD"] {
            let (status, headers, body) = ask(&router, request(method, path)).await;
            assert_eq!((status.as_u16(), headers["allow"].as_bytes()), (405, &b"GET"[..]), "{method} {path}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            let expected = if method == "HEAD" { "" } else { "Method Not Allowed\n" };
            assert_eq!(body, expected, "{method} {path}");
        }
    }
    assert_eq!(ask(&router, request("POST", "/metrics")).await.0, 200);
}

#[tokio::test]
async fn versions_are_told_once_they_are_known() {
    let (_, headers, body) = ask(&Member::healthy().router(), request("GET", "/version")).await;
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(body, r#"{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}"#);
    let (_, body) = get(&Member { cluster: None, ..Member::healthy() }.router(), "/version").await;
    assert_eq!(body, r#"{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}"#);
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_count_themselves() {
    let router = Member::healthy().router();
    let (_, headers, first) = ask(&router, request("GET", "/metrics")).await;
    assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(first.contains("\npromhttp_metric_handler_requests_in_flight 1\n"));
    assert!(first.contains("\npromhttp_metric_handler_requests_total{code=\"200\"} 0\n"));
    let (_, second) = get(&router, "/metrics").await;
    assert!(second.contains("\npromhttp_metric_handler_requests_total{code=\"200\"} 1\n"));
}

#[tokio::test]
async fn scrapes_that_pile_up_are_refused() {
    /// Stuck until the other end of the channel is dropped.
    struct Stuck(Mutex<Receiver<()>>);
    impl MetricsSource for Stuck {
        fn sample(&self) -> Sample {
            let _ = self.0.lock().expect("not poisoned").recv();
            Sample::default()
        }
    }
    let (release, stuck) = std::sync::mpsc::channel();
    let endpoints = Member::healthy().endpoints();
    endpoints.metrics.set_source(Arc::new(Stuck(Mutex::new(stuck))));
    let router = metrics_router(endpoints);
    let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(get(&router, "/metrics"))).collect();
    for scrape in &mut waiting {
        assert!(futures::poll!(scrape).is_pending());
    }
    let (code, text) = get(&router, "/metrics").await;
    assert_eq!((code, text.as_str()), (503, "More than 8 scrapes at once; try again later.\n"));
    drop(release);
    for scrape in waiting {
        assert_eq!(scrape.await.0, 200);
    }
    let (_, text) = get(&router, "/metrics").await;
    assert!(text.contains("\npromhttp_metric_handler_requests_total{code=\"503\"} 1\n"));
}

#[tokio::test]
async fn debug_vars_are_json_with_the_state_of_raft() {
    struct Still;
    impl MetricsSource for Still {
        fn sample(&self) -> Sample {
            Sample {
                member_id: 255,
                leader_id: Some(254),
                term: 3,
                committed_index: 9,
                applied_index: 8,
                ..Sample::default()
            }
        }
    }
    let endpoints = Member::healthy().endpoints();
    endpoints.metrics.set_source(Arc::new(Still));
    let router = client_router(endpoints, AccessRules::default(), Router::new());
    let (_, headers, body) = ask(&router, request("GET", "/debug/vars")).await;
    assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    let vars: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert!(vars["file_descriptor_limit"].as_u64() > Some(0));
    assert!(vars["memstats"]["Sys"].as_u64() > Some(0));
    assert_eq!(vars["cmdline"].as_array().map(Vec::is_empty), Some(false));
    let status = serde_json::json!({"id":"ff","term":3,"commit":9,"lead":"fe","raftState":"StateFollower","applied":8});
    assert_eq!(vars["raft.status"], status);
}

#[tokio::test]
async fn origins_get_cors_headers_if_they_are_allowed() {
    let all = Member::healthy().router();
    let rules = AccessRules { origins: ["http://a.com:80".to_owned()].into(), ..AccessRules::default() };
    let one = client_router(Member::healthy().endpoints(), rules, Router::new());
    for (router, origin, allowed) in [
        (&all, None, Some("*")),
        (&all, Some("http://c.com"), Some("*")),
        (&one, Some("http://a.com:80"), Some("http://a.com:80")),
        (&one, Some("http://a.com"), None),
        (&one, None, None),
    ] {
        for (method, path, code) in [
            ("GET", "/health", 200),
            ("GET", "/nothing", 404),
            ("POST", "/version", 405),
            ("OPTIONS", "/health", 200),
            ("OPTIONS", "/nothing", 200),
        ] {
            let mut request = request(method, path);
            if let Some(origin) = origin {
                request.headers_mut().insert("origin", origin.parse().expect("valid"));
            }
            let (status, headers, body) = ask(router, request).await;
            assert_eq!(status.as_u16(), code, "{method} {path}");
            let header = |name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned());
            assert_eq!(header("access-control-allow-origin").as_deref(), allowed, "{method} {path} {origin:?}");
            let all = allowed.map(|_| "POST, GET, OPTIONS, PUT, DELETE");
            assert_eq!(header("access-control-allow-methods").as_deref(), all);
            let all = allowed.map(|_| "accept, content-type, authorization");
            assert_eq!(header("access-control-allow-headers").as_deref(), all);
            assert!(method != "OPTIONS" || body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_listed_is_misdirected() {
    let rules = AccessRules { hosts: ["foo".to_owned(), "::1".to_owned()].into(), ..AccessRules::default() };
    let plain = client_router(Member::healthy().endpoints(), rules.clone(), Router::new());
    let tls = client_router(Member::healthy().endpoints(), AccessRules { tls: true, ..rules }, Router::new());
    for (host, code) in [
        ("foo", 200),
        ("foo:2379", 200),
        ("[::1]:2379", 200),
        ("bar", 421),
        ("foo.bar", 421),
        ("localhost", 421),
        ("", 421),
    ] {
        for method in ["GET", "OPTIONS"] {
            let mut asked = request(method, "/health");
            asked.headers_mut().insert("host", host.parse().expect("valid"));
            let (status, headers, body) = ask(&plain, asked).await;
            assert_eq!(status.as_u16(), code, "{method} {host:?}");
            if code == 421 {
                assert!(body.contains("CVE-2018-5702") && body.contains("--host-whitelist"), "{body}");
                assert_eq!(headers["x-content-type-options"], "nosniff");
                assert!(!headers.contains_key("access-control-allow-origin"));
            }
            let mut asked = request(method, "/health");
            asked.headers_mut().insert("host", host.parse().expect("valid"));
            assert_eq!(ask(&tls, asked).await.0, 200, "{method} {host:?} over TLS");
        }
    }
}
