//! Requests that no honest client sends, and some that honest clients send by mistake.
//!
//! Rule: each is answered with the code and text of the contract (§3), touches nothing, and the server goes on serving
//! everybody else. Every test ends by asking it something.

mod http;
mod noise;
mod raw;
mod refusals;
mod sizes;

use crate::support::launch::Launch;
use crate::support::server::Server;
use quorate_client::{Client, Options};
use raw::Raw;

/// A server with a client of ours and one that sends whatever it is told.
struct Bench {
    server: Server,
    client: Client,
    raw: Raw,
}

impl Bench {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(flags: &[&str]) -> Self {
        let launch = Launch::fresh().flags(flags.iter().copied());
        let server = tokio::task::block_in_place(|| launch.start());
        let client = Client::connect(&[server.endpoint()], Options::default()).await.expect("it is ready");
        let raw = Raw::connect(&server.endpoint()).await;
        Self { server, client, raw }
    }

    /// Writes and reads, to see that the server still serves; fails when something else has been written meanwhile.
    async fn still_serves(&mut self, writes_so_far: i64) {
        assert!(self.server.process().is_running(), "the server is gone");
        let put = quorate_client::api::PutRequest { key: "alive".into(), value: "yes".into(), ..Default::default() };
        let header = self.client.kv().put(put).await.expect("a put works").header.expect("answers have a header");
        // The first write of a store is revision 2.
        assert_eq!(header.revision, 2 + writes_so_far, "what was refused has written something");
        let range = quorate_client::api::RangeRequest { key: "alive".into(), ..Default::default() };
        let answer = self.client.kv().range(range).await.expect("a range works");
        assert_eq!(answer.kvs.len(), 1);
    }
}
