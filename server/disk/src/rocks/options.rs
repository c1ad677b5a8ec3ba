//! What can be set, and how each table is laid out.
//!
//! Rule: memory is bounded by two numbers, the block cache and the write buffer, whatever the store holds. Index and
//! filter blocks of files live in the block cache too.
//!
//! | table | read how | so |
//! |---|---|---|
//! | row | by exact revision, or in order | 8 KiB blocks; a filter above the bottom level, where deletions make files overlap |
//! | index | only from end to end, at start | 32 KiB blocks, no filter |
//! | others | few rows | 4 KiB blocks, no filter |

use quorate_core::storage::Table;
use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, LogLevel, Options};

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Bytes of decompressed blocks, indexes and filters kept in memory.
    pub block_cache_bytes: usize,
    /// Bytes of unflushed rows at which RocksDB flushes by itself. [`super::FlushPolicy`] should be due earlier; this is
    /// the bound that holds if it is not. At least 4 MiB are taken.
    pub write_buffer_bytes_total: usize,
    /// Threads that flush and compact.
    pub max_background_jobs: i32,
    /// Files kept open. Beyond it the least recently used one is closed.
    pub open_files_max: i32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 32 << 20,
            write_buffer_bytes_total: 48 << 20,
            max_background_jobs: 2,
            open_files_max: 512,
        }
    }
}

/// Bytes of a file that compaction writes. Large enough that 100 GiB are 1,600 files, small enough that moving one into
/// the next level rewrites little.
pub(super) const FILE_BYTES: u64 = 64 << 20;
/// Bytes that are written between two hints to the kernel to start writing them out, so that a flush does not pile up
/// dirty pages in front of the Raft log's next sync.
const SYNC_EVERY_BYTES: u64 = 1 << 20;
/// A file in which so many of so many neighbouring rows are deletions, or this share of all rows, is compacted at once
/// instead of when its level is full. Measured on 500,000 keys overwritten and trimmed three times: without it the store
/// stayed at twice its size until `reclaim`, with it the room was back after each trim, and flushes were no slower.
const DELETIONS: (usize, usize, f64) = (512, 1_024, 0.3);
/// Less than this and the first blocks of seven memtables fill it, so that every round is flushed.
const WRITE_BUFFER_BYTES_MIN: usize = 4 << 20;
const FILTER_BITS_PER_KEY: f64 = 10.0;

pub(super) fn database(options: &EngineOptions) -> Options {
    let mut database = Options::default();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    database.set_atomic_flush(true);
    database.set_paranoid_checks(true);
    database.set_db_write_buffer_size(options.write_buffer_bytes_total.max(WRITE_BUFFER_BYTES_MIN));
    database.set_max_background_jobs(options.max_background_jobs);
    database.set_max_open_files(options.open_files_max);
    database.set_bytes_per_sync(SYNC_EVERY_BYTES);
    // RocksDB's own diary: a few files, what went wrong only.
    database.set_log_level(LogLevel::Warn);
    database.set_keep_log_file_num(3);
    database.set_max_log_file_size(1 << 20);
    database.set_stats_dump_period_sec(0);
    database.set_stats_persist_period_sec(0);
    database
}

pub(super) fn table(table: Table, options: &EngineOptions, cache: &Cache) -> ColumnFamilyDescriptor {
    let mut layout = Options::default();
    let mut blocks = BlockBasedOptions::default();
    blocks.set_format_version(6);
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // The total decides when memory is flushed; a table's own bound must not come before it. `meta` alone would fill a
    // small one, because every round writes the applied index anew.
    layout.set_write_buffer_size(options.write_buffer_bytes_total);
    layout.set_max_write_buffer_number(3);
    layout.set_compression_type(DBCompressionType::Lz4);
    layout.set_target_file_size_base(FILE_BYTES);
    layout.set_level_compaction_dynamic_level_bytes(true);
    match table {
        Table::Row => {
            // Measured with 256-byte values: 4, 8 and 16 KiB read a row in 4.7, 5.4 and 6.1 us; larger need less index.
            blocks.set_block_size(8 << 10);
            blocks.set_bloom_filter(FILTER_BITS_PER_KEY, false);
            // Almost every read finds its row, so a filter at the bottom would only say yes.
            layout.set_optimize_filters_for_hits(true);
        }
        Table::Index => blocks.set_block_size(32 << 10),
        Table::Lease | Table::Alarm | Table::Member | Table::Meta | Table::Local => {
            blocks.set_block_size(4 << 10);
            layout.set_arena_block_size(64 << 10);
        }
    }
    let (deletions, window, share) = DELETIONS;
    layout.add_compact_on_deletion_collector_factory(window, deletions, share);
    layout.set_block_based_table_factory(&blocks);
    ColumnFamilyDescriptor::new(table.name(), layout)
}
