//! The raw tables as lines.

use super::print::key_value;
use super::requests::alarm_name;
use super::words::{Wrong, text};
use crate::mvcc::row;
use crate::storage::table::{local, meta};
use crate::storage::{Engine, Table, codec};
use bytes::Bytes;
use prost::Message;
use quorate_proto::internal::{StoredAlarm, StoredLease, StoredMember};
use std::ops::ControlFlow;

/// All rows of one table, or of all of them.
pub(super) fn tables(engine: &dyn Engine, only: Option<&str>) -> Result<Vec<String>, Wrong> {
    if let Some(name) = only.filter(|name| Table::ALL.iter().all(|table| table.name() != *name)) {
        return Err(format!("there is no table {name}"));
    }
    let mut lines = Vec::new();
    for table in Table::ALL.into_iter().filter(|table| only.is_none_or(|name| table.name() == name)) {
        let mut wrong = None;
        let mut visit = |key: &[u8], value: &[u8]| match line(table, key, value) {
            Ok(line) => {
                lines.push(format!("{} {line}", table.name()));
                ControlFlow::Continue(())
            }
            Err(what) => {
                wrong = Some(what);
                ControlFlow::Break(())
            }
        };
        engine.scan(table, &[], None, &mut visit).map_err(|fault| fault.to_string())?;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
    }
    if lines.is_empty() {
        lines.push("no rows".into());
    }
    Ok(lines)
}

fn line(table: Table, key: &[u8], value: &[u8]) -> Result<String, Wrong> {
    let fault = |fault: crate::error::Fault| fault.to_string();
    let number = |value: &[u8]| codec::i64_value(value).map_err(fault);
    Ok(match table {
        Table::Row => {
            let revision = codec::row_revision(key).map_err(fault)?;
            let head = row::head(value).map_err(fault)?;
            if head.tombstone {
                format!("{revision} {} deleted", text(head.key))
            } else {
                format!("{revision} {}", key_value(&Bytes::copy_from_slice(value))?)
            }
        }
        Table::Index => {
            let (user_key, version) = codec::index_row(key, value).map_err(fault)?;
            format!(
                "{} {} create={} v={} lease={} bytes={}",
                text(&user_key),
                version.revision,
                version.create_revision,
                version.version,
                version.lease,
                version.encoded_bytes
            )
        }
        Table::Lease => {
            let lease = StoredLease::decode(value).map_err(|error| error.to_string())?;
            let StoredLease { id, ttl_seconds, remaining_seconds, granted_index } = lease;
            format!("{id} ttl={ttl_seconds} remaining={remaining_seconds} granted-at={granted_index}")
        }
        Table::Alarm => {
            let alarm = StoredAlarm::decode(value).map_err(|error| error.to_string())?;
            format!("member={} {}", alarm.member_id, alarm_name(alarm.alarm))
        }
        Table::Member => {
            let member = StoredMember::decode(value).map_err(|error| error.to_string())?;
            format!("{} {} {}", member.id, member.name, member.client_urls.join(","))
        }
        Table::Meta => {
            let name = String::from_utf8_lossy(key);
            match key {
                meta::APPLIED => {
                    let (term, index) = codec::applied(value).map_err(fault)?;
                    format!("{name} term={term} index={index}")
                }
                meta::REVISION | meta::COMPACTED | meta::CLUSTER_ID => format!("{name} {}", number(value)?),
                _ => format!("{name} {}", text(value)),
            }
        }
        Table::Local if key == local::TRIMMED => format!("trimmed {}", number(value)?),
        Table::Local => format!("{} {}", text(key), text(value)),
    })
}
