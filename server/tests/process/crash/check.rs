//! Reads everything back and holds it against the ledger.

use super::ledger::{Act, End, Ledger, Operation, acknowledged_by_revision};
use super::load::lease_id;
use super::model::{Change, Entry, State, advance, attached, is_effect, writer_of};
use crate::support::launch::is_original;
use crate::support::random::Random;
use quorate_client::api::{HashKvRequest, LeaseTimeToLiveRequest, RangeRequest, RangeResponse, WatchCreateRequest};
use quorate_client::mvccpb::event::EventType;
use quorate_client::mvccpb::{Event, KeyValue};
use quorate_client::{Client, ClientError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// From the smallest key to the last.
const EVERYTHING: &[u8] = &[0];

/// What was read and found right so far.
#[derive(Debug)]
pub(crate) struct Checker {
    ledger: Arc<Ledger>,
    /// Events by revision, from the beginning.
    history: BTreeMap<i64, Vec<Change>>,
    /// The keys after the last of them.
    state: State,
    /// The last revision that was read.
    revision: i64,
    /// Operations whose effect was found.
    found: BTreeSet<u64>,
    /// The lowest revision that can be read.
    floor: i64,
    /// Hash of the store at `revision` with the compacted revision that the server told with it.
    hash: Option<(u32, i64)>,
}

impl Checker {
    /// Nothing is read yet.
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            history: BTreeMap::new(),
            state: State::new(),
            revision: 1,
            found: BTreeSet::new(),
            floor: 1,
            hash: None,
        }
    }

    /// The last revision that was read.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// Checks a server that nobody writes to.
    pub(crate) async fn check(&mut self, client: &Client, random: &mut Random) {
        let operations = self.ledger.operations();
        self.check_hash_is_unchanged(client).await;
        let now = range(client, 0).await.expect("the newest revision can be read");
        let current = now.header.as_ref().map_or(0, |header| header.revision);
        self.find_floor(client, &operations).await;
        self.replay(client, &operations, current).await;
        self.check_nothing_acknowledged_is_missing(&operations);
        assert_eq!(entries(&now.kvs), self.state, "the keys at revision {current} are what the history leads to");
        assert_eq!(now.count, self.state.len() as i64);
        self.check_a_past_revision(client, random).await;
        self.check_leases(client, &operations).await;
        let (hash, again) = (hash_at(client, current).await, hash_at(client, current).await);
        assert_eq!(hash, again, "the hash of a store that nobody writes to does not change");
        self.hash = Some(hash);
    }

    /// The hash of what was read before the last load must not have changed by the load and the kill.
    async fn check_hash_is_unchanged(&self, client: &Client) {
        let Some((hash, compacted)) = self.hash else {
            return;
        };
        let maintenance = client.maintenance();
        match maintenance.hash_kv(HashKvRequest { revision: self.revision }).await {
            // Compaction changes what is hashed.
            Ok(answer) if answer.compact_revision == compacted => {
                assert_eq!(answer.hash, hash, "the store's hash at revision {} changed", self.revision);
            }
            Ok(_) => {}
            // Up to 3.4 etcd did not hash the compacted revision itself.
            Err(error) if is_original() && error.to_string().contains("compacted") => {}
            Err(error) => panic!("revision {} cannot be hashed any more: {error}", self.revision),
        }
    }

    /// The floor is one that somebody asked for, and not below an acknowledged one.
    async fn find_floor(&mut self, client: &Client, operations: &[Operation]) {
        let mut candidates = BTreeSet::from([self.floor]);
        for operation in operations {
            if let Act::Compact { revision } = operation.act {
                match operation.end {
                    End::Acknowledged { .. } => self.floor = self.floor.max(revision),
                    End::Unknown => {
                        candidates.insert(revision);
                    }
                    End::Refused(_) => {}
                }
            }
        }
        candidates.insert(self.floor);
        for candidate in candidates.range(self.floor..) {
            match range(client, *candidate).await {
                Ok(_) => {
                    self.floor = *candidate;
                    return;
                }
                Err(error) => assert!(error.to_string().contains("has been compacted"), "{error}"),
            }
        }
        panic!("no revision that somebody compacted to can be read; the acknowledged floor is {}", self.floor);
    }

    /// Reads the history from the floor on. What was read before is the same; what is new is in the ledger.
    async fn replay(&mut self, client: &Client, operations: &[Operation], current: i64) {
        let acknowledged = acknowledged_by_revision(operations);
        let events = watch(client, self.floor, current).await;
        for (revision, events) in events {
            if revision <= self.revision {
                let mut before = self.history.get(&revision).cloned().unwrap_or_default();
                if is_original() && revision == self.floor {
                    // Up to 3.4.33 etcd forgot deletions at exactly the compacted revision (contract §2.8).
                    before.retain(|(_, entry)| entry.is_some());
                }
                assert_eq!(before, events, "revision {revision} is not what it was");
                continue;
            }
            assert_eq!(revision, self.revision + 1, "revisions have a gap");
            let operation = self.operation_of(operations, &acknowledged, revision, &events);
            assert!(self.found.insert(operation.id), "operation happened twice, again at {revision}: {operation:?}");
            advance(&mut self.state, &events);
            self.history.insert(revision, events);
            self.revision = revision;
        }
        assert_eq!(self.revision, current, "the history ends before the revision in the header");
    }

    /// The one operation whose effect a revision is.
    fn operation_of<'a>(
        &self,
        operations: &'a [Operation],
        acknowledged: &BTreeMap<i64, &'a Operation>,
        revision: i64,
        events: &[Change],
    ) -> &'a Operation {
        let is_effect = |operation: &Operation| is_effect(operation, &self.state, revision, events);
        let by_value = || {
            let value = &events.iter().find_map(|(_, entry)| entry.as_ref())?.value;
            let id = writer_of(value).unwrap_or_else(|| panic!("nobody wrote this value at {revision}: {value}"));
            let operation = usize::try_from(id).ok().and_then(|place| operations.get(place));
            let operation = operation.unwrap_or_else(|| panic!("nobody sent operation {id}, found at {revision}"));
            assert_eq!(operation.end, End::Unknown, "at {revision} is what should not be there: {operation:?}");
            Some(operation)
        };
        let by_effect = || {
            operations.iter().find(|operation| {
                let may_be = match (&operation.act, &operation.end) {
                    (_, End::Unknown) => true,
                    (Act::Revoke { .. }, End::Acknowledged { revision: told, .. }) => *told == revision,
                    _ => false,
                };
                may_be && !self.found.contains(&operation.id) && is_effect(operation)
            })
        };
        let operation = acknowledged.get(&revision).copied().or_else(by_value).or_else(by_effect);
        let operation = operation.unwrap_or_else(|| panic!("nobody sent what happened at {revision}: {events:?}"));
        assert!(is_effect(operation), "revision {revision} is not the effect of {operation:?}: {events:?}");
        operation
    }

    fn check_nothing_acknowledged_is_missing(&self, operations: &[Operation]) {
        let missing = operations.iter().find(|operation| {
            matches!(operation.end, End::Acknowledged { changed: true, .. }) && !self.found.contains(&operation.id)
        });
        assert_eq!(missing, None, "an acknowledged operation is lost; the store is at revision {}", self.revision);
    }

    async fn check_a_past_revision(&self, client: &Client, random: &mut Random) {
        let span = u64::try_from(self.revision - self.floor).expect("the floor is not above");
        let past = self.floor + random.below(span + 1).cast_signed();
        let mut state = State::new();
        for events in self.history.range(..=past).map(|(_, events)| events) {
            advance(&mut state, events);
        }
        let then = range(client, past).await.unwrap_or_else(|error| panic!("{past} cannot be read: {error}"));
        assert_eq!(entries(&then.kvs), state, "the keys at past revision {past}");
    }

    async fn check_leases(&self, client: &Client, operations: &[Operation]) {
        let mut present = BTreeSet::new();
        for lease in client.lease().leases().await.expect("leases can be listed").leases {
            present.insert(lease.id);
        }
        let (mut granted, mut maybe_granted) = (BTreeSet::new(), BTreeSet::new());
        let (mut revoked, mut maybe_revoked) = (BTreeSet::new(), BTreeSet::new());
        for operation in operations {
            match (&operation.act, &operation.end) {
                (Act::Grant, End::Acknowledged { .. }) => granted.insert(lease_id(operation.id)),
                (Act::Grant, End::Unknown) => maybe_granted.insert(lease_id(operation.id)),
                (Act::Revoke { lease }, End::Acknowledged { .. }) => revoked.insert(*lease),
                (Act::Revoke { lease }, End::Unknown) => maybe_revoked.insert(*lease),
                _ => continue,
            };
        }
        for lease in &present {
            assert!(granted.contains(lease) || maybe_granted.contains(lease), "nobody asked for lease {lease:x}");
            assert!(!revoked.contains(lease), "lease {lease:x} was revoked and is back");
        }
        for lease in granted.difference(&present) {
            let gone = revoked.contains(lease) || maybe_revoked.contains(lease);
            assert!(gone, "the granted lease {lease:x} is lost");
            let left: Vec<_> = attached(&self.state, *lease).collect();
            assert!(left.is_empty(), "lease {lease:x} is gone and its keys are not: {left:?}");
        }
        for lease in present {
            let ask = LeaseTimeToLiveRequest { id: lease, keys: true };
            let answer = client.lease().time_to_live(ask).await.expect("a lease that is listed can be asked");
            let keys: BTreeSet<String> = answer.keys.iter().map(|key| text(key)).collect();
            let expected: BTreeSet<String> = attached(&self.state, lease).cloned().collect();
            assert_eq!(keys, expected, "the keys of lease {lease:x}");
            assert!(answer.ttl > 0, "lease {lease:x} has {} s left", answer.ttl);
        }
    }
}

