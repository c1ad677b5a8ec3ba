//! Which server is measured, and through how many connections.

use clap::Args;
use quorate_client::{Client, Options};

use crate::error::Trouble;

/// A server.
#[derive(Args, Debug, Clone)]
pub(crate) struct Target {
    /// Where it listens. Give it again for further members.
    #[arg(long = "endpoint", default_value = "127.0.0.1:2379")]
    pub(crate) endpoints: Vec<String>,
    /// HTTP/2 connections. Clients are spread over them, each client a stream.
    #[arg(long, default_value_t = 8)]
    pub(crate) connections: usize,
    /// Its process on this machine: adds its CPU time and memory to the report.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
}

impl Target {
    /// Opens `connections` connections, dealt out over the endpoints.
    pub(crate) async fn connect(&self, connections: usize) -> Result<Client, Trouble> {
        let per_endpoint = connections.div_ceil(self.endpoints.len().max(1)).max(1);
        Ok(Client::connect(&self.endpoints, Options::default().connections(per_endpoint)).await?)
    }
}
