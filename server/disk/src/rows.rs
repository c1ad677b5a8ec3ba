//! A cache of encoded rows over an engine: what ranges, compares, watches and `prev_kv` read.
//!
//! Rule: a row of a revision never changes, so nothing here is ever out of date; it is only present or not. Memory is
//! bounded in bytes, the cache's own bookkeeping counted. Rows enter when they are published, because what was just
//! written is what watchers and the next transaction ask for, and when a small read misses them. A large read passes by:
//! it takes what is there and leaves the rest to the engine, so that one list of everything does not cost everyone else
//! their rows.
//!
//! A row handed out shares its bytes with the cache and keeps only itself alive: rows are encoded one by one, never cut
//! from a request.

use bytes::Bytes;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use quorate_core::error::Fault;
use quorate_core::ids::Revision;
use quorate_core::storage::codec::row_key;
use quorate_core::storage::{Engine, Rows, Table};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of cached rows by default.
pub const ROW_CACHE_BYTES_DEFAULT: u64 = 64 << 20;
/// A read of more rows than this does not fill the cache. Kubernetes pages by 500.
pub const FILL_ROWS_MAX: usize = 1_024;
/// What a row costs beyond its bytes: 87 measured for its entry and hash slots in the cache, 24 for the shared count of its
/// bytes, and what the allocator adds to both; a test holds the number to it.
const ROW_OVERHEAD_BYTES: u64 = 160;
/// The size of a row that sizes the cache's tables; being wrong costs some memory, nothing else.
const TYPICAL_ROW_BYTES: u64 = 512;
/// More shards contend less; a row larger than a shard is not kept. At the default a shard holds five of the largest rows.
const SHARDS: usize = 8;

#[derive(Clone)]
struct ByBytes;

impl Weighter<Revision, Bytes> for ByBytes {
    fn weight(&self, _: &Revision, row: &Bytes) -> u64 {
        row.len() as u64 + ROW_OVERHEAD_BYTES
    }
}

/// How the cache did since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Rows asked for and found in the cache.
    pub hits: u64,
    /// Rows asked for and read from the engine.
    pub misses: u64,
    /// Rows in the cache now.
    pub rows: u64,
    /// Bytes that they take, bookkeeping counted.
    pub bytes: u64,
}

/// Rows of an engine, the recently used ones from memory.
pub struct CachedRows<E: ?Sized> {
    engine: Arc<E>,
    cache: Cache<Revision, Bytes, ByBytes>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<E: ?Sized> fmt::Debug for CachedRows<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedRows").field("bytes", &self.cache.weight()).finish_non_exhaustive()
    }
}

impl<E: Engine + ?Sized> CachedRows<E> {
    /// An empty cache of at most `bytes_max` over `engine`. Zero turns it off.
    #[must_use]
    pub fn new(engine: Arc<E>, bytes_max: u64) -> Self {
        let rows = usize::try_from(bytes_max / (TYPICAL_ROW_BYTES + ROW_OVERHEAD_BYTES)).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .weight_capacity(bytes_max)
            .estimated_items_capacity(rows)
            .shards(SHARDS)
            .build()
            .expect("both capacities are given");
        let cache = Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { engine, cache, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The engine behind.
    #[must_use]
    pub fn engine(&self) -> &Arc<E> {
        &self.engine
    }

    /// Takes the rows of a published round.
    pub fn insert_many(&self, rows: impl IntoIterator<Item = (Revision, Bytes)>) {
        for (revision, row) in rows {
            self.cache.insert(revision, row);
        }
    }

    /// How the cache did.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        CacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            rows: self.cache.len() as u64,
            bytes: self.cache.weight(),
        }
    }

    /// Reads from the engine what `found` lacks, and fills both.
    fn read_missing(&self, revisions: &[Revision], found: &mut [Option<Bytes>]) -> Result<(), Fault> {
        let missing: Vec<usize> = (0..found.len()).filter(|at| found[*at].is_none()).collect();
        self.misses.fetch_add(missing.len() as u64, Ordering::Relaxed);
        let keys: Vec<_> = missing.iter().map(|at| row_key(revisions[*at])).collect();
        for (at, row) in missing.into_iter().zip(self.engine.get_many(Table::Row, &keys)?) {
            if let Some(row) = &row
                && revisions.len() <= FILL_ROWS_MAX
            {
                self.cache.insert(revisions[at], row.clone());
            }
            found[at] = row;
        }
        Ok(())
    }
}