async fn range(client: &Client, revision: i64) -> Result<RangeResponse, ClientError> {
    let everything =
        RangeRequest { key: EVERYTHING.into(), range_end: EVERYTHING.into(), revision, ..RangeRequest::default() };
    client.kv().range(everything).await
}

async fn hash_at(client: &Client, revision: i64) -> (u32, i64) {
    let answer = client.maintenance().hash_kv(HashKvRequest { revision }).await.expect("the store can be hashed");
    (answer.hash, answer.compact_revision)
}

/// All events from one revision to another, both included.
async fn watch(client: &Client, from: i64, to: i64) -> BTreeMap<i64, Vec<Change>> {
    let mut history: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
    // Revision 1 is the empty store and has no events.
    let from = from.max(2);
    if to < from {
        return history;
    }
    let create = WatchCreateRequest {
        key: EVERYTHING.into(),
        range_end: EVERYTHING.into(),
        start_revision: from,
        ..WatchCreateRequest::default()
    };
    let mut watcher = client.watch().start(create).await.expect("a watch can be started");
    let mut told = 0;
    while history.last_key_value().is_none_or(|(last, _)| *last < to) {
        let response = tokio::time::timeout(crate::support::PATIENCE, watcher.next())
            .await
            .unwrap_or_else(|_| panic!("the watch from {from} stopped at {told} of {to}"))
            .expect("the watch goes on");
        assert!(!response.canceled, "the watch from {from} was cancelled: {response:?}");
        for event in response.events {
            let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
            assert!(revision >= told, "the watch went back from {told} to {revision}");
            assert!(revision == told || !history.contains_key(&revision), "revision {revision} came twice");
            told = revision;
            history.entry(revision).or_default().push(change(event));
        }
    }
    history
}

fn change(event: Event) -> Change {
    let deleted = event.r#type() == EventType::Delete;
    let kv = event.kv.expect("events have a key");
    (text(&kv.key), (!deleted).then(|| entry(&kv)))
}

fn entries(kvs: &[KeyValue]) -> State {
    kvs.iter().map(|kv| (text(&kv.key), entry(kv))).collect()
}

fn entry(kv: &KeyValue) -> Entry {
    Entry {
        value: text(&kv.value),
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        version: kv.version,
        lease: kv.lease,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("writers write text")
}
