//! A watch that checks what it sees.
//!
//! Rules, from what kube-apiserver relies on: each acknowledged change is seen exactly once, in the order of revisions;
//! a change of something that existed carries its previous value; progress at revision R comes after every event up
//! to R.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use quorate_client::{
    Client, WatchControl, Watcher,
    api::{WatchCreateRequest, WatchResponse},
    mvccpb::{Event, event::EventType},
};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    error::Trouble,
    kubernetes::{
        SILENCE_MAX,
        journal::{Change, History, Written},
        prefix_range,
    },
};

/// A running watch of one prefix.
#[derive(Debug)]
pub(crate) struct Observer {
    prefix: &'static str,
    from_revision: i64,
    sight: Arc<Sight>,
    control: WatchControl,
    task: JoinHandle<Trouble>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Sight {
    changes: Mutex<Vec<Change>>,
    reached: AtomicI64,
    moved: Notify,
}

impl Observer {
    /// Watches `prefix` from `revision` on, as kube-apiserver's caches do.
    pub(crate) async fn start(client: &Client, prefix: &'static str, revision: i64) -> Result<Self, Trouble> {
        let (key, range_end) = prefix_range(prefix);
        let create = WatchCreateRequest {
            key,
            range_end,
            start_revision: revision,
            prev_kv: true,
            progress_notify: true,
            ..Default::default()
        };
        let watcher = client.watch().start(create).await?;
        let control = watcher.control();
        let sight = Arc::new(Sight::default());
        let seen = Arc::clone(&sight);
        let task = tokio::spawn(async move {
            match look(watcher, &seen, revision).await {
                Ok(never) => match never {},
                Err(trouble) => {
                    seen.moved.notify_one();
                    trouble
                }
            }
        });
        Ok(Self { prefix, from_revision: revision, sight, control, task })
    }

    /// Asks for progress on the stream.
    pub(crate) fn control(&self) -> WatchControl {
        self.control.clone()
    }

