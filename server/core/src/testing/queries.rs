//! Commands that need no entry: they are answered from a view.

use super::print;
use super::requests::range as range_request;
use super::script::Node;
use super::txn;
use super::words::{Words, Wrong, number, text};
use crate::check;
use crate::ids::LeaseId;
use crate::machine::txn::{is_read_only, read_only};
use crate::mvcc::hash::{Hashed, hash_key_space};
use crate::mvcc::range::{Source, range};
use crate::mvcc::view::View;
use crate::storage::{Engine, EngineRows};

/// The answer of a view, or nothing when the command is no query.
pub(super) fn query(
    view: &View,
    engine: &dyn Engine,
    node: &Node,
    ops_max: usize,
) -> Result<Option<Vec<String>>, Wrong> {
    let mut words = Words::new(&node.text);
    let lines = match words.next("a command")? {
        "get" => get(view, engine, &mut words)?,
        "hash" => hash(view, engine, words.number("rev")?.unwrap_or(0))?,
        "size" => vec![format!("bytes={}", view.bytes_in_use)],
        "leases" => leases(view),
        "ttl-keys" => ttl_keys(view, LeaseId(number(words.next("the lease")?)?)),
        "alarms" => or_none(print::alarms(&view.alarms.list(0))),
        "members" => members(view),
        "txn" => {
            let request = txn::txn(node)?;
            if !is_read_only(&request) {
                return Ok(None);
            }
            if let Err(refusal) = check::txn(&request, ops_max) {
                return Ok(Some(vec![format!("refused: {refusal}")]));
            }
            match read_only(view, &EngineRows(engine), &request).map_err(|fault| fault.to_string())? {
                Ok(response) => {
                    let mut lines = print::txn(&response, 0)?;
                    lines[0].push_str(", not logged");
                    lines
                }
                Err(refusal) => vec![format!("refused: {refusal}")],
            }
        }
        _ => return Ok(None),
    };
    words.end()?;
    Ok(Some(lines))
}

fn get(view: &View, engine: &dyn Engine, words: &mut Words<'_>) -> Result<Vec<String>, Wrong> {
    let request = range_request(words)?;
    if let Err(refusal) = check::range(&request) {
        return Ok(vec![format!("refused: {refusal}")]);
    }
    let source = Source {
        index: &view.index,
        revision: view.revision,
        compact_revision: view.compact_revision,
        rows: &EngineRows(engine),
    };
    match range(source, &request).map_err(|fault| fault.to_string())? {
        Ok(response) => print::range(&response),
        Err(refusal) => Ok(vec![format!("refused: {refusal}")]),
    }
}

fn hash(view: &View, engine: &dyn Engine, revision: i64) -> Result<Vec<String>, Wrong> {
    let state = Hashed { index: &view.index, revision: view.revision, compact_revision: view.compact_revision };
    let hash = hash_key_space(state, engine, revision).map_err(|fault| fault.to_string())?;
    Ok(vec![match hash {
        Ok(hash) => format!("hash={} rev={} compacted={}", hash.hash, hash.revision, hash.compact_revision),
        Err(refusal) => format!("refused: {refusal}"),
    }])
}

pub(super) fn leases(view: &View) -> Vec<String> {
    let line = |lease: &crate::machine::lease::Lease| {
        let (id, ttl, left) = (lease.id, lease.ttl_seconds, lease.remaining_seconds);
        let left = if left == 0 { String::new() } else { format!(" remaining={left}") };
        format!("  lease={id} ttl={ttl}{left} incarnation={}", lease.incarnation)
    };
    or_none(view.leases.iter().map(|lease| line(lease)).collect())
}

fn ttl_keys(view: &View, id: LeaseId) -> Vec<String> {
    match view.leases.get(id) {
        None => vec!["no such lease".into()],
        Some(lease) => {
            let keys: Vec<String> = view.leases.keys(id).map(text).collect();
            vec![format!("ttl={} keys: {}", lease.ttl_seconds, keys.join(" ")).trim_end().to_owned()]
        }
    }
}

fn members(view: &View) -> Vec<String> {
    let members = &view.members;
    let mut lines = vec![format!("cluster={} version={}", members.cluster_id, members.cluster_version)];
    lines.extend(members.list().iter().map(|member| {
        let line = format!("  member={} {} {}", member.id, member.name, member.client_urls.join(","));
        line.trim_end().to_owned()
    }));
    lines
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["none".into()] } else { lines }
}
