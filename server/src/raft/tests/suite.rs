//! openraft's own checks of a storage, against ours.

use std::path::Path;
use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use parking_lot::Mutex;
use quorate_core::error::Fault;
use quorate_core::machine::Outcome;
use tempfile::TempDir;

use super::{collector, open_wal};
use crate::raft::bell::Bell;
use crate::raft::codec::log_id;
use crate::raft::log_store::{Ends, LogStore};
use crate::raft::state_machine::{Flushed, StateMachine};
use crate::raft::types::Types;
use crate::raft::{Applied, Applier, Committed};

/// Flushes after every round, because the checks expect a snapshot to hold all that was applied. Indexes may jump, as the
/// checks do.
#[derive(Default)]
struct FlushesAtOnce {
    flushed: Arc<Mutex<Option<Arc<Mutex<Flushed>>>>>,
}

impl Applier for FlushesAtOnce {
    fn applied(&self) -> Result<Applied, Fault> {
        Ok(Applied::default())
    }

    async fn apply(&mut self, entries: &[Committed]) -> Result<Vec<Outcome>, Fault> {
        for entry in entries {
            let position = log_id(entry.term, entry.index).expect("from 1");
            if let Some(flushed) = &*self.flushed.lock() {
                flushed.lock().advance(position);
            }
        }
        Ok(vec![Ok(quorate_core::machine::Response::None); entries.len()])
    }
}

struct Builder;

impl StoreBuilder<Types, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<Types>> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (wal, _) = open_wal(&(Arc::new(quorate_disk::file::OsFileSystem) as _), Path::new(dir.path()));
        let (_, on_fault) = collector();
        let bell = Arc::new(Bell::new(on_fault));
        let applier = FlushesAtOnce::default();
        let cell = Arc::clone(&applier.flushed);
        let (machine, _) = StateMachine::new(applier, Arc::clone(&bell)).expect("an empty applier");
        *cell.lock() = Some(machine.flushed());
        Ok((dir, LogStore::new(wal, Ends::default(), u64::MAX, bell), machine))
    }
}

macro_rules! checks {
    ($($check:ident)*) => {
        $(#[tokio::test]
        async fn $check() {
            let (_dir, log, machine) = Builder.build().await.expect("built");
            Suite::<Types, LogStore, StateMachine, Builder, TempDir>::$check(log, machine).await.expect("it passes");
        })*
    };
}

// All of them but `transfer_snapshot`: this build installs no snapshots.
checks! {
    last_membership_in_log_initial
    last_membership_in_log
    last_membership_in_log_multi_step
    get_membership_initial
    get_membership_from_log_and_empty_sm
    get_membership_from_empty_log_and_sm
    get_membership_from_log_le_sm_last_applied
    get_membership_from_log_gt_sm_last_applied_1
    get_membership_from_log_gt_sm_last_applied_2
    get_initial_state_without_init
    get_initial_state_membership_from_empty_log_and_sm
    get_initial_state_membership_from_sm_inlog_is_smaller
    get_initial_state_membership_from_log_insm_is_smaller
    get_initial_state_with_state
    get_initial_state_last_log_gt_sm
    get_initial_state_last_log_lt_sm
    get_initial_state_inverted_log_order
    get_initial_state_conflict_at_same_index
    get_initial_state_log_ids
    get_initial_state_re_apply_committed
    save_vote
    get_log_entries
    limited_get_log_entries
    leader_bounded_stream
    entries_stream
    try_get_log_entry
    log_reader_reads_new_entries
    initial_logs
    get_log_state
    get_log_id
    last_id_in_log
    last_applied_state
    purge_logs_upto_0
    purge_logs_upto_5
    purge_logs_upto_20
    delete_logs_after_11
    delete_logs_after_5
    delete_logs_after_0
    delete_logs_after_none
    append_to_log
    snapshot_meta
    snapshot_meta_optional
    apply_single
    apply_multiple
}

#[tokio::test]
async fn entries_older_than_the_tail_are_read_from_the_log() {
    use openraft::storage::{IOFlushed, RaftLogStorage};
    use openraft::type_config::TypeConfigExt;
    use openraft::{EntryPayload, RaftLogReader};

    let (_dir, mut store, _machine) = Builder.build().await.expect("built");
    // More than the tail holds: 40 entries of about half a mebibyte.
    let value = vec![7; 512 << 10];
    for index in 1..=40 {
        let mut key = format!("{index:02}").into_bytes();
        key.extend_from_slice(&value);
        let proposal = crate::raft::types::Proposal::new(super::put(key));
        let entry = crate::raft::types::Entry {
            log_id: log_id(1, index).expect("from 1"),
            payload: EntryPayload::Normal(proposal),
        };
        let (tell, told) = <Types as TypeConfigExt>::oneshot();
        store.append([entry], IOFlushed::signal(tell)).await.expect("appended");
        told.await.expect("answered").expect("synced");
    }
    let keys = |entries: Vec<crate::raft::types::Entry>| -> Vec<String> {
        entries
            .iter()
            .map(|entry| match &entry.payload {
                EntryPayload::Normal(proposal) => {
                    String::from_utf8_lossy(&super::key(&proposal.command)[..2]).into_owned()
                }
                other => panic!("not a command: {other:?}"),
            })
            .collect()
    };
    let all: Vec<String> = (1..=40).map(|index| format!("{index:02}")).collect();
    assert_eq!(keys(store.try_get_log_entries(..).await.expect("read")), all);
    let limited = store.limited_get_log_entries(0, 40).await.expect("read");
    assert!(!limited.is_empty() && limited.len() <= 2, "a message holds a mebibyte, here {} entries", limited.len());
    let streamed: Vec<_> = {
        use futures::TryStreamExt;
        store.entries_stream(0..40).await.try_collect().await.expect("read")
    };
    assert_eq!(keys(streamed), all);
}
