//! Lists: read page by page at one revision, and compared with the notes key by key.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use quorate_client::{Client, Kv};

use crate::{
    error::Trouble,
    keyspace::count,
    kubernetes::{
        REGISTRY,
        cluster::Kind,
        journal::{Held, History, Written},
        prefix_range,
    },
    work::list::Pages,
};

/// Keys that a mismatch names.
const DIFFERENCES_SHOWN_MAX: usize = 10;

/// What a server listed.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) revision: i64,
    pub(crate) found: BTreeMap<String, Held>,
    pub(crate) value_bytes: u64,
    pub(crate) elapsed: Duration,
}

/// Reads everything below `/registry/`, at `revision` if there is one, else at the newest.
///
/// # Errors
///
/// [`Trouble::Mismatch`] when pages do not fit together: keys out of order, or counts that do not add up.
pub(crate) async fn read(kv: &Kv, page_keys: i64, revision: Option<i64>) -> Result<Listing, Trouble> {
    let started = Instant::now();
    let (key, range_end) = prefix_range(REGISTRY);
    let mut pages = Pages::new(key, range_end, page_keys).at(revision.unwrap_or(0));
    let mut found = BTreeMap::new();
    let mut value_bytes = 0;
    let mut total = None;
    let mut last_key = String::new();
    while let Some(page) = pages.next(kv).await? {
        let count = u64::try_from(page.count).unwrap_or(0);
        let total = *total.get_or_insert(count);
        // Each page counts what is left, itself included.
        if count + found.len() as u64 != total {
            let text = format!("the first page counted {total} keys, one after {} keys {count}", found.len());
            return Err(Trouble::Mismatch(text));
        }
        if page.more != (count > page.kvs.len() as u64) {
            let text = format!("a page of {} keys out of {count} says more={}", page.kvs.len(), page.more);
            return Err(Trouble::Mismatch(text));
        }
        for kv in page.kvs {
            let key = String::from_utf8_lossy(&kv.key).into_owned();
            if key <= last_key {
                return Err(Trouble::Mismatch(format!("a list has {key} after {last_key}")));
            }
            last_key.clone_from(&key);
            value_bytes += kv.value.len() as u64;
            let held = Held {
                written: Written::of(&kv.value, kv.lease),
                create_revision: kv.create_revision,
                mod_revision: kv.mod_revision,
                version: kv.version,
            };
            found.insert(key, held);
        }
    }
    Ok(Listing { revision: pages.revision(), found, value_bytes, elapsed: started.elapsed() })
}

/// Compares a list with the notes: as of `revision`, or with everything noted.
pub(crate) fn check(history: &History, listing: &Listing, revision: Option<i64>) -> Result<(), Trouble> {
    let expected = revision.map_or_else(|| history.state(), |revision| history.state_at(revision));
    let found: BTreeMap<&str, Held> = listing.found.iter().map(|(key, held)| (key.as_str(), *held)).collect();
    let differences: Vec<String> = expected
        .keys()
        .chain(found.keys().filter(|key| !expected.contains_key(*key)))
        .filter_map(|key| difference(history, key, expected.get(key), found.get(key)))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    let shown = differences.iter().take(DIFFERENCES_SHOWN_MAX).map(|line| format!("\n  {line}")).collect::<String>();
    let text = format!("at revision {} {} keys are not as written:{shown}", listing.revision, differences.len());
    Err(Trouble::Mismatch(text))
}

/// What is wrong with one key, if anything is.
fn difference(history: &History, key: &str, expected: Option<&Held>, found: Option<&Held>) -> Option<String> {
    if expected == found {
        return None;
    }
    let since = expected.map_or(0, |held| held.mod_revision);
    let possible = history.unknown.get(key).is_some_and(|attempts| match found {
        // The value of a lost answer, or the noted value with a history that includes a lost one.
        Some(found) => {
            let lost = attempts.contains(&Some(found.written)) && found.mod_revision > since;
            lost || expected
                .is_some_and(|held| held.written == found.written && held.mod_revision == found.mod_revision)
        }
        None => attempts.contains(&None),
    });
    let expired = found.is_none() && expected.is_some_and(|held| history.may_have_expired(held.written.lease));
    if possible || expired {
        return None;
    }
    let show = |held: Option<&Held>| held.map_or("nothing".to_owned(), |held| format!("{held:?}"));
    Some(format!("{key}: written {}, found {}", show(expected), show(found)))
}

