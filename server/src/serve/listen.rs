//! Sockets that accept until they are told to stop.

use super::connection::Connections;
use super::split::Split;
use crate::config::url::{Scheme, Url};
use quorate_core::error::Fault;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::{Semaphore, watch};

/// How long to wait after a failed accept: it fails when descriptors run out, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the kernel holds while the accept loop is busy.
const BACKLOG: u32 = 4_096;

/// A bound socket, not accepting yet.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket with the path of its file, which is removed at the end.
    Unix(UnixListener, PathBuf),
}

/// Socket options.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// `SO_REUSEADDR`.
    pub reuse_address: bool,
}

impl Socket {
    /// Binds what a listen URL names.
    ///
    /// # Errors
    /// A fault whose sentence names the URL.
    pub async fn bind(url: &Url, options: SocketOptions) -> Result<Self, Fault> {
        let refused = |error: std::io::Error| Fault::new(format!("cannot listen on {url}: {error}"));
        match url.scheme() {
            Scheme::Http => {
                let authority = url.authority().unwrap_or_default();
                let address = resolve(authority).await.map_err(refused)?;
                bind_tcp(address, options).map(Self::Tcp).map_err(refused)
            }
            Scheme::Unix => {
                let path = url.socket_path().unwrap_or_default();
                remove_stale(&path).map_err(refused)?;
                UnixListener::bind(&path).map(|listener| Self::Unix(listener, path)).map_err(refused)
            }
            Scheme::Https | Scheme::Unixs => {
                Err(Fault::new(format!("cannot listen on {url}: this version does not serve TLS")))
            }
        }
    }

    /// The address it is bound to; nothing for a unix socket.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// Accepts until `stop` says so; connections go on by themselves. With `places`, a connection waits in the kernel until
    /// there is one.
    pub async fn accept(
        self,
        service: Split,
        connections: Connections,
        places: Option<Arc<Semaphore>>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let next = async {
                let permit = match &places {
                    // The semaphore is never closed.
                    Some(places) => Arc::clone(places).acquire_owned().await.ok(),
                    None => None,
                };
                (permit, self.next().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = next => accepted,
            };
            match accepted {
                Ok(Accepted::Tcp(stream)) => connections.serve(stream, service.clone(), permit),
                Ok(Accepted::Unix(stream)) => connections.serve(stream, service.clone(), permit),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        if let Self::Unix(_, path) = &self {
            // Gone already is as good.
            let _ = std::fs::remove_file(path);
        }
    }

    async fn next(&self) -> std::io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // It fails when the client has gone already, which serving it will find out.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream))
            }
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }
}

enum Accepted {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn resolve(authority: &str) -> std::io::Result<SocketAddr> {
    let addresses: Vec<_> = tokio::net::lookup_host(authority).await?.collect();
    // As Go does: `localhost` means 127.0.0.1 where there is one.
    let v4 = addresses.iter().find(|address| address.is_ipv4());
    v4.or(addresses.first()).copied().ok_or_else(|| std::io::Error::other("the host has no address"))
}

fn bind_tcp(address: SocketAddr, options: SocketOptions) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without it a restart waits for the last connections of the former process.
    socket.set_reuseaddr(true)?;
    if options.reuse_port {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A socket file that nobody listens on is left over from a crash.
fn remove_stale(path: &std::path::Path) -> std::io::Result<()> {
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}
