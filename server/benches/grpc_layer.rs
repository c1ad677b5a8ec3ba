//! What the gRPC layer adds to a call, without sockets: the same unary call to a service that answers at once, alone
//! and behind the layer. Prints nanoseconds per call of both, and the milliseconds of one scrape.
//!
//! `cargo bench -p quorate --bench grpc_layer`

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use quorate::grpc_layer::{GrpcLayer, LeaderProbe, Limits};
use quorate::metrics::{Metrics, MetricsOptions};
use tower::{Layer, Service, service_fn};

// Rounds are short and many: the fastest is then one that no other process interrupted.
const CALLS: u32 = 2_000;
const ROUNDS: usize = 1_500;

struct Leader;

impl LeaderProbe for Leader {
    fn has_leader(&self) -> bool {
        true
    }
    fn lost(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

fn frames(frames: Vec<Frame<Bytes>>) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
    StreamBody::new(futures::stream::iter(frames.into_iter().map(Ok::<_, Infallible>)))
}

/// Reads the request to its end and answers one message and a status.
async fn answer<B>(
    request: Request<B>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible> + Unpin>, Infallible>
where
    B: Body<Data = Bytes>,
{
    let mut body = std::pin::pin!(request.into_body());
    while body.frame().await.is_some() {}
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    Ok(Response::new(frames(vec![Frame::data(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])), Frame::trailers(trailers)])))
}

/// Seconds of one round of calls. Nothing in them waits, so each is ready when first polled.
fn round<S, B>(service: &mut S) -> Duration
where
    S: Service<Request<Box<dyn Body<Data = Bytes, Error = Infallible> + Unpin + Send>>, Response = Response<B>>,
    B: Body<Data = Bytes>,
{
    let message = Bytes::from_static(&[0, 0, 0, 0, 4, 10, 2, 97, 98]);
    let begun = Instant::now();
    for _ in 0..CALLS {
        let body: Box<dyn Body<Data = Bytes, Error = Infallible> + Unpin + Send> =
            Box::new(frames(vec![Frame::data(message.clone())]));
        let mut request = Request::new(body);
        *request.uri_mut() = http::Uri::from_static("http://localhost/etcdserverpb.KV/Put");
        request.headers_mut().insert("client-api-version", HeaderValue::from_static("3.7.1"));
        let Some(Ok(response)) = Box::pin(service.call(request)).now_or_never() else { panic!("answers at once") };
        let mut body = Box::pin(response.into_body());
        while let Some(Some(frame)) = body.frame().now_or_never() {
            black_box(frame.ok());
        }
    }
    begun.elapsed()
}

#[expect(clippy::print_stdout, reason = "the numbers are the product")]
fn main() {
    for extensive in [false, true] {
        let metrics = Arc::new(Metrics::new(&MetricsOptions { server_version: "3.7.1".to_owned(), extensive }));
        let limits = Limits { request_bytes_max: 2_097_152, slow_unary: Duration::from_millis(300) };
        let mut alone = service_fn(answer);
        let mut behind = GrpcLayer::new(Arc::clone(&metrics), Arc::new(Leader), limits).layer(service_fn(answer));
        // Rounds alternate, and the fastest of each counts, so that a busy machine disturbs both alike.
        let (mut without, mut with) = (Duration::MAX, Duration::MAX);
        for _ in 0..ROUNDS {
            without = without.min(round(&mut alone));
            with = with.min(round(&mut behind));
        }
        let ns = |round: Duration| round.as_nanos() as f64 / f64::from(CALLS);
        let begun = Instant::now();
        let text = metrics.render().expect("renders");
        let scrape = begun.elapsed();
        println!(
            "extensive={extensive}: without {:.0} ns, with {:.0} ns, added {:.0} ns per call; a scrape of {} KiB takes {:.2} ms",
            ns(without),
            ns(with),
            ns(with) - ns(without),
            text.len() / 1024,
            scrape.as_secs_f64() * 1e3
        );
    }
}
