//! Quorate remembers here: the log on disk, the files under it, and the lock on the data directory.

pub mod file;
pub mod lock;
pub mod wal;
