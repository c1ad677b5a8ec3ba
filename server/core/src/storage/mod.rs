//! What is remembered, as core sees it: tables of rows, written in atomic batches.
//!
//! Rule: one apply round is one batch, and the batch carries the log index it brings the tables to. So the tables are
//! always those of some applied index, replaying the log from there is harmless, and a crash cannot leave half an entry.
//!
//! * [`table`]: which tables there are and what their rows mean.
//! * [`codec`]: rows to bytes and back.
//! * [`memory`]: an engine in memory with the crash behaviour of the real one; the real one is in the disk crate.

pub mod codec;
pub mod memory;
pub mod table;

use crate::error::Fault;
use crate::ids::{LogIndex, Revision};
use bytes::Bytes;
use std::ops::ControlFlow;
pub use table::Table;

/// One change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Set the row.
    Put {
        /// Which table.
        table: Table,
        /// The row's key.
        key: Bytes,
        /// The row's value.
        value: Bytes,
    },
    /// Drop the row; nothing happens if it is not there.
    Delete {
        /// Which table.
        table: Table,
        /// The row's key.
        key: Bytes,
    },
}

/// How much room the tables take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineSize {
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory that are not on disk yet.
    pub unflushed_bytes: u64,
}

/// What a scan calls for each row, in key order, until it breaks.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// Tables of rows. Reads see every batch written; durability comes with [`Engine::flush`].
pub trait Engine: Send + Sync + 'static {
    /// The row with this key.
    ///
    /// # Errors
    /// A fault when the storage fails or is damaged; so for all methods.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Fault>;

    /// The rows with these keys, in the order of the keys.
    fn get_many(&self, table: Table, keys: &[[u8; codec::REVISION_BYTES]]) -> Result<Vec<Option<Bytes>>, Fault>;

    /// Visits the rows from `start`, to `end` exclusive (to the last one when `None`).
    fn scan(&self, table: Table, start: &[u8], end: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<(), Fault>;

    /// Writes a batch: all of it or nothing, also across a crash.
    fn write(&self, batch: &[Write]) -> Result<(), Fault>;

    /// Makes everything written so far survive a crash.
    fn flush(&self) -> Result<(), Fault>;

    /// The applied index that would be found after a crash now.
    fn durable_applied(&self) -> Result<LogIndex, Fault>;

    /// Housekeeping that is cheap after a flush and saves work later; nothing depends on it.
    fn tidy(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Room taken now.
    fn size(&self) -> Result<EngineSize, Fault>;

    /// Gives back the room of dropped rows, while reads and writes go on; returns when it is done.
    fn reclaim(&self) -> Result<(), Fault>;
}

/// Encoded key-values by revision: what ranges, compares and watches read. Rows of a revision never change, so a reader
/// may cache them freely.
pub trait Rows {
    /// The encoded key-value written at each of these revisions, in order.
    ///
    /// # Errors
    /// A fault when one is missing: who holds a view holds its rows.
    fn rows(&self, revisions: &[Revision]) -> Result<Vec<Bytes>, Fault>;

    /// The encoded key-value written at this revision.
    ///
    /// # Errors
    /// As [`Rows::rows`].
    fn row(&self, revision: Revision) -> Result<Bytes, Fault> {
        self.rows(&[revision])?.pop().ok_or_else(|| Fault::new("a row reader answered too few rows"))
    }
}

/// Reads rows straight from an engine.
#[derive(Debug)]
pub struct EngineRows<'e, E: ?Sized>(pub &'e E);

impl<E: Engine + ?Sized> Rows for EngineRows<'_, E> {
    fn rows(&self, revisions: &[Revision]) -> Result<Vec<Bytes>, Fault> {
        let keys: Vec<_> = revisions.iter().map(|revision| codec::row_key(*revision)).collect();
        let found = self.0.get_many(Table::Row, &keys)?;
        keys.iter()
            .zip(found)
            .map(|(key, row)| row.ok_or_else(|| Fault::damaged(Table::Row.name(), key, "the row is missing")))
            .collect()
    }
}

/// CRC-32C over all tables that members share, by name, key and value (contract §2.12, Hash). The applied entry is left
/// out: it moves without any content changing.
///
/// # Errors
/// A fault of the engine.
pub fn hash_tables(engine: &dyn Engine) -> Result<u32, Fault> {
    let mut crc = 0;
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Local) {
        crc = crc32c::crc32c_append(crc, table.name().as_bytes());
        engine.scan(table, &[], None, &mut |key, value| {
            if !(table == Table::Meta && key == table::meta::APPLIED) {
                crc = crc32c::crc32c_append(crc32c::crc32c_append(crc, key), value);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(crc)
}
