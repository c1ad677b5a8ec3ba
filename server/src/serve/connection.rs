//! One connection: HTTP/1 or HTTP/2, bounded, ended gently.
//!
//! Rule: a peer that sends nothing is dropped after the header timeout, one that stops answering pings after the keepalive
//! timeout. At the end a GOAWAY lets the calls inside finish and new ones go elsewhere.

use super::split::Split;
use crate::config::{Config, Connections as Settings};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that a client may send on a stream, and on a connection, before we have read them. Measured: a request of 16 KiB
/// costs a tenth less CPU than with the default of 64 KiB.
const WINDOW_BYTES: u32 = 1 << 20;
/// How long a client may take over the headers of a request (contract §4).
const HEADER_TIMEOUT: Duration = Duration::from_secs(300);
/// Calls that a client may cancel faster than they are looked at before its connection is closed. A client that gives up
/// two thousand calls at once is impatient, not hostile; the library's 20 would end all its watches.
const RESETS_PENDING_MAX: usize = 8_192;
/// Longest header block. gRPC metadata are small; this is Go's bound.
const HEADER_BYTES_MAX: u32 = 1 << 20;

/// Serves connections and counts them, so that all can be ended together.
#[derive(Clone)]
pub struct Connections {
    builder: Arc<Builder<TokioExecutor>>,
    graceful: Arc<Mutex<Option<GracefulShutdown>>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    /// Connections with the bounds of this configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let Settings { keepalive_interval, keepalive_timeout, .. } = config.local.connections;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .max_pending_accept_reset_streams(RESETS_PENDING_MAX)
            .max_concurrent_streams(config.local.limits.concurrent_streams_max)
            .keep_alive_interval(keepalive_interval);
        if let Some(timeout) = keepalive_timeout {
            builder.http2().keep_alive_timeout(timeout);
        }
        Self { builder: Arc::new(builder), graceful: Arc::new(Mutex::new(Some(GracefulShutdown::new()))) }
    }

    /// Serves a connection on a task of its own.
    /// `permit` is given back when it ends.
    pub fn serve<S>(&self, stream: S, service: Split, permit: Option<OwnedSemaphorePermit>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let builder = Arc::clone(&self.builder);
        let Some(watcher) = self.graceful.lock().as_ref().map(GracefulShutdown::watcher) else {
            return;
        };
        tokio::spawn(async move {
            let _permit = permit;
            let service = TowerToHyperService::new(service);
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            // How a connection ends is the client's business; a server that logs it can be made to fill its disk.
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(error, "a connection ended");
            }
        });
    }

    /// Asks all connections to end and waits until they have, or until the time is over; new ones are not served.
    pub async fn end(&self, within: Duration) {
        let Some(graceful) = self.graceful.lock().take() else {
            return;
        };
        if tokio::time::timeout(within, graceful.shutdown()).await.is_err() {
            tracing::info!("connections that did not end in time are cut");
        }
    }
}
