//! Quorate remembers here: the log, the tables of the state machine, and the lock on the data directory.
//!
//! * [`file`](mod@file): the outside world as a small trait, real and simulated.
//! * [`wal`]: the log.
//! * [`rocks`]: the tables, in RocksDB. [`rows`]: a cache of encoded rows over an engine.
//! * [`lock`]: one process per data directory.

pub mod file;
pub mod lock;
pub mod rocks;
pub mod rows;
pub mod wal;
