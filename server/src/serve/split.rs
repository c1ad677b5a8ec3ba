//! gRPC or HTTP, by the protocol of the request (contract §5.1).

use crate::grpc_layer::{GrpcLayer, GrpcService};
use axum::Router;
use axum::body::Body;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::service::Routes;
use tower::{Layer, Service};

/// What a listener serves. Clones share everything.
#[derive(Clone)]
pub struct Split {
    grpc: Option<GrpcService<Router>>,
    http: Option<Router>,
}

impl std::fmt::Debug for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Split").field("grpc", &self.grpc.is_some()).field("http", &self.http.is_some()).finish()
    }
}

impl Split {
    /// gRPC for HTTP/2, the router for the rest.
    #[must_use]
    pub fn both(layer: &GrpcLayer, routes: Routes, http: Option<Router>) -> Self {
        Self { grpc: Some(layer.layer(routes.prepare().into_axum_router())), http }
    }

    /// The router alone.
    #[must_use]
    pub fn http(router: Router) -> Self {
        Self { grpc: None, http: Some(router) }
    }
}

impl Service<Request<Incoming>> for Split {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let is_grpc = request.version() == Version::HTTP_2;
        match (&mut self.grpc, &mut self.http) {
            (Some(grpc), _) if is_grpc => {
                if let Some(refusal) = refuse_strange(&request) {
                    return Box::pin(async { Ok(refusal) });
                }
                let answer = grpc.call(request);
                Box::pin(async move { Ok(answer.await?.map(Body::new)) })
            }
            (_, Some(http)) => Box::pin(Service::call(http, request.map(Body::new))),
            _ => Box::pin(async { Ok(not_found()) }),
        }
    }
}

/// An answer to what is not gRPC by its method or content type; the services below look at the path alone.
fn refuse_strange<B>(request: &Request<B>) -> Option<Response<Body>> {
    let mut response = Response::new(Body::empty());
    if request.method() != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = content_type.and_then(|text| text.strip_prefix(b"application/grpc"));
    // `application/grpc+proto` and parameters are gRPC, `application/grpc-web` is not.
    if kind.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';'))) {
        return None;
    }
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(response)
}

fn not_found() -> Response<Body> {
    let mut response = Response::new(Body::from("404 page not found\n"));
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}