impl<E: Engine + ?Sized> Rows for CachedRows<E> {
    fn rows(&self, revisions: &[Revision]) -> Result<Vec<Bytes>, Fault> {
        let mut found: Vec<Option<Bytes>> = revisions.iter().map(|revision| self.cache.get(revision)).collect();
        let hits = found.iter().flatten().count();
        self.hits.fetch_add(hits as u64, Ordering::Relaxed);
        if hits < revisions.len() {
            self.read_missing(revisions, &mut found)?;
        }
        revisions.iter().zip(found).map(|(revision, row)| row.ok_or_else(|| missing(*revision))).collect()
    }

    fn row(&self, revision: Revision) -> Result<Bytes, Fault> {
        if let Some(row) = self.cache.get(&revision) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(row);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let row = self.engine.get(Table::Row, &row_key(revision))?.ok_or_else(|| missing(revision))?;
        self.cache.insert(revision, row.clone());
        Ok(row)
    }
}

fn missing(revision: Revision) -> Fault {
    Fault::damaged(Table::Row.name(), &row_key(revision), "the row is missing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::storage::Write;
    use quorate_core::storage::memory::MemoryEngine;

    fn row(main: i64, bytes: usize) -> (Revision, Bytes) {
        (Revision::new(main, 0), Bytes::from(vec![main as u8; bytes]))
    }

    /// An engine with rows of revisions 1 to `newest`, 100 bytes each.
    fn engine(newest: i64) -> Arc<MemoryEngine> {
        let engine = MemoryEngine::new();
        let put = |main| {
            let (revision, value) = row(main, 100);
            Write::Put { table: Table::Row, key: Bytes::copy_from_slice(&row_key(revision)), value }
        };
        engine.write(&(1..=newest).map(put).collect::<Vec<_>>()).expect("memory takes it");
        Arc::new(engine)
    }

    fn revisions(range: std::ops::RangeInclusive<i64>) -> Vec<Revision> {
        range.map(|main| Revision::new(main, 0)).collect()
    }

    #[test]
    fn rows_come_in_the_order_asked_whether_cached_or_not() {
        let rows = CachedRows::new(engine(9), 1 << 20);
        rows.insert_many([row(4, 100), row(2, 100)]);
        let asked = [5, 4, 9, 2, 4].map(|main| Revision::new(main, 0));
        let found: Vec<u8> = rows.rows(&asked).expect("all are there").iter().map(|row| row[0]).collect();
        assert_eq!(found, [5, 4, 9, 2, 4]);
        assert_eq!((rows.counts().hits, rows.counts().misses), (3, 2));
    }

    #[test]
    fn a_small_read_fills_the_cache_and_a_large_one_passes_by() {
        let newest = FILL_ROWS_MAX as i64 + 1;
        let rows = CachedRows::new(engine(newest), 1 << 20);
        rows.rows(&revisions(1..=newest)).expect("all are there");
        assert_eq!(rows.counts().rows, 0);
        rows.rows(&revisions(2..=newest)).expect("all are there");
        assert_eq!(rows.counts().rows, FILL_ROWS_MAX as u64);
        let before = rows.counts().misses;
        rows.row(Revision::new(newest, 0)).expect("it is there");
        assert_eq!(rows.counts().misses, before);
    }

    #[test]
    fn bytes_stay_within_the_bound() {
        let bound = 256 << 10;
        let rows = CachedRows::new(engine(0), bound);
        for main in 1..10_000 {
            rows.insert_many([row(main, 1_000)]);
            assert!(rows.counts().bytes <= bound);
        }
        assert!(rows.counts().bytes > bound / 2);
    }

    #[test]
    fn a_missing_row_is_a_fault_that_names_it() {
        let rows = CachedRows::new(engine(3), 1 << 20);
        let one = rows.row(Revision::new(4, 0)).expect_err("there is no such row");
        let many = rows.rows(&revisions(1..=4)).expect_err("there is no such row");
        assert_eq!(one, many);
        assert!(one.to_string().contains("0x000000000000000400000000"), "{one}");
    }

    #[test]
    fn the_overhead_counted_covers_the_caches_own_memory() {
        let bound = 8 << 20;
        let rows = CachedRows::new(engine(0), bound);
        rows.insert_many((1..200_000).map(|main| row(main, 100)));
        let used = rows.cache.memory_used();
        let each = (used.total() as u64).div_ceil(rows.counts().rows);
        // Besides, the bytes have a shared count of 24 bytes, and the allocator takes 16 for each of the two.
        assert!(each + 24 + 2 * 16 <= ROW_OVERHEAD_BYTES, "{each} bytes a row, {used:?}");
    }

    #[test]
    fn without_bytes_there_is_no_cache() {
        let rows = CachedRows::new(engine(3), 0);
        assert_eq!(rows.row(Revision::new(3, 0)).map(|row| row[0]), Ok(3));
        assert_eq!(rows.row(Revision::new(3, 0)).map(|row| row[0]), Ok(3));
        assert_eq!((rows.counts().misses, rows.counts().bytes), (2, 0));
    }
}
