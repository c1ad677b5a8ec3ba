//! Entries, votes and positions as bytes, and back.
//!
//! Rule: what was written is read back the same; anything else is an error and never a guess. This is also the only place
//! that knows openraft counts entries from 0 while everything outside this folder counts from 1.
//!
//! The formats are `RaftEntry`, `Vote`, `LogId` and `StoredMembership` of `internal/command.proto`. An entry is encoded in
//! one pass: `RaftEntry.command` holds the command's bytes, which are written in place instead of being encoded apart and
//! then copied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use openraft::EntryPayload;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use quorate_disk::wal::LogRecord;
use quorate_proto::internal as pb;

use super::types::{Entry, LogId, Membership, Peer, Proposal, StoredMembership, Vote};

/// Why bytes are not what they should be. Finishes the sentence "the log holds ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    #[error("{what} that cannot be decoded: {why}")]
    Undecodable { what: &'static str, why: String },
    #[error("{what} that a newer version of Quorate must have written")]
    Unknown { what: &'static str },
    #[error("entry {found} where entry {expected} belongs")]
    Misplaced { expected: u64, found: u64 },
}

fn undecodable(what: &'static str, why: &(impl ToString + ?Sized)) -> CodecError {
    CodecError::Undecodable { what, why: why.to_string() }
}

/// Tags of `RaftEntry`, asserted against the generated code by a test.
mod tag {
    pub(super) const TERM: u32 = 1;
    pub(super) const INDEX: u32 = 2;
    pub(super) const COMMAND: u32 = 4;
}

/// The index of an entry outside this folder, from 1.
pub(super) fn outer(raft_index: u64) -> u64 {
    raft_index + 1
}

/// The index of a position outside this folder; 0 for none.
pub(super) fn index_of(id: Option<LogId>) -> u64 {
    id.map_or(0, |id| outer(id.index))
}

/// Term and index of a position outside this folder.
pub(super) fn term_index(id: LogId) -> (u64, u64) {
    (**id.committed_leader_id(), outer(id.index))
}

/// The position of the entry that is `index` outside this folder; nothing for 0, the place before the first entry.
pub(super) fn log_id(term: u64, index: u64) -> Option<LogId> {
    Some(LogId::new_term_index(term, index.checked_sub(1)?))
}

pub(super) fn encode_entry(entry: &Entry) -> LogRecord {
    let (term, index) = term_index(entry.log_id);
    let payload = match &entry.payload {
        EntryPayload::Normal(proposal) => encode_command(term, index, proposal),
        EntryPayload::Blank => other(term, index, pb::raft_entry::Payload::Blank(pb::Blank {})),
        EntryPayload::Membership(membership) => {
            other(term, index, pb::raft_entry::Payload::Membership(membership_message(membership)))
        }
    };
    LogRecord { index, term, payload }
}

fn other(term: u64, index: u64, payload: pb::raft_entry::Payload) -> Bytes {
    pb::RaftEntry { term, index, payload: Some(payload) }.encode_to_vec().into()
}

fn encode_command(term: u64, index: u64, proposal: &Proposal) -> Bytes {
    // Two numbers, one key and one length, at most 11 + 11 + 1 + 10 bytes.
    let mut buf = BytesMut::with_capacity(proposal.bytes + 33);
    if term != 0 {
        prost::encoding::uint64::encode(tag::TERM, &term, &mut buf);
    }
    if index != 0 {
        prost::encoding::uint64::encode(tag::INDEX, &index, &mut buf);
    }
    encode_key(tag::COMMAND, WireType::LengthDelimited, &mut buf);
    encode_varint(proposal.bytes as u64, &mut buf);
    proposal.command.encode_raw(&mut buf);
    buf.freeze()
}

pub(super) fn decode_entry(record: LogRecord) -> Result<Entry, CodecError> {
    let entry = pb::RaftEntry::decode(record.payload).map_err(|why| undecodable("an entry", &why))?;
    if (entry.term, entry.index) != (record.term, record.index) {
        return Err(CodecError::Misplaced { expected: record.index, found: entry.index });
    }
    let log_id = log_id(entry.term, entry.index).ok_or(CodecError::Misplaced { expected: 1, found: 0 })?;
    let payload = match entry.payload {
        Some(pb::raft_entry::Payload::Command(bytes)) => {
            let command = pb::Command::decode(bytes).map_err(|why| undecodable("a command", &why))?;
            // Counted anew: fields this version does not know are dropped, so the bytes may have been more.
            EntryPayload::Normal(Proposal::new(Arc::new(command)))
        }
        Some(pb::raft_entry::Payload::Blank(_)) => EntryPayload::Blank,
        Some(pb::raft_entry::Payload::Membership(message)) => EntryPayload::Membership(membership(message)?),
        None => return Err(CodecError::Unknown { what: "an entry" }),
    };
    Ok(Entry { log_id, payload })
}

pub(super) fn encode_vote(vote: &Vote) -> Bytes {
    let leader = vote.leader_id();
    let message =
        pb::Vote { term: leader.term, node_id: leader.voted_for, has_node_id: true, committed: vote.is_committed() };
    message.encode_to_vec().into()
}

pub(super) fn decode_vote(bytes: Bytes) -> Result<Vote, CodecError> {
    let message = pb::Vote::decode(bytes).map_err(|why| undecodable("a vote", &why))?;
    if !message.has_node_id {
        return Err(undecodable("a vote", "it names no candidate"));
    }
    Ok(if message.committed {
        Vote::new_committed(message.term, message.node_id)
    } else {
        Vote::new(message.term, message.node_id)
    })
}

pub(super) fn encode_log_id(id: LogId) -> Bytes {
    let (term, index) = term_index(id);
    pb::LogId { term, index }.encode_to_vec().into()
}

pub(super) fn decode_log_id(bytes: Bytes) -> Result<LogId, CodecError> {
    let message = pb::LogId::decode(bytes).map_err(|why| undecodable("a position", &why))?;
    log_id(message.term, message.index).ok_or_else(|| undecodable("a position", "it is before the first entry"))
}

pub(super) fn stored_membership_message(stored: &StoredMembership) -> pb::StoredMembership {
    let (log_term, log_index) = stored.log_id().map_or((0, 0), term_index);
    pb::StoredMembership {
        log_term,
        log_index,
        has_log_id: stored.log_id().is_some(),
        membership: Some(membership_message(stored.membership())),
    }
}

pub(super) fn stored_membership(message: pb::StoredMembership) -> Result<StoredMembership, CodecError> {
    let log_id = match message.has_log_id {
        false => None,
        true => Some(
            log_id(message.log_term, message.log_index)
                .ok_or_else(|| undecodable("a membership", "its entry is before the first one"))?,
        ),
    };
    Ok(StoredMembership::new(log_id, membership(message.membership.unwrap_or_default())?))
}

fn membership_message(membership: &Membership) -> pb::Membership {
    pb::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| pb::NodeSet { voter_ids: voters.iter().copied().collect() })
            .collect(),
        nodes: membership.nodes().map(|(id, peer)| pb::Node { id: *id, peer_urls: peer.urls.clone() }).collect(),
    }
}

fn membership(message: pb::Membership) -> Result<Membership, CodecError> {
    let mut configs = Vec::with_capacity(message.configs.len());
    for config in message.configs {
        ascending(&config.voter_ids)?;
        configs.push(config.voter_ids.into_iter().collect::<BTreeSet<u64>>());
    }
    ascending(&message.nodes.iter().map(|node| node.id).collect::<Vec<u64>>())?;
    let nodes: BTreeMap<u64, Peer> =
        message.nodes.into_iter().map(|node| (node.id, Peer { urls: node.peer_urls })).collect();
    Membership::new(configs, nodes).map_err(|why| undecodable("a membership", &why))
}

fn ascending(ids: &[u64]) -> Result<(), CodecError> {
    match ids.is_sorted_by(|a, b| a < b) {
        true => Ok(()),
        false => Err(undecodable("a membership", "its members are not in ascending order")),
    }
}
