//! Quorate remembers here.
//!
//! * [`rocks`]: the tables of the state machine, in RocksDB.
//! * [`rows`]: a cache of encoded rows over an engine.

pub mod rocks;
pub mod rows;
