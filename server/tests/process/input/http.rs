//! Wrong paths, methods and framing: HTTP that is not gRPC, and gRPC that is not quite.

use super::Bench;
use crate::support::PATIENCE;
use crate::support::http;
use crate::support::launch::is_original;
use http_body_util::Full;
use prost::Message;
use quorate_client::api::RangeRequest;
use std::time::Duration;
use tonic::Code;
use tower::{Service, ServiceExt};

const RANGE: &str = "/etcdserverpb.KV/Range";

#[tokio::test(flavor = "multi_thread")]
async fn unknown_services_and_methods_are_named() {
    let mut bench = Bench::start().await;
    let asked = [
        ("/nobody.Knows/Range", "unknown service nobody.Knows"),
        ("/etcdserverpb.KV/Rage", "unknown method Rage for service etcdserverpb.KV"),
        ("/etcdserverpb.kv/Range", "unknown service etcdserverpb.kv"),
    ];
    for (path, text) in asked {
        let status = bench.raw.call(path, Vec::new()).await.expect_err("refused");
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, text), "{path}");
    }
    for path in ["/", "/Range", "/a/b/c/d"] {
        let status = bench.raw.call(path, Vec::new()).await.expect_err("refused");
        // Go's gRPC of that time gave another code.
        assert!(is_original() || status.code() == Code::Unimplemented, "{path}: {status:?}");
    }
    bench.still_serves(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_requests_that_are_not_grpc_get_an_answer_and_no_result() {
    let mut bench = Bench::start().await;
    let message = RangeRequest { key: "a".into(), ..RangeRequest::default() }.encode_to_vec();
    let frame = |flag: u8, length: usize| {
        let mut frame = vec![flag];
        frame.extend(u32::try_from(length).expect("short").to_be_bytes());
        frame.extend(&message);
        frame
    };
    let right = frame(0, message.len());
    let grpc = "application/grpc";
    let requests: Vec<(&str, &str, &str, Vec<u8>)> = vec![
        ("wrong method", "GET", grpc, right.clone()),
        ("wrong content type", "POST", "text/plain", right.clone()),
        ("no message", "POST", grpc, Vec::new()),
        ("half a header", "POST", grpc, right[..3].to_vec()),
        ("half a message", "POST", grpc, frame(0, message.len() + 1)),
        ("compressed, which nobody agreed on", "POST", grpc, frame(1, message.len())),
        ("a flag that does not exist", "POST", grpc, frame(0x77, message.len())),
        ("four gigabytes announced", "POST", grpc, frame(0, u32::MAX as usize)),
    ];
    for (what, method, content_type, body) in requests {
        let request = http_request(method, content_type, body);
        let mut channel = bench.raw.channel();
        let exchange = async {
            // A stream that is reset is an answer too.
            let answer = channel.ready().await.expect("the connection is open").call(request).await.ok()?;
            let in_headers = answer.headers().get("grpc-status").cloned();
            let trailers = http_body_util::BodyExt::collect(answer.into_body()).await;
            let in_trailers = trailers.ok().and_then(|body| body.trailers()?.get("grpc-status").cloned());
            in_headers.or(in_trailers)
        };
        let patience = if is_original() { Duration::from_secs(1) } else { PATIENCE };
        match tokio::time::timeout(patience, exchange).await {
            // Go's gRPC of that time did not look at the method.
            Ok(status) => {
                assert!(status.is_none_or(|status| status != "0") || is_original(), "{what}: was carried out");
            }
            // And left some of these without an answer.
            Err(_) => assert!(is_original(), "{what}: was not answered"),
        }
    }
    bench.still_serves(0).await;
}

fn http_request(method: &str, content_type: &str, body: Vec<u8>) -> ::http::Request<tonic::body::Body> {
    ::http::Request::builder()
        .method(method)
        .uri(RANGE)
        .header("content-type", content_type)
        .header("te", "trailers")
        .body(tonic::body::Body::new(Full::from(body)))
        .expect("a request")
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_on_the_client_port_reaches_the_plain_endpoints_only() {
    let mut bench = Bench::start().await;
    let endpoint = bench.server.endpoint();
    tokio::task::block_in_place(|| {
        let (status, body) = http::get(&endpoint, "/health").expect("answered");
        assert_eq!(status, 200);
        assert!(body.contains(r#""health":"true""#), "{body}");
        let (status, body) = http::get(&endpoint, "/version").expect("answered");
        assert_eq!(status, 200);
        assert!(body.contains("etcdserver"), "{body}");
        for path in ["/nothing/here", "/../../etc/passwd", "/%00", "/?", "//"] {
            let (status, _) = http::get(&endpoint, path).expect("answered");
            assert!((300..500).contains(&status), "{path}: {status}");
        }
    });
    bench.still_serves(0).await;
}