    /// Waits for the last change noted under the prefix and compares everything seen with the notes. Returns how many
    /// events there were.
    pub(crate) async fn finish(mut self, history: &History) -> Result<usize, Trouble> {
        let ours = |change: &&Change| change.revision >= self.from_revision && change.key.starts_with(self.prefix);
        let expected: Vec<&Change> = history.changes.iter().filter(ours).collect();
        let last = expected.last().map_or(0, |change| change.revision);
        let mut deadline = Instant::now() + SILENCE_MAX;
        let mut reached = self.sight.reached.load(Ordering::Acquire);
        while reached < last {
            if self.task.is_finished() {
                let ended = (&mut self.task).await;
                return Err(ended.unwrap_or_else(|error| Trouble::Cannot(error.to_string())));
            }
            if timeout_at(deadline, self.sight.moved.notified()).await.is_err() {
                let text = format!("the watch of {} stopped at revision {reached}, before {last}", self.prefix);
                return Err(Trouble::Mismatch(text));
            }
            let now = self.sight.reached.load(Ordering::Acquire);
            if now > reached {
                reached = now;
                deadline = Instant::now() + SILENCE_MAX;
            }
        }
        let seen = std::mem::take(&mut *self.sight.changes.lock().unwrap_or_else(PoisonError::into_inner));
        compare(history, &expected, &seen).map_err(|text| {
            Trouble::Mismatch(format!("the watch of {} from revision {}: {text}", self.prefix, self.from_revision))
        })?;
        Ok(seen.len())
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(mut watcher: Watcher, sight: &Sight, from: i64) -> Result<std::convert::Infallible, Trouble> {
    let mut order = Order { last: from - 1 };
    loop {
        let response = watcher.next().await?;
        let changes = order.admit(&response).map_err(Trouble::Mismatch)?;
        let Some(last) = changes.last() else { continue };
        let reached = last.revision;
        sight.changes.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
        sight.reached.store(reached, Ordering::Release);
        sight.moved.notify_one();
    }
}

/// The order of what a stream says.
#[derive(Debug)]
struct Order {
    /// Everything up to this revision has been said.
    last: i64,
}

impl Order {
    /// Checks one response and hands out its changes.
    fn admit(&mut self, response: &WatchResponse) -> Result<Vec<Change>, String> {
        if response.canceled {
            return Err(format!(
                "cancelled by the server (compacted at {}): {}",
                response.compact_revision, response.cancel_reason
            ));
        }
        let mut changes = Vec::with_capacity(response.events.len());
        let said = self.last;
        for event in &response.events {
            let change = change(event)?;
            if change.revision <= said || change.revision < self.last {
                return Err(format!("{} at revision {} came after {}", change.key, change.revision, self.last));
            }
            self.last = change.revision;
            changes.push(change);
        }
        // An empty response is progress: its revision is complete.
        if let (true, Some(header)) = (response.events.is_empty() && !response.created, &response.header) {
            self.last = self.last.max(header.revision);
        }
        Ok(changes)
    }
}

fn change(event: &Event) -> Result<Change, String> {
    let kv = event.kv.as_ref().ok_or("an event without a key")?;
    let key = String::from_utf8_lossy(&kv.key).into_owned();
    let put = event.r#type() == EventType::Put;
    let created = put && kv.create_revision == kv.mod_revision;
    match &event.prev_kv {
        None if !created => return Err(format!("{key} changed at {} without its previous value", kv.mod_revision)),
        Some(before) if before.mod_revision >= kv.mod_revision => {
            return Err(format!("{key} at {} follows its own future {}", kv.mod_revision, before.mod_revision));
        }
        _ => {}
    }
    let written = put.then(|| Written::of(&kv.value, kv.lease));
    Ok(Change { revision: kv.mod_revision, key, written })
}

/// Both in order of revision. What was seen besides must be a lost answer or the end of a lease.
fn compare(history: &History, expected: &[&Change], seen: &[Change]) -> Result<(), String> {
    let mut by_revision: HashMap<(i64, &str), &Change> = HashMap::with_capacity(seen.len());
    for change in seen {
        if by_revision.insert((change.revision, &change.key), change).is_some() {
            return Err(format!("{} at revision {} was seen twice", change.key, change.revision));
        }
    }
    for noted in expected {
        match by_revision.remove(&(noted.revision, noted.key.as_str())) {
            Some(change) if change == *noted => {}
            Some(change) => return Err(format!("seen {change:?}, written {noted:?}")),
            None => return Err(format!("{} at revision {} was not seen", noted.key, noted.revision)),
        }
    }
    let mut explained = by_revision.into_values().filter(|change| {
        let lost = history.unknown.get(&change.key).is_some_and(|attempts| attempts.contains(&change.written));
        let ended = || history.changes.iter().rev().find(|noted| noted.key == change.key);
        let expired = || {
            change.written.is_none()
                && ended().and_then(|noted| noted.written).is_some_and(|w| history.may_have_expired(w.lease))
        };
        !lost && !expired()
    });
    match explained.next() {
        Some(change) => Err(format!("{change:?} was seen, but nobody wrote it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use quorate_client::{api::ResponseHeader, mvccpb::KeyValue};

    use super::*;
    use crate::kubernetes::journal::Line;

    fn created(key: &str, revision: i64) -> Event {
        let kv = KeyValue {
            key: key.to_owned().into(),
            create_revision: revision,
            mod_revision: revision,
            ..Default::default()
        };
        Event { kv: Some(kv), ..Default::default() }
    }

    fn response(revision: i64, events: Vec<Event>) -> WatchResponse {
        WatchResponse { header: Some(ResponseHeader { revision, ..Default::default() }), events, ..Default::default() }
    }

    #[test]
    fn events_of_one_revision_come_together_and_revisions_grow() {
        let mut order = Order { last: 4 };
        let both = response(5, vec![created("/a", 5), created("/b", 5)]);
        assert_eq!(order.admit(&both).expect("in order").len(), 2);
        assert!(order.admit(&response(5, vec![created("/c", 5)])).is_err(), "revision 5 was complete");
    }

    #[test]
    fn no_event_comes_after_the_progress_that_covers_it() {
        let mut order = Order { last: 4 };
        order.admit(&response(9, vec![])).expect("progress");
        assert!(order.admit(&response(9, vec![created("/a", 9)])).is_err());
        assert!(order.admit(&response(10, vec![created("/a", 10)])).is_ok());
    }

    #[test]
    fn a_change_needs_its_previous_value_and_a_creation_does_not() {
        let mut changed = created("/a", 7);
        changed.kv.as_mut().expect("has a key").create_revision = 3;
        assert!(change(&created("/a", 7)).is_ok());
        assert!(change(&changed).is_err());
        changed.prev_kv = Some(KeyValue { mod_revision: 6, ..Default::default() });
        assert!(change(&changed).is_ok());
    }

    #[test]
    fn events_must_be_those_that_were_noted() {
        let put = |key: &str, revision, value: &[u8]| Change {
            revision,
            key: key.to_owned(),
            written: Some(Written::of(value, 0)),
        };
        let lost = Line::UnknownPut { key: "/l".to_owned(), written: Written::of(b"1", 0) };
        let start = Line::Start { seed: 1, nodes: 1, events_per_node: 0, revision: 4 };
        let history = History::from_lines(vec![start, lost]).expect("begins with the start");
        let (a, b) = (put("/a", 5, b"1"), put("/b", 6, b"1"));
        let check = |seen: &[Change]| compare(&history, &[&a, &b], seen);
        assert_eq!(check(&[a.clone(), b.clone()]), Ok(()));
        assert_eq!(check(&[a.clone(), b.clone(), put("/l", 7, b"1")]), Ok(()), "a lost answer may have happened");
        for seen in [
            vec![a.clone()],
            vec![a.clone(), b.clone(), b.clone()],
            vec![a.clone(), put("/b", 6, b"2")],
            vec![a.clone(), b.clone(), put("/c", 7, b"1")],
        ] {
            assert!(check(&seen).is_err(), "{seen:?}");
        }
    }
}
