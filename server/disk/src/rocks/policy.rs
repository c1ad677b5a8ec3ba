//! When to flush.
//!
//! Rule: a pure decision over what is not flushed yet. Bytes bound memory, entries bound how long a restart replays, and
//! the interval bounds how long a quiet member keeps old log segments. Who applies asks after each round; who flushes does
//! so on a thread that may block.

use std::time::Duration;

/// What was written since the last flush began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unflushed {
    /// Bytes in memory: [`quorate_core::storage::EngineSize::unflushed_bytes`], or what the caller counted.
    pub bytes: u64,
    /// Log entries applied.
    pub entries: u64,
    /// Time since then.
    pub age: Duration,
}

/// The bounds; reaching any of them makes a flush due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushPolicy {
    /// Bytes in memory. Below [`super::EngineOptions::write_buffer_bytes_total`] times 7/8, where RocksDB flushes by
    /// itself.
    pub bytes: u64,
    /// Log entries to replay. At 200,000 applied per second, half a second of a restart.
    pub entries: u64,
    /// Time, if anything was applied at all.
    pub interval: Duration,
}

impl Default for FlushPolicy {
    fn default() -> Self {
        Self { bytes: 32 << 20, entries: 100_000, interval: Duration::from_secs(30) }
    }
}

impl FlushPolicy {
    /// True when a flush should begin.
    #[must_use]
    pub fn due(&self, unflushed: Unflushed) -> bool {
        unflushed.entries > 0
            && (unflushed.bytes >= self.bytes || unflushed.entries >= self.entries || unflushed.age >= self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rocks::EngineOptions;

    #[test]
    fn each_bound_alone_makes_a_flush_due() {
        let policy = FlushPolicy::default();
        let one = Unflushed { bytes: 1, entries: 1, age: Duration::ZERO };
        assert!(!policy.due(one));
        assert!(policy.due(Unflushed { bytes: policy.bytes, ..one }));
        assert!(policy.due(Unflushed { entries: policy.entries, ..one }));
        assert!(policy.due(Unflushed { age: policy.interval, ..one }));
    }

    #[test]
    fn a_member_that_applies_nothing_never_flushes() {
        let idle = Unflushed { bytes: u64::MAX, entries: 0, age: Duration::MAX };
        assert!(!FlushPolicy::default().due(idle));
    }

    #[test]
    fn the_policy_comes_before_rocksdb_does() {
        let itself = EngineOptions::default().write_buffer_bytes_total as u64 / 8 * 7;
        assert!(FlushPolicy::default().bytes < itself);
    }
}
