//! How many durable appends per second the log does on the disk under the current directory.
//!
//! ```text
//! cargo run --release -p quorate-disk --example wal_rate [-- SECONDS]
//! ```
//!
//! For each number of waiters, that many 256-byte appends are always outstanding, each its own call, and each is
//! replaced when its callback came. The log is purged along, so that files are recycled as in a running member.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use quorate_disk::file::OsFileSystem;
use quorate_disk::wal::{LogRecord, Wal, WalOptions};

const PAYLOAD_BYTES: usize = 256;
const PURGE_EVERY: u64 = 100_000;

/// Acknowledged appends, and somebody who waits for them.
#[derive(Default)]
struct Acknowledged {
    count: Mutex<u64>,
    changed: Condvar,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 3,
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "waiters  appends/s  syncs/s  records/sync  longest sync")?;
    for waiters in [1, 8, 64, 512] {
        let (rate, syncs, longest) = measure(waiters, Duration::from_secs(seconds))?;
        let together = rate / syncs.max(1.0);
        writeln!(out, "{waiters:>7}  {rate:>9.0}  {syncs:>7.0}  {together:>12.1}  {longest:>12.1?}")?;
    }
    Ok(())
}

/// Appends per second, syncs per second, the longest sync.
fn measure(waiters: u64, time: Duration) -> Result<(f64, f64, Duration), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir_in(".")?;
    let (wal, _) = Wal::open(Arc::new(OsFileSystem), dir.path(), WalOptions::default())?;
    let payload = Bytes::from(vec![7; PAYLOAD_BYTES]);
    let acknowledged = Arc::new(Acknowledged::default());
    let started = Instant::now();
    let (mut sent, mut seen) = (0, 0);
    while started.elapsed() < time {
        while sent < seen + waiters {
            let record = LogRecord { index: sent, term: 1, payload: payload.clone() };
            let acknowledged = acknowledged.clone();
            let done = move |result: Result<(), _>| {
                if result.is_ok() {
                    *acknowledged.count.lock() += 1;
                    acknowledged.changed.notify_one();
                }
            };
            wal.append(vec![record], Box::new(done))?;
            sent += 1;
            if sent % PURGE_EVERY == 0 {
                wal.purge_through(sent - PURGE_EVERY, 1, Box::new(|_| ()));
            }
        }
        let mut count = acknowledged.count.lock();
        while *count == seen {
            acknowledged.changed.wait_for(&mut count, time);
        }
        seen = *count;
    }
    let took = started.elapsed().as_secs_f64();
    let metrics = wal.metrics();
    wal.close();
    Ok((seen as f64 / took, metrics.syncs as f64 / took, metrics.sync_longest))
}
