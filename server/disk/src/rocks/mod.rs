//! The tables of the state machine, in RocksDB. Nothing outside this folder names RocksDB.
//!
//! Rule: the store is always that of one applied index. A batch goes into memory whole, and a flush takes the memory of
//! all tables to disk in one step (`atomic_flush`), the applied index among them. RocksDB's own log is off: what a crash
//! takes from memory is replayed from the Raft log, which is why that log is kept from [`Engine::durable_applied`] on.
//!
//! ```text
//!   write(round) ──▶ memory of 7 tables ──flush──▶ files of 7 tables + one manifest record ──compaction──▶ merged files
//!                    lost by a crash               survives, with the applied index it belongs to
//! ```
//!
//! A round is written by one thread; any number of threads read. [`Engine::flush`], [`Engine::reclaim`] and
//! [`RocksEngine::checkpoint`] block for long and belong on a thread of their own. Nothing here reads a clock: the caller
//! times what it calls.
//!
//! * [`options`]: what can be set, and how each table is laid out.
//! * [`fault`]: RocksDB's errors as sentences for an operator.
//! * [`policy`]: when to flush.
//! * `merge`: joins the small files that frequent flushes leave; part of a flush.
//! * [`gauges`]: numbers for metrics.
//!
//! Left out: `delete_range`. Rows to drop come as single revisions between which others may live, so a span of them is
//! never known to be contiguous here.

pub mod fault;
pub mod gauges;
mod merge;
pub mod options;
pub mod policy;

pub use gauges::Gauges;
pub use options::EngineOptions;
pub use policy::{FlushPolicy, Unflushed};

use bytes::Bytes;
use fault::Place;
use quorate_core::error::Fault;
use quorate_core::ids::LogIndex;
use quorate_core::storage::codec::{self, REVISION_BYTES};
use quorate_core::storage::table::meta;
use quorate_core::storage::{Engine, EngineSize, Table, Visit, Write};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::properties::{BACKGROUND_ERRORS, CUR_SIZE_ALL_MEM_TABLES, LIVE_SST_FILES_SIZE, PropName};
use rocksdb::{
    BottommostLevelCompaction, Cache, ColumnFamily, CompactOptions, DB, DBPinnableSlice, FlushOptions, ReadOptions,
    ReadTier, WaitForCompactOptions, WriteBatch, WriteOptions,
};
use std::fmt;
use std::path::Path;

/// Keys per call into RocksDB when many are read, so that the blocks they pin stay few.
const READ_TOGETHER_KEYS: usize = 256;
/// What RocksDB adds to a change inside a batch: its kind, its table and two lengths.
const CHANGE_OVERHEAD_BYTES: usize = 12;

/// An open store.
pub struct RocksEngine {
    db: DB,
    cache: Cache,
    place: Place,
    without_log: WriteOptions,
}

impl fmt::Debug for RocksEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksEngine").field("directory", &self.place.directory()).finish_non_exhaustive()
    }
}

impl RocksEngine {
    /// Opens the store in `directory`; a directory that is missing or empty becomes an empty store.
    ///
    /// An empty store is the truth only when the Raft log begins at its first entry, and a store is complete only when
    /// that log reaches back to [`Engine::durable_applied`]. The caller knows both and must compare.
    ///
    /// # Errors
    /// A fault when another process has it open, when this one may not read or write it, or when it is damaged.
    pub fn open(directory: &Path, options: &EngineOptions) -> Result<Self, Fault> {
        let place = Place::new(directory);
        place.prepare()?;
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let db = DB::open_cf_descriptors(
            &options::database(options),
            directory,
            Table::ALL.map(|table| options::table(table, options, &cache)),
        )
        .map_err(|error| place.fault("opening it", &error))?;
        let mut without_log = WriteOptions::default();
        without_log.disable_wal(true);
        Ok(Self { db, cache, place, without_log })
    }

