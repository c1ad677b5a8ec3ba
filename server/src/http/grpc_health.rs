//! The standard gRPC health service (contract §1.1, §2.19).
//!
//! Only the empty service name is known: the whole server. Whoever stops serving sends the new status into the
//! channel before it closes the listeners, so that balancers go elsewhere first.

use std::pin::Pin;

use futures::{Stream, StreamExt, stream};
use quorate_proto::wire::grpc_health::health_check_response::ServingStatus;
use quorate_proto::wire::grpc_health::health_server::{Health, HealthServer};
use quorate_proto::wire::grpc_health::{HealthCheckRequest, HealthCheckResponse};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};

/// The service over a channel that holds whether this member serves.
pub fn service(status: watch::Receiver<ServingStatus>) -> HealthServer<HealthService> {
    HealthServer::new(HealthService { status })
}

/// See [`service`].
#[derive(Clone, Debug)]
pub struct HealthService {
    status: watch::Receiver<ServingStatus>,
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !request.get_ref().service.is_empty() {
            return Err(Status::not_found("unknown service"));
        }
        Ok(Response::new(response(*self.status.borrow())))
    }

    /// An unknown name is not an error here: Go's service says so in a message and keeps the stream, in case the name
    /// becomes known. It never does.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let stream: Self::WatchStream = if request.get_ref().service.is_empty() {
            WatchStream::new(self.status.clone()).map(|status| Ok(response(status))).boxed()
        } else {
            stream::iter([Ok(response(ServingStatus::ServiceUnknown))]).chain(stream::pending()).boxed()
        };
        Ok(Response::new(stream))
    }
}
