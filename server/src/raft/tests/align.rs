//! The engine and the log at odds, as a crash can leave them, and as only damage can.

use std::path::Path;
use std::sync::Arc;

use openraft::EntryPayload;
use quorate_disk::file::{FileSystem, SimDisk};
use quorate_disk::wal::{Wal, WalOptions};
use quorate_proto::internal as pb;

use super::{Engine, Member, NODE, WAL_DIR, fs, open_wal, options, put};
use crate::raft::Applied;
use crate::raft::align::align;
use crate::raft::codec::{encode_entry, encode_log_id, encode_vote, log_id};
use crate::raft::types::{Entry, Proposal, Vote};

/// Writes a log with a vote for term `vote` and entries of the terms given, from `first` on.
async fn write_log(disk: &SimDisk, vote: u64, first: u64, terms: &[u64], committed: Option<(u64, u64)>) {
    let fs: Arc<dyn FileSystem> = fs(disk);
    let (wal, _) = open_wal(&fs, Path::new(WAL_DIR));
    wal.save_vote(encode_vote(&Vote::new_committed(vote, NODE)), Box::new(|done| done.expect("saved")));
    if first > 1 {
        wal.purge_through(first - 1, terms[0], Box::new(|done| done.expect("purged")));
    }
    let records = terms
        .iter()
        .zip(first..)
        .map(|(term, index)| {
            let payload = EntryPayload::Normal(Proposal::new(put(format!("old-{index}"))));
            encode_entry(&Entry { log_id: log_id(*term, index).expect("from 1"), payload })
        })
        .collect();
    wal.append(records, Box::new(|done| done.expect("appended"))).expect("fits");
    if let Some((term, index)) = committed {
        wal.save_committed(encode_log_id(log_id(term, index).expect("from 1")));
    }
    wal.close();
}

/// An engine that has applied up to an entry, in a cluster of one.
fn engine_at(term: u64, index: u64) -> Engine {
    let engine = Engine::default();
    let membership = pb::Membership {
        configs: vec![pb::NodeSet { voter_ids: vec![NODE] }],
        nodes: vec![pb::Node { id: NODE, peer_urls: vec![] }],
    };
    engine.held.lock().applied = Applied {
        position: Some((term, index)),
        membership: pb::StoredMembership { log_term: 0, log_index: 1, has_log_id: true, membership: Some(membership) },
    };
    engine.flush();
    engine
}

/// Starts, proposes, restarts from the flushed engine, and gives the indexes of the two proposals.
async fn goes_on(disk: &SimDisk, engine: Engine) -> (u64, u64) {
    let member = Member::on_disk(disk, engine).await;
    let first = member.put("new-1").await;
    assert_eq!(member.engine.keys().last().expect("applied"), "new-1");
    let engine = member.engine.crashed();
    member.stop().await;
    let member = Member::on_disk(disk, engine).await;
    let second = member.put("new-2").await;
    let keys = member.engine.keys();
    assert!(keys.ends_with(&["new-1".into(), "new-2".into()]), "{keys:?}");
    assert!(!keys.iter().any(|key| key.starts_with(b"old")), "nothing of the discarded log is applied: {keys:?}");
    member.stop().await;
    (first, second)
}

#[tokio::test]
async fn a_log_that_ends_before_the_engine_is_discarded_and_goes_on_after_it() {
    let disk = SimDisk::new();
    write_log(&disk, 3, 1, &[1, 1, 2, 3], None).await;
    // The blank entry of the new term comes first.
    assert_eq!(goes_on(&disk, engine_at(3, 9)).await, (11, 13));
}

#[tokio::test]
async fn a_log_of_nothing_but_a_vote_goes_on_after_the_engine() {
    let disk = SimDisk::new();
    write_log(&disk, 3, 1, &[], None).await;
    assert_eq!(goes_on(&disk, engine_at(3, 9)).await, (11, 13));
}

#[tokio::test]
async fn an_older_tail_beside_the_engine_is_discarded_even_if_it_is_longer() {
    let disk = SimDisk::new();
    write_log(&disk, 5, 1, &[1, 1, 4, 4, 4, 4, 4, 4], None).await;
    assert_eq!(goes_on(&disk, engine_at(5, 5)).await, (7, 9));
}

