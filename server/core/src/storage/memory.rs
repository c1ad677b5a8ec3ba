//! An engine in memory, with the flush and crash behaviour of the real one.
//!
//! Rule: what was flushed survives [`MemoryEngine::crash`], nothing else does, and batches survive whole. The simulator
//! and the script tests run on it; it is also the reference that the RocksDB engine is compared with.

use crate::error::Fault;
use crate::ids::LogIndex;
use crate::storage::codec::{self, REVISION_BYTES};
use crate::storage::table::{Table, meta};
use crate::storage::{Engine, EngineSize, Visit, Write};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Rows = BTreeMap<(Table, Bytes), Bytes>;

/// Tables as one sorted map, twice: as written, and as flushed.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    written: Rows,
    flushed: Rows,
}

impl MemoryEngine {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was not flushed, as a crash does.
    pub fn crash(&self) {
        let mut state = self.lock();
        state.written = state.flushed.clone();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the maps whole, so a panic elsewhere does not spoil them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.lock().written.get(&(table, Bytes::copy_from_slice(key))).cloned())
    }

    fn get_many(&self, table: Table, keys: &[[u8; REVISION_BYTES]]) -> Result<Vec<Option<Bytes>>, Fault> {
        keys.iter().map(|key| self.get(table, key)).collect()
    }

    fn scan(&self, table: Table, start: &[u8], end: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let state = self.lock();
        let from = Bound::Included((table, Bytes::copy_from_slice(start)));
        for ((row_table, key), value) in state.written.range((from, Bound::Unbounded)) {
            if *row_table != table || end.is_some_and(|end| &key[..] >= end) || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: &[Write]) -> Result<(), Fault> {
        let mut state = self.lock();
        for write in batch {
            match write {
                Write::Put { table, key, value } => {
                    state.written.insert((*table, key.clone()), value.clone());
                }
                Write::Delete { table, key } => {
                    state.written.remove(&(*table, key.clone()));
                }
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Fault> {
        let mut state = self.lock();
        state.flushed = state.written.clone();
        Ok(())
    }

    fn durable_applied(&self) -> Result<LogIndex, Fault> {
        let state = self.lock();
        match state.flushed.get(&(Table::Meta, Bytes::from_static(meta::APPLIED))) {
            Some(value) => Ok(codec::applied(value)?.1),
            None => Ok(LogIndex(0)),
        }
    }

    fn size(&self) -> Result<EngineSize, Fault> {
        let state = self.lock();
        let bytes = |rows: &Rows| rows.iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum();
        let disk_bytes = bytes(&state.flushed);
        let written: u64 = bytes(&state.written);
        Ok(EngineSize { disk_bytes, unflushed_bytes: written.saturating_sub(disk_bytes) })
    }

    fn reclaim(&self) -> Result<(), Fault> {
        Ok(())
    }
}
