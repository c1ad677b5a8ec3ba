//! The task that removes what compactions hid, a small step at a time.
//!
//! Rule: a step takes the machine for as long as a few hundred rows need, then lets apply rounds through; so a compaction
//! of a million revisions costs writers a fraction of a millisecond at a time. It starts when the floor rises, and waits
//! while views still see the rows.

use super::fatal::Fatal;
use crate::metrics::Metrics;
use crate::store::Store;
use parking_lot::Mutex;
use quorate_core::error::Fault;
use quorate_core::machine::Machine;
use quorate_core::mvcc::compact::Progress;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Where the time between steps comes from, and what a step may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Rows a step visits.
    pub rows: usize,
    /// The pause after a step.
    pub pause: Duration,
}

/// How long to wait for views that still see the rows.
const PINNED_WAIT: Duration = Duration::from_millis(50);

/// What the trimmer works on.
pub(super) struct Trimmer {
    pub(super) machine: Arc<Mutex<Machine>>,
    pub(super) store: Arc<Store>,
    pub(super) compacted: Arc<Notify>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) fatal: Fatal,
    pub(super) pace: Pace,
}

impl Trimmer {
    /// Trims until the task is dropped.
    pub(super) async fn run(self) {
        loop {
            let pending = self.machine.lock().trim_pending();
            match pending {
                Some(progress) => {
                    if let Err(fault) = self.trim(progress).await {
                        self.fatal.report(fault);
                        return;
                    }
                }
                // Behind the floor although nothing can be done: a view holds the rows.
                None if self.machine.lock().is_untrimmed() => tokio::time::sleep(PINNED_WAIT).await,
                None => self.compacted.notified().await,
            }
        }
    }

    async fn trim(&self, progress: Progress) -> Result<(), Fault> {
        let started = Instant::now();
        let (mut next, mut removed, mut steps) = (Some(progress), 0, 0u64);
        while let Some(progress) = next {
            let begun = Instant::now();
            let step = {
                let mut machine = self.machine.lock();
                let step = machine.trim_step(&**self.store.engine(), progress, self.pace.rows)?;
                self.store.engine().write(&step.writes)?;
                step
            };
            self.metrics.trimmed(step.removed, begun.elapsed());
            removed += step.removed;
            steps += 1;
            next = step.next;
            tokio::time::sleep(self.pace.pause).await;
        }
        self.store.publish_trimmed(progress.floor);
        let took = started.elapsed();
        self.metrics.trim_finished(took);
        tracing::info!(
            "compact-revision" = progress.floor,
            removed,
            steps,
            took = ?took,
            "finished the removal of compacted revisions"
        );
        Ok(())
    }
}
