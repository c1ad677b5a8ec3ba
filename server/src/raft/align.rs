//! The log and the engine brought together at start.
//!
//! Rule: the engine may be ahead of the log, never behind its beginning. An entry counts as committed as soon as a quorum
//! has synced it, so the engine can hold and flush what this member's own log had not synced when it crashed. Such a log is
//! discarded up to the engine's position, durably, before openraft sees it, and goes on after it.
//!
//! ```text
//! engine at            i                                  what is done
//! log        [....i....]        the entry at i is the same   nothing
//! log   [..]          |         it ends before i             purge through i
//! log   [....x....]             an older entry stands at i   cut all, purge through i: that tail was never committed
//! log             |  [...]      it begins after i + 1        fault: what lies between is lost
//! ```
//!
//! Everything else is damage: two members' files mixed, or files removed by hand. Then the member says so and stops.

use quorate_core::error::Fault;
use quorate_disk::wal::{Done, Recovered, Wal, WalError};
use tokio::sync::oneshot;

use super::codec::{CodecError, decode_log_id, decode_vote, log_id, term_index};
use super::log_store::Ends;
use super::types::LogId;

/// Makes the log fit an engine that has applied up to `applied` (term, index from 1).
pub(super) async fn align(wal: &Wal, recovered: &Recovered, applied: Option<(u64, u64)>) -> Result<Ends, Fault> {
    let vote = recovered.vote.clone().map(decode_vote).transpose().map_err(|error| unreadable(&error))?;
    let committed = recovered.committed.clone().map(decode_log_id).transpose().map_err(|error| unreadable(&error))?;
    let purged = recovered.purged.map(|(index, term)| (term, index));
    let last = recovered.last.map(|(index, term)| (term, index)).or(purged);
    let mut ends = Ends { vote, purged: position(purged), last: position(last), ..Ends::default() };

    let Some((term, index)) = applied else {
        return match purged {
            None => finish(wal, ends, committed),
            Some((_, purged)) => Err(Fault::new(format!(
                "the log begins after entry {purged}, but the store is empty: the store's files were removed or belong to \
                 another data directory. Put them back, or restore this member from a peer or a snapshot."
            ))),
        };
    };
    if last.is_none() && vote.is_none() {
        return Err(Fault::new(format!(
            "the store holds entry {index}, but the log is new: the log's files were removed or belong to another data \
             directory. Put them back, or restore this member from a peer or a snapshot."
        )));
    }
    if let Some((_, purged)) = purged
        && purged > index
    {
        return Err(Fault::new(format!(
            "the store ends with entry {index}, but the log begins after entry {purged}: what lies between is lost. The \
             store's files are older than the log's. Restore this member from a peer or a snapshot."
        )));
    }
    // The entry the log has where the engine stands, or the last one before.
    let beside = match last {
        Some((_, last_index)) if last_index > index => Some((term_at(wal, index, purged)?, index)),
        last => last,
    };
    match beside {
        Some((log_term, log_index)) if log_index == index && log_term == term => return finish(wal, ends, committed),
        Some((log_term, log_index)) if log_term > term => {
            return Err(Fault::new(format!(
                "the store holds entry {index} of term {term}, but entry {log_index} of the log is of term {log_term}: the \
                 two belong to different data directories. Restore this member from a peer or a snapshot."
            )));
        }
        _ => {}
    }
    tracing::warn!(
        applied_index = index,
        applied_term = term,
        last_log = ?last,
        "the store is ahead of the log, as can be after a crash; the older log is discarded"
    );
    let keep = purged.map_or(0, |(_, purged)| purged);
    durably(|done| wal.truncate_from(keep + 1, done)).await?;
    durably(|done| wal.purge_through(index, term, done)).await?;
    ends.purged = log_id(term, index);
    ends.last = ends.purged;
    finish(wal, ends, committed)
}

/// Takes over `committed` if the log holds that very entry. The record is not synced for itself and can name an entry that
/// did not survive; then openraft learns from the next leader what is committed.
fn finish(wal: &Wal, mut ends: Ends, committed: Option<LogId>) -> Result<Ends, Fault> {
    let purged = ends.purged.map(term_index);
    ends.recovered_committed = committed;
    ends.committed = match (committed, ends.last) {
        (Some(committed), Some(last)) if committed.index <= last.index => {
            let (term, index) = term_index(committed);
            let beyond_purged = purged.is_none_or(|(_, purged)| index >= purged);
            (beyond_purged && term_at(wal, index, purged)? == term).then_some(committed)
        }
        _ => None,
    };
    Ok(ends)
}

fn position(term_index: Option<(u64, u64)>) -> Option<LogId> {
    term_index.and_then(|(term, index)| log_id(term, index))
}

fn term_at(wal: &Wal, index: u64, purged: Option<(u64, u64)>) -> Result<u64, Fault> {
    if let Some((term, purged)) = purged
        && purged == index
    {
        return Ok(term);
    }
    let records = wal.read(index, index + 1, 0).map_err(|error| Fault::new(error.to_string()))?;
    let record = records.first().ok_or_else(|| Fault::new(format!("the log has lost its entry {index}")))?;
    Ok(record.term)
}

fn unreadable(error: &CodecError) -> Fault {
    Fault::new(format!(
        "the log holds {error}. If this member was downgraded, start the newer version again; else restore it from a peer \
         or a snapshot."
    ))
}

async fn durably(call: impl FnOnce(Done)) -> Result<(), Fault> {
    let (tell, told) = oneshot::channel();
    call(Box::new(move |result| drop(tell.send(result))));
    told.await.unwrap_or(Err(WalError::Closed)).map_err(|error| Fault::new(error.to_string()))
}
