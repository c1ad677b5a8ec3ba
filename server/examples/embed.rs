//! A member inside a Rust program: put, get and watch without a port of its own.
//!
//! Run with `cargo run --example embed -p quorate`.

use quorate::Member;
use quorate::config::Config;
use quorate_proto::api::etcdserverpb::kv_client::KvClient;
use quorate_proto::api::etcdserverpb::watch_client::WatchClient;
use quorate_proto::api::etcdserverpb::watch_request::RequestUnion;
use quorate_proto::api::etcdserverpb::{PutRequest, RangeRequest, WatchCreateRequest, WatchRequest};
use std::error::Error;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let member = Member::start(Config::single_node(directory.path().join("data"))).await?;

    // A channel to the member that never leaves the process. Sockets are open as well, on ports the system chose.
    let channel = member.channel();
    println!("clients of other processes connect to {:?}", member.client_addresses());

    let create = WatchCreateRequest { key: "greeting".into(), ..Default::default() };
    let requests = tokio_stream::iter([WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }]);
    let endless = tokio_stream::StreamExt::chain(requests, tokio_stream::pending());
    let mut events = WatchClient::new(channel.clone()).watch(endless).await?.into_inner();
    let created = events.message().await?.ok_or("the watch ended")?;
    println!("watching from revision {}", created.header.map_or(0, |header| header.revision) + 1);

    let mut kv = KvClient::new(channel);
    let put = PutRequest { key: "greeting".into(), value: "hello".into(), ..Default::default() };
    let revision = kv.put(put).await?.into_inner().header.map_or(0, |header| header.revision);
    println!("put at revision {revision}");

    let range = RangeRequest { key: "greeting".into(), ..Default::default() };
    for found in kv.range(range).await?.into_inner().kvs {
        println!("{} = {}", String::from_utf8_lossy(&found.key), String::from_utf8_lossy(&found.value));
    }

    let event = events.message().await?.ok_or("the watch ended")?;
    for changed in event.events.into_iter().filter_map(|event| event.kv) {
        println!("watched {} change at revision {}", String::from_utf8_lossy(&changed.key), changed.mod_revision);
    }

    drop((events, kv));
    member.stop().await?;
    Ok(())
}
