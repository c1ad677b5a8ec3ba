//! What a crash leaves, and what is made of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use quorate_disk::file::SimDisk;
use tokio::task::JoinSet;

use super::{Engine, Member, put};

#[tokio::test]
async fn entries_the_engine_had_not_flushed_are_applied_again_from_the_log() {
    let disk = SimDisk::new();
    let member = Member::on_disk(&disk, Engine::default()).await;
    for i in 0..20 {
        member.put(format!("flushed-{i}")).await;
    }
    member.engine.flush();
    for i in 0..500 {
        member.put(format!("lost-{i}")).await;
    }
    let before = member.engine.held();
    let after = disk.fork();
    after.crash(1);
    let engine = member.engine.crashed();
    assert_eq!(engine.keys().len(), 20);

    let again = Member::on_disk(&after, engine).await;
    let held = again.engine.held();
    assert!(held.commands == before.commands, "the same commands at the same places");
    assert_eq!(held.applied.membership, before.applied.membership);
    again.stop().await;
    member.stop().await;
}

#[tokio::test]
async fn a_stop_between_flushes_loses_nothing_either() {
    let disk = SimDisk::new();
    let member = Member::on_disk(&disk, Engine::default()).await;
    for i in 0..10 {
        member.put(format!("{i}")).await;
    }
    let engine = member.engine.crashed();
    assert!(engine.keys().is_empty());
    let before = member.engine.held();
    member.stop().await;
    let again = Member::on_disk(&disk, engine).await;
    assert_eq!(again.engine.held().commands, before.commands);
    again.stop().await;
}

/// Crashes under load, many times over: what was answered is there, nothing is there twice, and what a member has once
/// served is never taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_crash_takes_back_what_was_answered() {
    let mut disk = SimDisk::new();
    let mut engine = Engine::default();
    let mut answered: BTreeSet<String> = BTreeSet::new();
    let mut term = 0;
    for seed in 0..25u64 {
        let member = Member::on_disk(&disk, engine.clone()).await;
        let keys: BTreeSet<String> =
            engine.keys().iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
        assert_eq!(keys.len(), engine.keys().len(), "no command is applied twice");
        assert!(answered.is_subset(&keys), "lost: {:?}", answered.difference(&keys).collect::<Vec<_>>());
        let status = member.consensus.status();
        assert!(status.term > term, "the vote of term {term} was forgotten");
        term = status.term;

        let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let mut load = JoinSet::new();
        for caller in 0..8 {
            let consensus = member.consensus.clone();
            let acknowledged = Arc::clone(&acknowledged);
            load.spawn(async move {
                for i in 0..40 {
                    let key = format!("{seed}-{caller}-{i}");
                    if consensus.propose(put(key.clone())).await.is_err() {
                        return;
                    }
                    acknowledged.lock().insert(key);
                }
            });
        }
        // Let the load run for a part of its length that differs from seed to seed.
        let share = usize::try_from(seed).expect("small") * 13 % 300;
        super::until(|| acknowledged.lock().len() >= share).await;
        if seed % 3 == 0 {
            let flushed = member.engine.flush();
            member.consensus.purge_behind(flushed).await;
        }
        // What was acknowledged before the image of the disk was taken must be on it.
        answered.extend(acknowledged.lock().iter().cloned());
        let crashed = member.engine.crashed();
        let image = disk.fork();
        image.crash(seed);
        load.join_all().await;
        member.stop().await;
        (disk, engine) = (image, crashed);
    }
    assert!(answered.len() > 1_000, "the load was real: {}", answered.len());
}
