//! Faults stop the member, with their own sentence, told once.

use std::path::Path;

use quorate_disk::file::SimDisk;

use super::{Engine, Member, WAL_DIR, fs, options, put};
use crate::raft::Trouble;

#[tokio::test]
async fn a_fault_of_the_engine_stops_the_member_and_is_told_once() {
    let member = Member::on_disk(&SimDisk::new(), Engine::default()).await;
    *member.engine.fail_at.lock() = Some(member.put("a").await + 1);
    let trouble = member.consensus.propose(put("b")).await.expect_err("the member stops");
    assert!(trouble.may_have_happened(), "it is in the log: {trouble:?}");
    let faults = member.faults().await;
    assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), ["the engine failed at entry 4"]);
    // The core stops a moment after the fault was told; then nothing is taken any more.
    let mut changes = member.consensus.changes();
    changes.wait_for(|now| now.leader.is_none()).await.expect("told");
    let refused = member.consensus.propose(put("c")).await.expect_err("stopped");
    assert!(matches!(refused, Trouble::Stopped { .. }), "{refused:?}");
    assert_eq!(member.faults.lock().len(), 1, "the echo is not told");
    member.consensus.shutdown().await;
}

#[tokio::test]
async fn a_failed_sync_stops_the_member_and_is_told_once() {
    let disk = SimDisk::new();
    let member = Member::on_disk(&disk, Engine::default()).await;
    member.put("a").await;
    disk.fail_sync(0);
    let trouble = member.consensus.propose(put("b")).await.expect_err("the member stops");
    assert!(trouble.may_have_happened());
    let faults = member.faults().await;
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().contains("sync"), "{}", faults[0]);
    assert_eq!(member.engine.keys(), ["a"], "what was not synced is not applied");
    member.consensus.shutdown().await;
}

#[tokio::test]
async fn a_fault_during_replay_is_the_fault_that_start_returns() {
    let disk = SimDisk::new();
    let member = Member::on_disk(&disk, Engine::default()).await;
    for i in 0..5 {
        member.put(format!("{i}")).await;
    }
    let engine = member.engine.crashed();
    member.stop().await;
    *engine.fail_at.lock() = Some(4);
    let started = Member::try_start(options(), &fs(&disk), Path::new(WAL_DIR), engine).await;
    let fault = started.err().expect("replay fails");
    assert_eq!(fault.to_string(), "the engine failed at entry 4");
}