/// Asks the server for the number of keys of each kind, at the list's revision.
pub(crate) async fn check_counts(client: &Client, history: &History, listing: &Listing) -> Result<(), Trouble> {
    for kind in Kind::ALL {
        let listed = listing.found.keys().filter(|key| key.starts_with(kind.prefix())).count() as u64;
        let (key, range_end) = prefix_range(kind.prefix());
        let (counted, _) = count(&client.kv(), key, range_end).await?;
        // Events may expire between the two.
        let expiring = kind == Kind::Event && history.lease_ends_unix.keys().any(|id| history.may_have_expired(*id));
        if counted != listed && !expiring {
            let text = format!("{} holds {listed} keys by its list and {counted} by its count", kind.prefix());
            return Err(Trouble::Mismatch(text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::journal::Line;

    fn put(key: &str, revision: i64, value: &[u8], lease: i64) -> Line {
        Line::Put { key: key.to_owned(), revision, written: Written::of(value, lease) }
    }

    fn held(value: &[u8], mod_revision: i64, version: i64) -> Held {
        Held { written: Written::of(value, 0), create_revision: 5, mod_revision, version }
    }

    fn history(lines: Vec<Line>) -> History {
        let start = Line::Start { seed: 1, nodes: 1, events_per_node: 0, revision: 4 };
        History::from_lines([vec![start], lines].concat()).expect("begins with the start")
    }

    fn checked(history: &History, found: &[(&str, Held)]) -> Result<(), String> {
        let found = found.iter().map(|(key, held)| ((*key).to_owned(), *held)).collect();
        let listing = Listing { revision: 9, found, value_bytes: 0, elapsed: Duration::ZERO };
        check(history, &listing, None).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn a_list_as_written_passes_and_any_change_is_named() {
        let history = history(vec![put("/a", 5, b"1", 0), put("/a", 6, b"2", 0)]);
        assert_eq!(checked(&history, &[("/a", held(b"2", 6, 2))]), Ok(()));
        let wrong = [
            vec![],
            vec![("/a", held(b"1", 6, 2))],
            vec![("/a", held(b"2", 7, 2))],
            vec![("/a", held(b"2", 6, 1))],
            vec![("/a", held(b"2", 6, 2)), ("/b", held(b"2", 6, 2))],
        ];
        for found in wrong {
            let text = checked(&history, &found).expect_err("differs");
            assert!(text.contains("1 keys are not as written") && text.contains("\n  /"), "{text}");
        }
    }

    #[test]
    fn a_lost_answer_allows_both_outcomes_and_no_third() {
        let lost = Line::UnknownPut { key: "/a".to_owned(), written: Written::of(b"2", 0) };
        let history = history(vec![put("/a", 5, b"1", 0), lost]);
        assert_eq!(checked(&history, &[("/a", held(b"1", 5, 1))]), Ok(()));
        assert_eq!(checked(&history, &[("/a", held(b"2", 6, 2))]), Ok(()));
        assert!(checked(&history, &[("/a", held(b"3", 6, 2))]).is_err());
        assert!(checked(&history, &[]).is_err(), "a put that was acknowledged is gone");
    }

    #[test]
    fn a_lost_delete_allows_the_key_to_be_gone() {
        let history = history(vec![put("/a", 5, b"1", 0), Line::UnknownDelete { key: "/a".to_owned() }]);
        assert_eq!(checked(&history, &[]), Ok(()));
        assert_eq!(checked(&history, &[("/a", held(b"1", 5, 1))]), Ok(()));
    }

    #[test]
    fn a_key_may_be_gone_only_once_its_lease_may_have_ended() {
        let lease = |granted_unix| Line::Lease { id: 7, ttl_seconds: 3660, granted_unix };
        let ended = history(vec![lease(0), put("/e", 5, b"1", 7)]);
        assert_eq!(checked(&ended, &[]), Ok(()));
        let running = history(vec![lease(crate::kubernetes::journal::unix_now()), put("/e", 5, b"1", 7)]);
        assert!(checked(&running, &[]).is_err());
    }
}
