//! What an operation does to keys, as etcd's contract says (§2.5 to §2.7, §2.10).

use super::ledger::{Act, Operation};
use std::collections::BTreeMap;
use std::fmt;

/// A key-value without its key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: String,
    pub(crate) create_revision: i64,
    pub(crate) mod_revision: i64,
    pub(crate) version: i64,
    pub(crate) lease: i64,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, create_revision, mod_revision, version, lease } = self;
        let writer = value.split(':').next().unwrap_or_default();
        write!(f, "{} bytes of {writer}, created {create_revision}, modified {mod_revision}, ", value.len())?;
        write!(f, "version {version}, lease {lease:x}")
    }
}

/// The keys at one revision.
pub(crate) type State = BTreeMap<String, Entry>;

/// One event as a watcher sees it; no entry means that the key was deleted.
pub(crate) type Change = (String, Option<Entry>);

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Attaches to this lease and writes a value that only this operation writes.
    Put(String, i64),
    /// Deletes.
    Delete(String),
}

/// What an operation does to a state, in order; empty when it changes nothing.
pub(crate) fn effect(operation: &Operation, state: &State) -> Vec<Effect> {
    let delete = |key: &str| state.contains_key(key).then(|| Effect::Delete(key.to_owned()));
    match &operation.act {
        Act::Put { key, lease } => vec![Effect::Put(key.clone(), *lease)],
        Act::Delete { key, end } if end.is_empty() => delete(key).into_iter().collect(),
        Act::Delete { key, end } => {
            state.range(key.clone()..end.clone()).map(|(key, _)| Effect::Delete(key.clone())).collect()
        }
        Act::Txn { keys: [first, second, third] } => {
            let put = |key: &String| Effect::Put(key.clone(), 0);
            if state.contains_key(first) {
                [put(first), put(second)].into_iter().chain(delete(third)).collect()
            } else {
                vec![put(first)]
            }
        }
        Act::Revoke { lease } => attached(state, *lease).map(|key| Effect::Delete(key.clone())).collect(),
        Act::Grant | Act::Compact { .. } => Vec::new(),
    }
}

/// Whether the events of a revision are the effect of an operation on the state before it, in the right order and with the
/// right counters.
pub(crate) fn is_effect(operation: &Operation, state: &State, revision: i64, events: &[Change]) -> bool {
    let effects = effect(operation, state);
    effects.len() == events.len()
        && effects.iter().zip(events).all(|(effect, (key, entry))| match (effect, entry) {
            (Effect::Delete(deleted), None) => deleted == key,
            (Effect::Put(put, lease), Some(entry)) => {
                let before = state.get(key);
                put == key
                    && writer_of(&entry.value) == Some(operation.id)
                    && entry.lease == *lease
                    && entry.mod_revision == revision
                    && entry.version == before.map_or(1, |before| before.version + 1)
                    && entry.create_revision == before.map_or(revision, |before| before.create_revision)
            }
            _ => false,
        })
}

/// The operation that wrote a value.
pub(crate) fn writer_of(value: &str) -> Option<u64> {
    value.split_once(':')?.0.parse().ok()
}

/// The keys that are attached to a lease.
pub(crate) fn attached(state: &State, lease: i64) -> impl Iterator<Item = &String> {
    state.iter().filter(move |(_, entry)| entry.lease == lease).map(|(key, _)| key)
}

/// Carries out the events of a revision.
pub(crate) fn advance(state: &mut State, events: &[Change]) {
    for (key, entry) in events {
        match entry {
            Some(entry) => state.insert(key.clone(), entry.clone()),
            None => state.remove(key),
        };
    }
}
