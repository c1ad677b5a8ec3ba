//! Letting go of the log behind the engine.

use std::path::Path;

use quorate_disk::file::SimDisk;

use super::{Engine, Member, WAL_DIR, fs, options, until};
use crate::raft::Options;

fn keeping(entries_kept: u64) -> Options {
    Options { entries_kept, ..options() }
}

async fn start(disk: &SimDisk, entries_kept: u64, engine: Engine) -> Member {
    Member::start_with(keeping(entries_kept), &fs(disk), Path::new(WAL_DIR), engine).await
}

#[tokio::test]
async fn the_log_is_let_go_behind_the_flush_but_for_what_is_kept() {
    let disk = SimDisk::new();
    let member = start(&disk, 10, Engine::default()).await;
    for i in 0..100 {
        member.put(format!("{i}")).await;
    }
    let flushed = member.engine.flush();
    member.consensus.purge_behind(flushed).await;
    until(|| member.consensus.status().purged_index == flushed - 10).await;

    // A restart goes on from there, and so does the next flush.
    let engine = member.engine.crashed();
    member.stop().await;
    let member = start(&disk, 10, engine).await;
    assert_eq!(member.engine.keys().len(), 100);
    assert!(member.engine.held().rounds.iter().sum::<usize>() >= 102, "nothing was applied again");
    let next = member.put("more").await;
    assert_eq!(next, flushed + 2);
    let flushed = member.engine.flush();
    member.consensus.purge_behind(flushed).await;
    until(|| member.consensus.status().purged_index == flushed - 10).await;
    member.stop().await;
}

#[tokio::test]
async fn what_the_engine_has_not_flushed_stays_in_the_log() {
    let disk = SimDisk::new();
    let member = start(&disk, 0, Engine::default()).await;
    for i in 0..50 {
        member.put(format!("{i}")).await;
    }
    let flushed = member.engine.flush();
    for i in 50..100 {
        member.put(format!("{i}")).await;
    }
    member.consensus.purge_behind(flushed).await;
    until(|| member.consensus.status().purged_index == flushed).await;
    let image = disk.fork();
    image.crash(3);
    let again = start(&image, 0, member.engine.crashed()).await;
    assert_eq!(again.engine.keys().len(), 100);
    again.stop().await;
    member.stop().await;
}

#[tokio::test]
async fn a_log_let_go_to_its_last_entry_goes_on_after_it() {
    let disk = SimDisk::new();
    let member = start(&disk, 0, Engine::default()).await;
    member.put("a").await;
    let flushed = member.engine.flush();
    member.consensus.purge_behind(flushed).await;
    until(|| member.consensus.status().purged_index == flushed).await;
    let engine = member.engine.crashed();
    member.stop().await;
    let member = start(&disk, 0, engine).await;
    assert_eq!(member.put("b").await, flushed + 2);
    member.stop().await;
}
