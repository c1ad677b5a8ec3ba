//! Answers as lines.

use super::requests::alarm_name;
use super::words::{Wrong, text};
use crate::machine::{Change, Effect, Response};
use crate::mvcc::row;
use crate::mvccpb::KeyValue;
use crate::pb::{
    AlarmMember, DeleteRangeResponse, PutResponse, RangeResponse, ResponseHeader, TxnResponse, response_op,
};
use bytes::Bytes;

/// Nested transactions deeper than this are not printed.
const DEPTH_MAX: usize = 6;

pub(super) fn response(response: &Response) -> Result<Vec<String>, Wrong> {
    Ok(match response {
        Response::Put(response) => put(response)?,
        Response::DeleteRange(response) => delete(response)?,
        Response::Txn(response) => txn(response, 0)?,
        Response::Compaction(response) => vec![rev(response.header.as_ref())],
        Response::LeaseGrant(response) => {
            vec![format!("{} lease={} ttl={}", rev(response.header.as_ref()), response.id, response.ttl)]
        }
        Response::LeaseRevoke(response) => vec![rev(response.header.as_ref())],
        Response::Alarm(response) => {
            std::iter::once(rev(response.header.as_ref())).chain(alarms(&response.alarms)).collect()
        }
        Response::None => vec!["ok".into()],
    })
}

pub(super) fn range(response: &RangeResponse) -> Result<Vec<String>, Wrong> {
    let more = if response.more { " more" } else { "" };
    let first = format!("{} count={}{more}", rev(response.header.as_ref()), response.count);
    std::iter::once(Ok(first)).chain(response.kvs.iter().map(|kv| Ok(format!("  {}", key_value(kv)?)))).collect()
}

fn put(response: &PutResponse) -> Result<Vec<String>, Wrong> {
    let mut lines = vec![rev(response.header.as_ref())];
    lines.extend(previous(response.prev_kv.iter())?);
    Ok(lines)
}

fn delete(response: &DeleteRangeResponse) -> Result<Vec<String>, Wrong> {
    let mut lines = vec![format!("{} deleted={}", rev(response.header.as_ref()), response.deleted)];
    lines.extend(previous(response.prev_kvs.iter())?);
    Ok(lines)
}

fn previous<'r>(rows: impl Iterator<Item = &'r Bytes>) -> Result<Vec<String>, Wrong> {
    rows.map(|row| Ok(format!("  prev {}", key_value(row)?))).collect()
}

/// A transaction's answer; equal neighbours are counted instead of repeated.
pub(super) fn txn(response: &TxnResponse, depth: usize) -> Result<Vec<String>, Wrong> {
    let branch = if response.succeeded { "succeeded" } else { "failed" };
    let mut lines = vec![format!("{} {branch}", rev(response.header.as_ref()))];
    if depth == DEPTH_MAX && !response.responses.is_empty() {
        lines.push("  …".into());
        return Ok(lines);
    }
    let mut before: Option<(Vec<String>, usize)> = None;
    for response in &response.responses {
        let (name, inner) = match &response.response {
            Some(response_op::Response::ResponseRange(response)) => ("get", range(response)?),
            Some(response_op::Response::ResponsePut(response)) => ("put", put(response)?),
            Some(response_op::Response::ResponseDeleteRange(response)) => ("del", delete(response)?),
            Some(response_op::Response::ResponseTxn(response)) => ("txn", txn(response, depth + 1)?),
            None => ("nothing", vec![String::new()]),
        };
        let name =
            |(at, line): (usize, &String)| if at == 0 { format!("  {name} {line}") } else { format!("  {line}") };
        let now: Vec<String> = inner.iter().enumerate().map(name).collect();
        match &mut before {
            Some((same, times)) if *same == now => *times += 1,
            _ => {
                lines.extend(counted(before.take()));
                before = Some((now, 1));
            }
        }
    }
    lines.extend(counted(before));
    Ok(lines)
}

fn counted(lines: Option<(Vec<String>, usize)>) -> Vec<String> {
    let Some((mut lines, times)) = lines else {
        return Vec::new();
    };
    if let (Some(last), 2..) = (lines.last_mut(), times) {
        last.push_str(&format!(" ({times} times)"));
    }
    lines
}

fn rev(header: Option<&ResponseHeader>) -> String {
    header.map_or("no header".into(), |header| format!("rev={}", header.revision))
}

pub(super) fn alarms(alarms: &[AlarmMember]) -> Vec<String> {
    alarms.iter().map(|alarm| format!("  member={} {}", alarm.member_id, alarm_name(alarm.alarm))).collect()
}

/// An encoded key-value.
pub(super) fn key_value(row: &Bytes) -> Result<String, Wrong> {
    let kv = row::decode(row).map_err(|fault| fault.to_string())?;
    let KeyValue { create_revision, mod_revision, version, .. } = kv;
    let lease = if kv.lease == 0 { String::new() } else { format!(" lease={}", kv.lease) };
    let (key, value) = (text(&kv.key), text(&kv.value));
    Ok(format!("{key}={value} create={create_revision} mod={mod_revision} v={version}{lease}"))
}

pub(super) fn change(change: &Change) -> Result<String, Wrong> {
    let previous = change.previous.map_or(String::new(), |revision| format!(" before={revision}"));
    let what = if change.delete {
        let kv = row::decode(&change.kv).map_err(|fault| fault.to_string())?;
        let bare = KeyValue { key: kv.key.clone(), mod_revision: kv.mod_revision, ..KeyValue::default() };
        let extra = if kv == bare { "" } else { " with more than key and revision" };
        format!("DELETE {} mod={}{extra}", text(&kv.key), kv.mod_revision)
    } else {
        format!("PUT {}", key_value(&change.kv)?)
    };
    Ok(format!("  change {} {what}{previous}", change.revision))
}

pub(super) fn effect(effect: &Effect) -> String {
    let what = match effect {
        Effect::LeaseGranted { lease, ttl_seconds, incarnation } => {
            format!("lease {lease} granted ttl={ttl_seconds} incarnation={incarnation}")
        }
        Effect::LeaseRevoked { lease } => format!("lease {lease} revoked"),
        Effect::LeaseCheckpointed { lease, remaining_seconds } => {
            format!("lease {lease} checkpointed remaining={remaining_seconds}")
        }
        Effect::Compacted { floor } => format!("compacted floor={floor}"),
        Effect::Alarms => "alarms changed".into(),
        Effect::Members => "members changed".into(),
    };
    format!("  effect {what}")
}
