//! From a member that runs to a directory at rest.
//!
//! Rule: first nobody new gets in, then those inside get their answers, then consensus stops and the log is synced, then the
//! tables are flushed, so that the next start replays nothing. After a fault nothing is flushed: the state on disk is
//! already what a crash would leave, and a member that lost its footing must not write.

use super::start::Started;
use quorate_core::error::Fault;
use std::time::{Duration, Instant};

/// How long to wait for whoever still holds the store when everything has been told to stop.
const CLOSING: Duration = Duration::from_secs(2);

impl Started {
    /// Tells everything that waits that the member stops: streams end, new proposals are refused.
    pub fn begin_stop(&self) {
        self.node.stopping.send_replace(true);
        self.node.watchers.stop();
    }

    /// Stops for good. Call it when no request is inside any more.
    ///
    /// # Errors
    /// The fault that stopped the member, or one of the last flush.
    pub async fn finish_stop(mut self) -> Result<(), Fault> {
        let begun = Instant::now();
        self.begin_stop();
        self.node.consensus.shutdown().await;
        self.tasks.shutdown().await;
        self.watch.stop().await;
        if let Some(fault) = self.node.fatal.get() {
            return Err(fault);
        }
        let engine = std::sync::Arc::clone(self.node.store.engine());
        let open = std::sync::Arc::downgrade(&engine);
        tokio::task::spawn_blocking(move || engine.flush())
            .await
            .map_err(|error| Fault::new(format!("the last flush was interrupted: {error}")))??;
        let Self { node, data_dir, tasks, .. } = self;
        drop((node, tasks));
        // Connections that were cut still hold the node for a moment; the directory is let go after the store is closed.
        let begun_closing = Instant::now();
        while open.strong_count() > 0 && begun_closing.elapsed() < CLOSING {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(data_dir);
        tracing::info!(took = ?begun.elapsed(), "the member has stopped");
        Ok(())
    }
}
