//! Numbers for metrics.
//!
//! Rule: read when asked, never counted on the way: the write path pays nothing. They are RocksDB's own and approximate.
//! Durations are missing on purpose: who calls `write`, `flush` and `reclaim` times them.

use super::RocksEngine;
use quorate_core::error::Fault;
use quorate_core::storage::Table;
use rocksdb::properties::{
    BACKGROUND_ERRORS, COMPACTION_PENDING, CUR_SIZE_ALL_MEM_TABLES, ESTIMATE_NUM_KEYS,
    ESTIMATE_PENDING_COMPACTION_BYTES, ESTIMATE_TABLE_READERS_MEM, IS_WRITE_STOPPED, LIVE_SST_FILES_SIZE,
    NUM_RUNNING_COMPACTIONS, NUM_RUNNING_FLUSHES,
};

/// The state of the store, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Bytes of all files in use.
    pub disk_bytes: u64,
    /// Files in use.
    pub files: u64,
    /// Bytes of rows in memory that are not in files yet.
    pub unflushed_bytes: u64,
    /// Bytes of blocks in the cache.
    pub block_cache_bytes: u64,
    /// Bytes that readers of files hold outside the cache.
    pub reader_bytes: u64,
    /// Rows of [`Table::Row`], estimated.
    pub rows: u64,
    /// Flushes running.
    pub flushes: u64,
    /// Compactions running.
    pub compactions: u64,
    /// Bytes that compaction is behind, estimated.
    pub compaction_debt_bytes: u64,
    /// Tables that have a compaction due.
    pub compactions_pending: u64,
    /// True while RocksDB refuses to take writes because flushing cannot follow.
    pub writes_stopped: bool,
    /// Errors of flushes and compactions since the store was opened.
    pub background_errors: u64,
}

pub(super) fn read(engine: &RocksEngine) -> Result<Gauges, Fault> {
    let files = Table::ALL
        .iter()
        .map(|table| engine.db.get_column_family_metadata_cf(engine.handle(*table)).file_count as u64)
        .sum();
    Ok(Gauges {
        disk_bytes: engine.sum(LIVE_SST_FILES_SIZE)?,
        files,
        unflushed_bytes: engine.sum(CUR_SIZE_ALL_MEM_TABLES)?,
        block_cache_bytes: engine.cache.get_usage() as u64,
        reader_bytes: engine.sum(ESTIMATE_TABLE_READERS_MEM)?,
        rows: engine.property(Table::Row, ESTIMATE_NUM_KEYS)?,
        // The next three belong to the whole store, whichever table is asked.
        flushes: engine.property(Table::Meta, NUM_RUNNING_FLUSHES)?,
        compactions: engine.property(Table::Meta, NUM_RUNNING_COMPACTIONS)?,
        writes_stopped: engine.property(Table::Meta, IS_WRITE_STOPPED)? != 0,
        compaction_debt_bytes: engine.sum(ESTIMATE_PENDING_COMPACTION_BYTES)?,
        compactions_pending: engine.sum(COMPACTION_PENDING)?,
        background_errors: engine.property(Table::Meta, BACKGROUND_ERRORS)?,
    })
}
