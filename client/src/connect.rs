//! Opening connections and dealing them out.
//!
//! Rule: a client exists only while at least one endpoint answered. Endpoints that do not answer at that moment are left
//! out; a connection that is lost later is opened again by the next call on it, which fails if that does not work.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::join_all;
use tonic::transport::{Channel, Endpoint};

use crate::{ClientError, Cluster, Kv, Lease, Maintenance, Options, Watch, call::Calls};

/// Open connections to one or more members. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Client {
    channels: Arc<[Channel]>,
    /// Counts handles given out, so that they take connections in turn.
    next: Arc<AtomicUsize>,
    calls: Calls,
}

impl Client {
    /// Connects to every endpoint, each `host:port` or `http://host:port`, with `options.connections` connections.
    ///
    /// # Errors
    ///
    /// [`ClientError::Invalid`] when an endpoint or option makes no sense, [`ClientError::Connect`] when no endpoint
    /// answers in time.
    pub async fn connect<E: AsRef<str>>(endpoints: &[E], options: Options) -> Result<Self, ClientError> {
        if endpoints.is_empty() || options.connections == 0 {
            let text = "a client needs at least one endpoint and one connection";
            return Err(ClientError::Invalid(text.to_owned()));
        }
        let calls = Calls::new(&options)?;
        let mut attempts = Vec::new();
        // Endpoints alternate, so that handles taken in turn spread over members first.
        for _ in 0..options.connections {
            for endpoint in endpoints {
                let endpoint = configure(endpoint.as_ref(), &options)?;
                attempts.push(async move { endpoint.connect().await });
            }
        }
        let mut channels = Vec::new();
        let mut reason = String::new();
        for attempt in join_all(attempts).await {
            match attempt {
                Ok(channel) => channels.push(channel),
                Err(error) => reason = explain(&error),
            }
        }
        if channels.is_empty() {
            let endpoints: Vec<&str> = endpoints.iter().map(AsRef::as_ref).collect();
            return Err(ClientError::Connect { endpoints: endpoints.join(","), reason });
        }
        Ok(Self { channels: channels.into(), next: Arc::default(), calls })
    }

    /// Keys and values, over the next connection.
    #[must_use]
    pub fn kv(&self) -> Kv {
        Kv::new(self.channel(), self.calls.clone())
    }

    /// Watches, over the next connection.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.channel(), self.calls.clone())
    }

    /// Leases, over the next connection.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease::new(self.channel(), self.calls.clone())
    }

    /// Members, over the next connection.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.channel(), self.calls.clone())
    }

    /// An operator's calls, over the next connection.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::new(self.channel(), self.calls.clone())
    }

    fn channel(&self) -> Channel {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.channels[next % self.channels.len()].clone()
    }
}

fn configure(endpoint: &str, options: &Options) -> Result<Endpoint, ClientError> {
    if endpoint.starts_with("https://") {
        let text = format!("{endpoint}: this client does not speak TLS yet");
        return Err(ClientError::Invalid(text));
    }
    let uri = if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
    let configured = Endpoint::from_shared(uri)
        .map_err(|error| ClientError::Invalid(format!("`{endpoint}` is not an endpoint: {}", explain(&error))))?
        .user_agent(concat!("quorate-client/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| ClientError::Invalid(explain(&error)))?
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(options.window_bytes)
        .initial_connection_window_size(options.window_bytes)
        .http2_keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout);
    Ok(configured)
}

/// The whole chain of causes: tonic's own text stops at "transport error".
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
