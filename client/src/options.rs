//! How connections are opened and what travels with every call.

use std::time::Duration;

/// Settings of a [`Client`](crate::Client).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// HTTP/2 connections per endpoint, at least 1. One carries any number of calls, but a server and a client use
    /// more cores with several.
    pub connections: usize,
    /// Longest wait for one connection.
    pub connect_timeout: Duration,
    /// Longest wait for the answer to a unary call. Sent to the server as well. `None`: no limit.
    pub request_timeout: Option<Duration>,
    /// HTTP/2 flow-control window, in bytes, per stream and per connection. Larger answers wait for acknowledgements:
    /// 1 MiB measured 10 % faster than the default of 64 KiB with 16 KiB values.
    pub window_bytes: u32,
    /// How often an open connection with calls on it is pinged. Servers refuse more than one ping in five seconds.
    pub keepalive_interval: Duration,
    /// How long a ping may go unanswered before the connection counts as lost.
    pub keepalive_timeout: Duration,
    /// Metadata sent with every call, such as `("hasleader", "true")`, which asks a member that has no leader to refuse.
    pub metadata: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 1,
            connect_timeout: Duration::from_secs(5),
            request_timeout: None,
            window_bytes: 1 << 20,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            metadata: Vec::new(),
        }
    }
}

impl Options {
    /// Sets [`Options::connections`].
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets [`Options::connect_timeout`].
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets [`Options::request_timeout`].
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// Adds one pair to [`Options::metadata`].
    #[must_use]
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        self.metadata.push((name.to_owned(), value.to_owned()));
        self
    }
}
