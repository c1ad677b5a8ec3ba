//! The log of slow calls. Alone in its process, because whether a log line is wanted is remembered process-wide by the
//! first thread that reaches it.

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Request, Response};
use quorate::grpc_layer::{GrpcLayer, LeaderProbe, Limits};
use quorate::metrics::{Metrics, MetricsOptions};
use tower::{Layer, ServiceExt, service_fn};

struct Leader;

impl LeaderProbe for Leader {
    fn has_leader(&self) -> bool {
        true
    }

    fn lost(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn slow_unary_calls_are_logged_unless_waiting_is_their_purpose() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    // Every call is slower than this, so that nobody has to wait; none is slower than the other.
    for (threshold, lines) in [(Duration::ZERO, 1), (Duration::from_secs(3600), 0)] {
        let limits = Limits { request_bytes_max: 1000, slow_unary: threshold };
        let metrics = Metrics::new(&MetricsOptions { server_version: "3.7.1".to_owned(), extensive: false });
        let layer = GrpcLayer::new(Arc::new(metrics), Arc::new(Leader), limits);
        let refuse = service_fn(|_| async {
            let refusal = Response::builder().header("grpc-status", "11").body(Body::empty());
            Ok::<_, Infallible>(refusal.expect("valid"))
        });
        for path in [
            "/v3lockpb.Lock/Lock",
            "/v3electionpb.Election/Campaign",
            "/etcdserverpb.Watch/Watch",
            "/etcdserverpb.KV/Put",
        ] {
            let request = Request::post(path).body(Body::empty()).expect("valid");
            layer.layer(refuse).oneshot(request).await.expect("infallible");
        }
        let text = String::from_utf8(std::mem::take(&mut *log.0.lock().expect("not poisoned"))).expect("text");
        assert_eq!(text.lines().count(), lines, "{text}");
        let parts = ["WARN", "took longer than", "/etcdserverpb.KV/Put", "threshold=0ns", "code=\"OutOfRange\""];
        assert!(lines == 0 || parts.iter().all(|part| text.contains(part)), "{text}");
    }
}