#[tokio::test]
async fn a_crash_while_the_log_is_discarded_is_made_good_at_the_next_start() {
    let whole = SimDisk::new();
    write_log(&whole, 5, 1, &[1, 1, 4, 4, 4, 4, 4, 4], None).await;
    let counted = whole.fork();
    let start = |disk: SimDisk| async move {
        Member::try_start(options(), &fs(&disk), Path::new(WAL_DIR), engine_at(5, 5)).await
    };
    let before = counted.operations();
    start(counted.clone()).await.expect("starts").stop().await;
    let operations = counted.operations() - before;
    assert!(operations > 4, "there is something to cut");
    for n in 0..=operations {
        let disk = whole.fork();
        disk.cut_power_at(disk.operations() + n);
        let options = WalOptions { segment_bytes: 64 << 10, ..Default::default() };
        if let Ok((wal, recovered)) = Wal::open(fs(&disk), Path::new(WAL_DIR), options) {
            // Whether it got through depends on where it was cut.
            align(&wal, &recovered, Some((5, 5))).await.ok();
        }
        disk.crash(n);
        assert_eq!(goes_on(&disk, engine_at(5, 5)).await, (7, 9), "after a cut at operation {n}");
    }
}

#[tokio::test]
async fn a_committed_position_whose_entry_did_not_survive_is_not_believed() {
    let disk = SimDisk::new();
    write_log(&disk, 3, 5, &[2, 2], Some((3, 9))).await;
    let fs: Arc<dyn FileSystem> = fs(&disk);
    let (wal, recovered) = open_wal(&fs, Path::new(WAL_DIR));
    let ends = align(&wal, &recovered, Some((2, 5))).await.expect("fits");
    assert_eq!(ends.committed, None);
    assert_eq!(ends.recovered_committed, log_id(3, 9), "but clients may have seen it, so the member waits for it");
    wal.close();
}

#[tokio::test]
async fn a_committed_position_in_the_log_is_applied_before_the_member_is_ready() {
    let disk = SimDisk::new();
    write_log(&disk, 2, 1, &[1, 1, 2, 2, 2], Some((2, 4))).await;
    let member = Member::try_start(options(), &fs(&disk), Path::new(WAL_DIR), engine_at(1, 2)).await.expect("starts");
    assert_eq!(member.engine.keys(), ["old-3", "old-4"]);
    member.stop().await;
}

#[tokio::test]
async fn damage_is_refused_with_a_sentence() {
    // What is wrong, the log's vote, first index and terms, the engine's position, and a part of the sentence.
    type Case = (&'static str, u64, u64, &'static [u64], Option<(u64, u64)>, &'static str);
    let cases: &[Case] = &[
        ("the store is gone", 2, 4, &[2, 2], None, "the log begins after entry 3, but the store is empty"),
        ("the store is too old", 2, 8, &[2, 2], Some((2, 5)), "the store ends with entry 5, but the log begins after"),
        ("a younger log beside", 4, 1, &[1, 3, 3], Some((2, 2)), "entry 2 of the log is of term 3"),
        ("a younger log before", 4, 1, &[1, 3, 3], Some((2, 7)), "entry 3 of the log is of term 3"),
    ];
    for (what, vote, first, terms, applied, sentence) in cases {
        let disk = SimDisk::new();
        write_log(&disk, *vote, *first, terms, None).await;
        let engine = applied.map_or_else(Engine::default, |(term, index)| engine_at(term, index));
        let before = disk.fork();
        let started = Member::try_start(options(), &fs(&disk), Path::new(WAL_DIR), engine.clone()).await;
        let fault = started.err().unwrap_or_else(|| panic!("{what}: it must not start")).to_string();
        assert!(fault.contains(sentence), "{what}: {fault}");
        // The refusal changed nothing, so the next start says the same.
        let again = Member::try_start(options(), &fs(&before), Path::new(WAL_DIR), engine).await;
        assert_eq!(again.err().map(|fault| fault.to_string()), Some(fault));
    }
}

#[tokio::test]
async fn a_new_log_beside_a_store_with_entries_is_refused() {
    let started = Member::try_start(options(), &fs(&SimDisk::new()), Path::new(WAL_DIR), engine_at(2, 5)).await;
    let fault = started.err().expect("refused").to_string();
    assert!(fault.contains("the store holds entry 5, but the log is new"), "{fault}");
}
