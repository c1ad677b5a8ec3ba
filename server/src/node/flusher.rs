//! The task that makes the store durable now and then, and lets the log go behind it.
//!
//! Rule: the log is dropped only up to what the engine says a crash would leave in it. Flushing is never on the way of a
//! write: it runs on a blocking thread, and a write waits for it only when the engine's memory is full.

use super::apply_loop::Written;
use super::fatal::Fatal;
use crate::raft::Consensus;
use crate::store::Store;
use quorate_core::error::Fault;
use quorate_disk::rocks::{FlushPolicy, Unflushed};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the policy is asked.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What the flusher works on.
pub(super) struct Flusher {
    pub(super) store: Arc<Store>,
    pub(super) consensus: Consensus,
    pub(super) written: Arc<Written>,
    pub(super) fatal: Fatal,
    pub(super) policy: FlushPolicy,
}

impl Flusher {
    /// Flushes until the task is dropped.
    pub(super) async fn run(self) {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let unflushed = Unflushed {
                bytes: self.written.bytes.load(Ordering::Relaxed),
                entries: self.written.entries.load(Ordering::Relaxed),
                age: last.elapsed(),
            };
            if !self.policy.due(unflushed) {
                continue;
            }
            if let Err(fault) = self.flush(unflushed).await {
                self.fatal.report(fault);
                return;
            }
            last = Instant::now();
        }
    }

    async fn flush(&self, unflushed: Unflushed) -> Result<(), Fault> {
        let started = Instant::now();
        let engine = Arc::clone(self.store.engine());
        let durable = tokio::task::spawn_blocking(move || {
            engine.flush()?;
            engine.tidy()?;
            engine.durable_applied()
        })
        .await
        .map_err(|error| Fault::new(format!("a flush was interrupted: {error}")))??;
        // What was written meanwhile stays counted for the next one.
        self.written.bytes.fetch_sub(unflushed.bytes, Ordering::Relaxed);
        self.written.entries.fetch_sub(unflushed.entries, Ordering::Relaxed);
        tracing::debug!(
            "applied-index" = durable.0,
            bytes = unflushed.bytes,
            entries = unflushed.entries,
            took = ?started.elapsed(),
            "flushed the store"
        );
        self.consensus.purge_behind(durable.0).await;
        Ok(())
    }
}
