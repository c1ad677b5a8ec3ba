//! Commands to requests.

use super::words::{Words, Wrong, bytes, number};
use crate::pb::range_request::{SortOrder, SortTarget};
use crate::pb::{AlarmType, DeleteRangeRequest, LeaseCheckpoint, PutRequest, RangeRequest};
use bytes::Bytes;

pub(super) fn put(words: &mut Words<'_>) -> Result<PutRequest, Wrong> {
    let word = words.next("the key")?;
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    Ok(PutRequest {
        key: bytes(key)?,
        value: bytes(value)?,
        lease: words.number("lease")?.unwrap_or(0),
        prev_kv: words.flag("prev"),
        ignore_value: words.flag("ignore-value"),
        ignore_lease: words.flag("ignore-lease"),
    })
}

/// Key and range end, by the conventions of the contract (§2.3).
pub(super) fn key_range(words: &mut Words<'_>) -> Result<(Bytes, Bytes), Wrong> {
    let key = bytes(words.next("the key")?)?;
    let end = match words.option("to") {
        Some(end) => bytes(end)?,
        None if words.flag("from-key") => Bytes::from_static(&[0]),
        None if words.flag("prefix") => prefix_end(&key),
        None => Bytes::new(),
    };
    Ok((key, end))
}

/// The last byte one up, after trailing 0xff; all 0xff (and the empty prefix) means no end.
fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(&[0])
}

pub(super) fn delete(words: &mut Words<'_>) -> Result<DeleteRangeRequest, Wrong> {
    let (key, range_end) = key_range(words)?;
    Ok(DeleteRangeRequest { key, range_end, prev_kv: words.flag("prev") })
}

pub(super) fn range(words: &mut Words<'_>) -> Result<RangeRequest, Wrong> {
    let (key, range_end) = key_range(words)?;
    let sort_target = match words.option("sort") {
        None | Some("key") => SortTarget::Key.into(),
        Some("version") => SortTarget::Version.into(),
        Some("create") => SortTarget::Create.into(),
        Some("mod") => SortTarget::Mod.into(),
        Some("value") => SortTarget::Value.into(),
        Some(other) => enum_number(other)?,
    };
    let sort_order = match words.option("order") {
        None | Some("none") => SortOrder::None.into(),
        Some("ascend") => SortOrder::Ascend.into(),
        Some("descend") => SortOrder::Descend.into(),
        Some(other) => enum_number(other)?,
    };
    Ok(RangeRequest {
        key,
        range_end,
        limit: words.number("limit")?.unwrap_or(0),
        revision: words.number("rev")?.unwrap_or(0),
        sort_order,
        sort_target,
        serializable: words.flag("serializable"),
        keys_only: words.flag("keys-only"),
        count_only: words.flag("count-only"),
        min_mod_revision: words.number("min-mod")?.unwrap_or(0),
        max_mod_revision: words.number("max-mod")?.unwrap_or(0),
        min_create_revision: words.number("min-create")?.unwrap_or(0),
        max_create_revision: words.number("max-create")?.unwrap_or(0),
    })
}

/// A number that an enum field may hold without being one of its names, as `#9`.
pub(super) fn enum_number(word: &str) -> Result<i32, Wrong> {
    let number = word.strip_prefix('#').and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("not understood: {word}"))
}

pub(super) fn alarm_type(words: &mut Words<'_>) -> Result<i32, Wrong> {
    Ok(match words.option("type") {
        None | Some("none") => AlarmType::None.into(),
        Some("nospace") => AlarmType::Nospace.into(),
        Some("corrupt") => AlarmType::Corrupt.into(),
        Some(other) => enum_number(other)?,
    })
}

pub(super) fn alarm_name(alarm: i32) -> String {
    match AlarmType::try_from(alarm) {
        Ok(AlarmType::None) => "none".into(),
        Ok(AlarmType::Nospace) => "nospace".into(),
        Ok(AlarmType::Corrupt) => "corrupt".into(),
        Err(_) => format!("#{alarm}"),
    }
}

/// `ID=SECONDS` words.
pub(super) fn checkpoints(words: &mut Words<'_>) -> Result<Vec<LeaseCheckpoint>, Wrong> {
    let pair = |word: &str| {
        let (id, seconds) = word.split_once('=').ok_or("a checkpoint is ID=SECONDS")?;
        Ok(LeaseCheckpoint { id: number(id)?, remaining_ttl: number(seconds)? })
    };
    words.rest().into_iter().map(pair).collect()
}
