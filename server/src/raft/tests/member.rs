//! Proposing, reading and restarting.

use std::path::Path;
use std::sync::Arc;

use quorate_core::limits;
use quorate_disk::file::{FileSystem, OsFileSystem, SimDisk};
use tokio::task::JoinSet;

use super::{Engine, Member, NODE, PATIENCE, WAL_DIR, fs, index_in, options, put, until};
use crate::raft::Trouble;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_proposed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let os: Arc<dyn FileSystem> = Arc::new(OsFileSystem);
    let engine = Engine::default();

    let member = Member::start_with(options(), &os, dir.path(), engine.clone()).await;
    // Entry 1 is the membership, entry 2 the blank one of the first term.
    assert_eq!(member.put("a").await, 3);
    assert_eq!(member.put("b").await, 4);
    let term = member.consensus.status().term;
    engine.flush();
    member.stop().await;

    let member = Member::start_with(options(), &os, dir.path(), engine.crashed()).await;
    assert_eq!(member.engine.keys(), ["a", "b"]);
    assert_eq!(member.put("c").await, 6, "entry 5 is the blank one of the second term");
    let status = member.consensus.status();
    assert!(status.term > term, "every start is a term of its own");
    assert_eq!((status.leader, status.is_leader, status.voters), (Some(NODE), true, vec![NODE]));
    assert_eq!(status.quorum_acked_ago, Some(std::time::Duration::ZERO));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_at_once_are_each_applied_once_and_answered_with_their_own() {
    let member = Member::on_disk(&SimDisk::new(), Engine::default()).await;
    let mut callers = JoinSet::new();
    for i in 0..10_000u64 {
        let proposal = member.consensus.propose(put(format!("{i:05}")));
        callers.spawn(async move { (i, index_in(&proposal.await.expect("accepted"))) });
    }
    let mut answers = callers.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers.len(), 10_000);
    let held = member.engine.held();
    assert_eq!(held.commands.len(), 10_000);
    for (i, index) in answers {
        assert!(
            held.commands.binary_search(&(index, format!("{i:05}").into())).is_ok(),
            "{i} was answered with {index}"
        );
    }
    assert!(held.rounds.len() < 5_000, "entries are applied in rounds, here {}", held.rounds.len());
    assert!(held.rounds.iter().all(|entries| *entries <= limits::APPLY_ROUND_ENTRIES_MAX));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_is_bounded_in_bytes() {
    let member = Member::on_disk(&SimDisk::new(), Engine::default()).await;
    let mut callers = JoinSet::new();
    for _ in 0..60 {
        callers.spawn(member.consensus.propose(put(vec![b'k'; 1 << 20])));
    }
    assert!(callers.join_all().await.iter().all(Result::is_ok));
    let most = member.engine.held().rounds.into_iter().max();
    // A round closes with the entry that fills it.
    assert!(most <= Some(limits::APPLY_ROUND_BYTES_MAX >> 20), "{most:?} entries of a mebibyte in one round");
    member.stop().await;
}

#[tokio::test]
async fn a_stopped_member_has_let_go_of_its_applier_and_its_log() {
    let disk = SimDisk::new();
    let member = Member::on_disk(&disk, Engine::default()).await;
    let consensus = member.consensus.clone();
    let engine = member.engine.clone();
    member.stop().await;
    assert_eq!(Arc::strong_count(&engine.held), 1, "whoever closes the engine next finds nobody using it");
    let syncs = disk.operations();
    consensus.shutdown().await;
    assert_eq!(disk.operations(), syncs, "stopping twice is stopping once");
}

#[tokio::test]
async fn a_read_index_covers_every_write_answered_before() {
    let member = Member::on_disk(&SimDisk::new(), Engine::default()).await;
    for i in 0..50 {
        let written = member.put(format!("{i}")).await;
        let read = member.consensus.read_index().await.expect("a quorum of one");
        assert!(read >= written, "read index {read} after a write at {written}");
    }
    member.stop().await;
}

#[tokio::test]
async fn a_member_without_a_cluster_neither_leads_nor_accepts() {
    let disk = SimDisk::new();
    let member = Member::try_start(options(), &fs(&disk), Path::new(WAL_DIR), Engine::default()).await.expect("starts");
    member.consensus.elect_now().await;
    let refused = member.consensus.propose(put("a")).await.expect_err("nobody leads");
    assert_eq!(refused, Trouble::NotLeader { leader: None });
    assert!(!refused.may_have_happened());
    assert_eq!(member.consensus.read_index().await, Err(Trouble::NotLeader { leader: None }));
    assert_eq!(member.consensus.wait_ready(std::time::Duration::from_millis(1)).await, Err(Trouble::Timeout));
    member.stop().await;
}

#[tokio::test]
async fn founding_twice_is_founding_once_and_leading_twice_is_no_new_term() {
    let member = Member::on_disk(&SimDisk::new(), Engine::default()).await;
    let before = member.put("a").await;
    let term = member.consensus.status().term;
    member.consensus.bootstrap_single(vec!["http://elsewhere:1".to_owned()]).await.expect("does nothing");
    member.consensus.elect_now().await;
    assert_eq!(member.put("b").await, before + 1);
    assert_eq!(member.consensus.status().term, term);
    let membership = member.engine.held().applied.membership.membership.expect("a membership was applied");
    assert_eq!(membership.nodes[0].peer_urls, ["http://127.0.0.1:2380"]);
    member.stop().await;
}

#[tokio::test]
async fn leadership_is_told_and_taken_back_at_the_end() {
    let member = Member::on_disk(&SimDisk::new(), Engine::default()).await;
    let mut changes = member.consensus.changes();
    let led = tokio::time::timeout(PATIENCE, changes.wait_for(|now| now.is_leader)).await.expect("in time");
    assert_eq!(led.expect("told").leader, Some(NODE));
    member.stop().await;
    let gone = tokio::time::timeout(PATIENCE, changes.wait_for(|now| now.leader.is_none())).await.expect("in time");
    assert!(!gone.expect("told before the task ended").is_leader);
}

#[tokio::test]
async fn after_a_stop_proposals_are_refused_and_cannot_have_happened() {
    let disk = SimDisk::new();
    let member = Member::on_disk(&disk, Engine::default()).await;
    let consensus = member.consensus.clone();
    member.stop().await;
    let refused = consensus.propose(put("late")).await.expect_err("stopped");
    assert_eq!(refused, Trouble::Stopped { may_have_happened: false });
    assert!(matches!(consensus.read_index().await, Err(Trouble::Stopped { .. })));
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_only_the_answer_with_it() {
    let member = Member::on_disk(&SimDisk::new(), Engine::default()).await;
    let mut proposal = Box::pin(member.consensus.propose(put("left")));
    // One poll hands it over; the answer cannot be there yet.
    assert!(futures::poll!(proposal.as_mut()).is_pending());
    drop(proposal);
    member.put("stayed").await;
    assert_eq!(member.engine.keys(), ["left", "stayed"]);
    until(|| member.consensus.status().applied_index == 4).await;
    member.stop().await;
}
