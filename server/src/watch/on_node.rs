//! The watches of a node: what they read, what they fill in, how they start and end.
//!
//! Rule: a fault of the hub's task is a fault of the member. Streams end before the consensus stops, so that clients go
//! elsewhere while this member still answers.

use crate::node::Node;
use crate::node::fatal::Fatal;
use crate::store::Store;
use crate::watch::publisher::Publisher;
use crate::watch::session::WatchHandle;
use crate::watch::{HeaderSource, WatchConfig, WatchStore, Watches, watches};
use quorate_core::error::Fault;
use quorate_core::ids::Revision;
use quorate_core::mvcc::view::View;
use quorate_core::pb::ResponseHeader;
use quorate_core::storage::codec::{row_key, row_revision};
use quorate_core::storage::{Rows, Table};
use quorate_core::watch::catch_up::VisitRow;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::task::JoinHandle;

impl WatchStore for Store {
    fn view(&self) -> Arc<View> {
        Self::view(self)
    }

    fn rows(&self) -> &dyn Rows {
        Self::rows(self)
    }

    fn scan_rows(&self, from: Revision, to_exclusive: Revision, visit: &mut VisitRow<'_>) -> Result<(), Fault> {
        let mut damage = None;
        self.engine().scan(
            Table::Row,
            &row_key(from),
            Some(&row_key(to_exclusive)),
            &mut |key, row| match row_revision(key) {
                Ok(revision) => visit(revision, row),
                Err(fault) => {
                    damage = Some(fault);
                    ControlFlow::Break(())
                }
            },
        )?;
        damage.map_or(Ok(()), Err)
    }
}

impl HeaderSource for Node {
    fn header(&self, revision: i64) -> ResponseHeader {
        (**self).header(revision)
    }
}

/// Watches that run.
#[derive(Debug)]
pub struct Running {
    handle: WatchHandle,
    task: JoinHandle<()>,
}

/// Starts them; the apply loop gets the publisher.
#[must_use]
pub fn start(store: Arc<Store>, config: WatchConfig, fatal: Fatal) -> (Running, Publisher) {
    let Watches { publisher, handle, task } = watches(store, config);
    let task = tokio::spawn(async move {
        if let Err(fault) = task.run().await {
            fatal.report(fault);
        }
    });
    (Running { handle, task }, publisher)
}

impl Running {
    /// The API's way in.
    #[must_use]
    pub fn handle(&self) -> WatchHandle {
        self.handle.clone()
    }

    /// Ends all streams and waits for the task.
    pub async fn stop(self) {
        self.handle.stop();
        // It ends by itself; only a panic could make this an error, and that has been reported by its thread.
        let _ = self.task.await;
    }
}