    /// The directory that holds the store.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.place.directory()
    }

    /// Makes a store in `directory`, which must not exist yet, that holds what is written now. Its files are hard links
    /// where the file system has them, so it costs little, but it keeps files that compaction would have freed: use it
    /// and remove it. It flushes, so the store here is durable up to that point as well.
    ///
    /// The copy has every table, [`Table::Local`] too; who hands it to another member leaves that one out.
    ///
    /// # Errors
    /// A fault of the engine, or when the directory exists or is on another file system that is full.
    pub fn checkpoint(&self, directory: &Path) -> Result<(), Fault> {
        Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(directory))
            .map_err(|error| self.place.fault(&format!("copying it to {}", directory.display()), &error))
    }

    /// Joins neighbouring small files of one table, if there are enough of them, while reads and writes go on.
    fn merge_small_files(&self) -> Result<(), Fault> {
        let files = self.db.live_files().map_err(|error| self.place.fault("listing its files", &error))?;
        merge::small_spans(&files)
            .iter()
            .try_for_each(|span| self.compact(&span.table, Some(&span.first_key), Some(&span.last_key)))
    }

    /// Waits until no flush and no compaction is running or due.
    ///
    /// # Errors
    /// A fault of the engine.
    pub fn settle(&self) -> Result<(), Fault> {
        self.db
            .wait_for_compact(&WaitForCompactOptions::default())
            .map_err(|error| self.place.fault("waiting for its compactions", &error))
    }

    /// Ends compactions that are under way, so that a [`Engine::reclaim`] on another thread returns and the store can be
    /// closed soon. Flush first: afterwards flushes are refused.
    pub fn stop_background(&self) {
        self.db.cancel_all_background_work(false);
    }

    /// Numbers for metrics, as of now.
    ///
    /// # Errors
    /// A fault of the engine.
    pub fn gauges(&self) -> Result<Gauges, Fault> {
        gauges::read(self)
    }

    fn handle(&self, table: Table) -> &ColumnFamily {
        self.db.cf_handle(table.name()).expect("the store was opened with every table")
    }

    fn compact(&self, table: &str, start: Option<&[u8]>, end: Option<&[u8]>) -> Result<(), Fault> {
        let Some(handle) = self.db.cf_handle(table) else {
            return Ok(());
        };
        let mut how = CompactOptions::default();
        // Others may flush and compact meanwhile; exclusive would hold up writers behind us.
        how.set_exclusive_manual_compaction(false);
        how.set_bottommost_level_compaction(BottommostLevelCompaction::ForceOptimized);
        self.db.compact_range_cf_opt(handle, start, end, &how);
        // That call reports nothing, so ask for the errors of background work.
        match self.sum(BACKGROUND_ERRORS)? {
            0 => Ok(()),
            _ => Err(self.place.background()),
        }
    }

    /// A property, summed over the tables.
    fn sum(&self, property: &PropName) -> Result<u64, Fault> {
        Table::ALL.iter().try_fold(0, |sum: u64, table| Ok(sum + self.property(*table, property)?))
    }

    fn property(&self, table: Table, property: &PropName) -> Result<u64, Fault> {
        let value = self.db.property_int_value_cf(self.handle(table), property);
        Ok(value.map_err(|error| self.place.fault("reading its properties", &error))?.unwrap_or(0))
    }
}

