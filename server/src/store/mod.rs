//! The store as readers hold it: the newest view, the rows, and the views that pages of pinned lists need.
//!
//! Rule: publishing replaces a pointer; nobody who reads can make the apply loop wait. The order of publication is the apply
//! loop's business (see [`crate::node`]): rows first, then the view, then watchers, then answers.
//!
//! * [`pinned`]: views of past revisions that paged lists come back to.
//! * [`read`]: ranges and read-only transactions.

pub mod pinned;
pub mod read;

use crate::node::fatal::Fatal;
use crate::trouble::Unanswered;
use arc_swap::ArcSwap;
use pinned::PinnedViews;
use quorate_core::error::Fault;
use quorate_core::ids::Revision;
use quorate_core::machine::Machine;
use quorate_core::mvcc::view::View;
use quorate_core::storage::Engine;
use quorate_disk::rows::CachedRows;
use std::sync::Arc;
use tokio::sync::watch;

/// What readers share.
pub struct Store {
    view: ArcSwap<View>,
    engine: Arc<dyn Engine>,
    rows: CachedRows<dyn Engine>,
    pinned: PinnedViews,
    fatal: Fatal,
    applied: watch::Sender<u64>,
    trimmed: watch::Sender<i64>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("revision", &self.view.load().revision).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens what a machine was loaded from.
    #[must_use]
    pub fn new(machine: &Machine, engine: Arc<dyn Engine>, row_cache_bytes: u64, fatal: Fatal) -> Self {
        let view = machine.view();
        Self {
            applied: watch::Sender::new(view.applied_index.0),
            trimmed: watch::Sender::new(machine.trimmed()),
            view: ArcSwap::from_pointee(view),
            rows: CachedRows::new(Arc::clone(&engine), row_cache_bytes),
            engine,
            fatal,
            pinned: PinnedViews::default(),
        }
    }

    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    /// The rows of every revision that a view shows.
    #[must_use]
    pub fn rows(&self) -> &CachedRows<dyn Engine> {
        &self.rows
    }

    /// The tables.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Makes the state after a round the newest; its rows must be in the engine.
    pub fn publish(&self, view: Arc<View>, rows: Vec<(Revision, bytes::Bytes)>) {
        self.rows.insert_many(rows);
        let (applied, floor) = (view.applied_index.0, view.compact_revision);
        if floor > self.view.load().compact_revision {
            self.pinned.forget_below(floor);
        }
        self.view.store(view);
        self.applied.send_replace(applied);
    }

    /// Tells who waits for a physical compaction how far it is.
    pub fn publish_trimmed(&self, floor: i64) {
        self.trimmed.send_replace(floor);
    }

    /// Waits until everything hidden by `floor` is removed and the removal is durable.
    ///
    /// # Errors
    /// A fault when the flush fails.
    pub async fn wait_trimmed(&self, floor: i64) -> Result<(), Unanswered> {
        let mut trimmed = self.trimmed.subscribe();
        // The sender lives as long as the store, so waiting ends only with the condition.
        let _ = trimmed.wait_for(|trimmed| *trimmed >= floor).await;
        let engine = Arc::clone(&self.engine);
        self.blocking(move || Ok(engine.flush()?)).await
    }

    /// Runs something that may read many rows, or wait for the disk, where it harms nobody. A fault in it ends the member.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Unanswered> + Send + 'static,
    ) -> Result<T, Unanswered> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| Fault::new(format!("a task on the store was interrupted: {error}")))?;
        self.tell(done)
    }

    /// Passes on an answer; a fault in it ends the member.
    fn tell<T>(&self, answer: Result<T, Unanswered>) -> Result<T, Unanswered> {
        if let Err(Unanswered::Fault(fault)) = &answer {
            self.fatal.report(fault.clone());
        }
        answer
    }

    /// Waits until the entry at `index` is applied and published.
    pub async fn wait_applied(&self, index: u64) {
        let mut applied = self.applied.subscribe();
        let _ = applied.wait_for(|applied| *applied >= index).await;
    }
}
