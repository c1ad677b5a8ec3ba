//! Saying that nothing is missing (contract §2.9).
//!
//! Rule: progress speaks of the hub's revision, and only for watchers that were offered everything up to it: those that are
//! synced and whose start has come. Since everything goes through the stream's one queue, what was offered before is sent
//! before. When it cannot be said now it is not said at all; clients ask again.

use crate::watch::hub::{Hub, State, StreamKey};
use crate::watch::response::{Body, Outlet, Response};

impl<O: Outlet> Hub<O> {
    /// The revision up to which a whole stream is served, if that is the hub's and the stream has a watcher.
    #[must_use]
    pub fn stream_progress(&self, key: StreamKey) -> Option<i64> {
        let stream = self.streams.get(key.0)?;
        (stream.unsynced == 0 && stream.future == 0 && !stream.ids.is_empty()).then_some(self.revision)
    }

    /// The progress interval of a stream is over: watchers that want it and had no event since the last one are told.
    pub fn tick(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get(key.0) else { return };
        for (id, watcher) in stream.ids.iter() {
            let Some(watcher) = self.watchers.get_mut(watcher.0).filter(|watcher| watcher.options.progress) else {
                continue;
            };
            let due = std::mem::replace(&mut watcher.quiet, true);
            if due && watcher.state == State::Synced && !watcher.future {
                // A full queue means that events are waiting, which are news enough.
                let _ = stream.outlet.offer(Response { watch_id: id, revision: self.revision, body: Body::Progress });
            }
        }
    }
}