impl Engine for RocksEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Fault> {
        match self.db.get_pinned_cf(self.handle(table), key) {
            Ok(found) => Ok(found.as_ref().map(owned)),
            Err(error) => Err(self.place.row_fault(table, key, &error)),
        }
    }

    fn get_many(&self, table: Table, keys: &[[u8; REVISION_BYTES]]) -> Result<Vec<Option<Bytes>>, Fault> {
        if let [key] = keys {
            return Ok(vec![self.get(table, key)?]);
        }
        let handle = self.handle(table);
        let mut rows = Vec::with_capacity(keys.len());
        for together in keys.chunks(READ_TOGETHER_KEYS) {
            let found = self.db.batched_multi_get_cf(handle, together, together.is_sorted());
            for (key, row) in together.iter().zip(found) {
                let row = row.map_err(|error| self.place.row_fault(table, key, &error))?;
                rows.push(row.as_ref().map(owned));
            }
        }
        Ok(rows)
    }

    fn scan(&self, table: Table, start: &[u8], end: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<(), Fault> {
        if end.is_some_and(|end| end <= start) {
            return Ok(());
        }
        let mut how = ReadOptions::default();
        // A scan passes by once; the cache is for rows that are asked for again.
        how.fill_cache(false);
        if let Some(end) = end {
            how.set_iterate_upper_bound(end);
        }
        let mut rows = self.db.raw_iterator_cf_opt(self.handle(table), how);
        rows.seek(start);
        while let Some((key, value)) = rows.item() {
            if visit(key, value).is_break() {
                return Ok(());
            }
            rows.next();
        }
        rows.status().map_err(|error| self.place.fault(&format!("reading table {}", table.name()), &error))
    }

    fn write(&self, batch: &[Write]) -> Result<(), Fault> {
        let handles = Table::ALL.map(|table| self.handle(table));
        let mut changes = WriteBatch::with_capacity_bytes(batch_bytes(batch));
        for write in batch {
            match write {
                Write::Put { table, key, value } => changes.put_cf(&handles[place_in_all(*table)], key, value),
                Write::Delete { table, key } => changes.delete_cf(&handles[place_in_all(*table)], key),
            }
        }
        self.db.write_opt(changes, &self.without_log).map_err(|error| self.place.fault("writing to it", &error))
    }

    fn flush(&self) -> Result<(), Fault> {
        let mut how = FlushOptions::default();
        how.set_wait(true);
        let handles = Table::ALL.map(|table| self.handle(table));
        self.db.flush_cfs_opt(&handles.each_ref(), &how).map_err(|error| self.place.fault("flushing it", &error))?;
        self.merge_small_files()
    }

    fn durable_applied(&self) -> Result<LogIndex, Fault> {
        let mut how = ReadOptions::default();
        how.set_read_tier(ReadTier::Persisted);
        match self.db.get_pinned_cf_opt(self.handle(Table::Meta), meta::APPLIED, &how) {
            Ok(Some(value)) => Ok(codec::applied(&value)?.1),
            Ok(None) => Ok(LogIndex(0)),
            Err(error) => Err(self.place.row_fault(Table::Meta, meta::APPLIED, &error)),
        }
    }

    fn size(&self) -> Result<EngineSize, Fault> {
        Ok(EngineSize {
            disk_bytes: self.sum(LIVE_SST_FILES_SIZE)?,
            unflushed_bytes: self.sum(CUR_SIZE_ALL_MEM_TABLES)?,
        })
    }

    fn reclaim(&self) -> Result<(), Fault> {
        Table::ALL.iter().try_for_each(|table| self.compact(table.name(), None, None))
    }
}

fn owned(slice: &DBPinnableSlice<'_>) -> Bytes {
    Bytes::copy_from_slice(slice)
}

/// Where the table stands in [`Table::ALL`].
const fn place_in_all(table: Table) -> usize {
    table as usize - 1
}

fn batch_bytes(batch: &[Write]) -> usize {
    let change = |write: &Write| match write {
        Write::Put { key, value, .. } => key.len() + value.len() + CHANGE_OVERHEAD_BYTES,
        Write::Delete { key, .. } => key.len() + CHANGE_OVERHEAD_BYTES,
    };
    // The batch's own header is as long as a change's.
    batch.iter().map(change).sum::<usize>() + CHANGE_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_with_a_table_of_a_newer_version_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut newer = RocksEngine::open(directory.path(), &EngineOptions::default()).expect("an empty store opens");
        newer.db.create_cf("from-the-future", &rocksdb::Options::default()).expect("a table is added");
        drop(newer);
        let refused = RocksEngine::open(directory.path(), &EngineOptions::default()).expect_err("the table is unknown");
        assert!(refused.to_string().contains("Start the version that wrote it"), "{refused}");
    }

    #[test]
    fn a_tables_number_is_its_place_in_the_list() {
        for (place, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(place_in_all(table), place);
        }
    }
}
