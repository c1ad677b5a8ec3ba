//! What a member that is stopped and started again still owes its clients.

use quorate::Member;
use quorate::config::Config;
use quorate_proto::api::etcdserverpb::kv_client::KvClient;
use quorate_proto::api::etcdserverpb::lease_client::LeaseClient;
use quorate_proto::api::etcdserverpb::{LeaseGrantRequest, LeaseLeasesRequest, PutRequest, RangeRequest};
use std::path::Path;
use std::time::Duration;

async fn start(directory: &Path) -> Member {
    Member::start(Config::single_node(directory.to_path_buf())).await.expect("the member starts")
}

async fn keys(member: &Member) -> usize {
    let everything = RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..RangeRequest::default() };
    KvClient::new(member.channel()).range(everything).await.expect("a range").into_inner().kvs.len()
}

/// The clock of a new leader starts after the expirer has found no lease to wait for; it must be woken.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_granted_before_a_restart_ends_after_it_without_any_further_grant() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    let member = start(&data).await;
    let grant = LeaseGrantRequest { ttl: 2, id: 7 };
    LeaseClient::new(member.channel()).lease_grant(grant).await.expect("a lease");
    let put = PutRequest { key: "held".into(), lease: 7, ..PutRequest::default() };
    KvClient::new(member.channel()).put(put).await.expect("a put");
    member.stop().await.expect("a clean stop");

    let member = start(&data).await;
    assert_eq!(keys(&member).await, 1, "the key is there after the restart");
    let gone = async {
        while keys(&member).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the lease ends and takes its key along");
    let left = LeaseClient::new(member.channel()).lease_leases(LeaseLeasesRequest {}).await.expect("the leases");
    assert!(left.into_inner().leases.is_empty());
    member.stop().await.expect("a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_free_again_once_its_member_has_stopped() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().join("data");
    for started in 0..3 {
        let member = start(&data).await;
        assert_eq!(keys(&member).await, started);
        let put = PutRequest { key: format!("key-{started}").into(), ..PutRequest::default() };
        KvClient::new(member.channel()).put(put).await.expect("a put");
        member.stop().await.expect("a clean stop");
    }
}
