//! Bytes of the log: frozen, reversible, and safe to be wrong.

use std::sync::Arc;

use bytes::Bytes;
use openraft::EntryPayload;
use proptest::prelude::*;
use prost::Message;
use quorate_disk::wal::LogRecord;
use quorate_proto::internal as pb;

use super::put;
use crate::raft::codec::{
    decode_entry, decode_log_id, decode_vote, encode_entry, encode_log_id, encode_vote, log_id, stored_membership,
    stored_membership_message,
};
use crate::raft::types::{Entry, LogId, Membership, Peer, Proposal, StoredMembership, Vote};

fn entry(term: u64, index: u64, payload: EntryPayload<Proposal, u64, Peer>) -> Entry {
    Entry { log_id: log_id(term, index).expect("from 1"), payload }
}

fn members(configs: &[&[u64]], ids: &[u64]) -> Membership {
    let configs = configs.iter().map(|ids| ids.iter().copied().collect()).collect();
    let nodes = ids.iter().map(|id| (*id, Peer { urls: vec![format!("http://m{id}:2380")] }));
    Membership::new(configs, nodes.collect::<std::collections::BTreeMap<_, _>>()).expect("every voter has a node")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Old logs are read by new members: these bytes never change.
#[test]
fn the_bytes_on_disk_are_frozen() {
    let bytes = |entry: &Entry| hex(&encode_entry(entry).payload);
    assert_eq!(bytes(&entry(0, 1, EntryPayload::Blank)), "10011a00");
    assert_eq!(bytes(&entry(3, 300, EntryPayload::Blank)), "080310ac021a00");
    assert_eq!(
        bytes(&entry(2, 7, EntryPayload::Normal(Proposal::new(put("k"))))),
        "08021007220c520a0a016b120576616c7565"
    );
    assert_eq!(
        bytes(&entry(1, 1, EntryPayload::Membership(members(&[&[4]], &[4, 5])))),
        "080110012a2d0a030a0104".to_owned()
            + "12120804120e687474703a2f2f6d343a32333830"
            + "12120805120e687474703a2f2f6d353a32333830"
    );
    assert_eq!(hex(&encode_vote(&Vote::new(5, 9))), "080510092001");
    assert_eq!(hex(&encode_vote(&Vote::new_committed(5, 9))), "0805100918012001");
    assert_eq!(hex(&encode_log_id(log_id(5, 300).expect("from 1"))), "080510ac02");
}

#[test]
fn openraft_counts_from_zero_and_the_log_from_one() {
    let first = Entry { log_id: LogId::new_term_index(0, 0), payload: EntryPayload::Blank };
    assert_eq!(encode_entry(&first).index, 1);
    assert_eq!(log_id(4, 0), None);
}

/// The command is written in place; the generated encoder must agree with the result.
#[test]
fn writing_in_place_gives_what_the_schema_says() {
    for (term, index) in [(0, 1), (1, 2), (u64::MAX, u64::MAX)] {
        let proposal = Proposal::new(put("key"));
        let message = pb::RaftEntry {
            term,
            index,
            payload: Some(pb::raft_entry::Payload::Command(proposal.command.encode_to_vec().into())),
        };
        let record = encode_entry(&entry(term, index, EntryPayload::Normal(proposal)));
        assert_eq!(record.payload, message.encode_to_vec());
    }
}

#[test]
fn an_entry_in_the_wrong_place_is_an_error() {
    let mut record = encode_entry(&entry(2, 7, EntryPayload::Blank));
    record.index = 8;
    let error = decode_entry(record).expect_err("it belongs elsewhere");
    assert_eq!(error.to_string(), "entry 7 where entry 8 belongs");
}

#[test]
fn an_entry_of_a_kind_this_version_does_not_know_is_an_error() {
    // Field 15, empty.
    let record = LogRecord { index: 1, term: 0, payload: Bytes::from_static(b"\x10\x01\x7a\x00") };
    let error = decode_entry(record).expect_err("unknown");
    assert!(error.to_string().contains("newer version"), "{error}");
}

/// Found by the test of changed bytes below: the length counted before decoding was written over the shorter encoding.
#[test]
fn a_command_with_a_field_this_version_does_not_know_can_be_encoded_again() {
    let mut command = put("k").encode_to_vec();
    // Field 1000, a number.
    command.extend_from_slice(b"\xc0\x3e\x07");
    let payload = Some(pb::raft_entry::Payload::Command(command.into()));
    let bytes = pb::RaftEntry { term: 1, index: 2, payload }.encode_to_vec();
    let entry = decode_entry(LogRecord { index: 2, term: 1, payload: bytes.into() }).expect("known fields are there");
    assert_eq!(decode_entry(encode_entry(&entry)), Ok(entry));
}

#[test]
fn a_membership_that_makes_no_sense_is_an_error() {
    let of = |configs: &[&[u64]], nodes: &[u64]| pb::StoredMembership {
        membership: Some(pb::Membership {
            configs: configs.iter().map(|ids| pb::NodeSet { voter_ids: ids.to_vec() }).collect(),
            nodes: nodes.iter().map(|id| pb::Node { id: *id, peer_urls: vec![] }).collect(),
        }),
        ..Default::default()
    };
    assert!(stored_membership(of(&[&[1, 2]], &[1, 2, 3])).is_ok());
    assert!(stored_membership(of(&[&[2, 1]], &[1, 2])).is_err(), "not ascending");
    assert!(stored_membership(of(&[&[1]], &[1, 1])).is_err(), "twice the same");
    assert!(stored_membership(of(&[&[1, 2]], &[1])).is_err(), "a voter without a node");
    assert!(stored_membership(of(&[&[]], &[1])).is_err(), "nobody votes");
    assert_eq!(stored_membership(pb::StoredMembership::default()), Ok(StoredMembership::default()));
}

fn any_membership() -> impl Strategy<Value = Membership> {
    let ids = proptest::collection::btree_set(any::<u64>(), 1..6);
    (ids, any::<bool>()).prop_map(|(ids, joint)| {
        let ids: Vec<u64> = ids.into_iter().collect();
        let configs: &[&[u64]] = if joint { &[&ids[..1], &ids] } else { &[&ids] };
        members(configs, &ids)
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let payload = prop_oneof![
        Just(EntryPayload::Blank),
        any_membership().prop_map(EntryPayload::Membership),
        (proptest::collection::vec(any::<u8>(), 0..300), any::<u64>()).prop_map(|(key, auth_revision)| {
            let mut command = Arc::unwrap_or_clone(put(key));
            command.auth_revision = auth_revision;
            EntryPayload::Normal(Proposal::new(Arc::new(command)))
        }),
    ];
    (any::<u64>(), 1..=u64::MAX, payload).prop_map(|(term, index, payload)| entry(term, index, payload))
}

proptest! {
    #[test]
    fn entries_come_back_the_same(entry in any_entry()) {
        let record = encode_entry(&entry);
        prop_assert_eq!((record.term, record.index), crate::raft::codec::term_index(entry.log_id));
        prop_assert_eq!(decode_entry(record).expect("it was just encoded"), entry);
    }

    #[test]
    fn votes_and_positions_come_back_the_same(term: u64, node: u64, committed: bool, index in 1..=u64::MAX) {
        let vote = if committed { Vote::new_committed(term, node) } else { Vote::new(term, node) };
        prop_assert_eq!(decode_vote(encode_vote(&vote)), Ok(vote));
        let id = log_id(term, index).expect("from 1");
        prop_assert_eq!(decode_log_id(encode_log_id(id)), Ok(id));
    }

    #[test]
    fn memberships_come_back_the_same(membership in any_membership(), at in proptest::option::of((any::<u64>(), 1..u64::MAX))) {
        let stored = StoredMembership::new(at.and_then(|(term, index)| log_id(term, index)), membership);
        prop_assert_eq!(stored_membership(stored_membership_message(&stored)), Ok(stored));
    }

    /// Bytes that validate and mean nothing are errors. Whatever is accepted is an entry that encodes and decodes again.
    #[test]
    fn garbage_is_an_error_or_an_entry_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), index in 1..9u64) {
        let payload = Bytes::from(bytes);
        if let Ok(entry) = decode_entry(LogRecord { index, term: 0, payload: payload.clone() }) {
            prop_assert_eq!(decode_entry(encode_entry(&entry)), Ok(entry));
        }
        if let Ok(vote) = decode_vote(payload.clone()) {
            prop_assert_eq!(decode_vote(encode_vote(&vote)), Ok(vote));
        }
        if let Ok(id) = decode_log_id(payload) {
            prop_assert_eq!(decode_log_id(encode_log_id(id)), Ok(id));
        }
    }

    /// An entry with one byte changed.
    #[test]
    fn a_changed_byte_is_an_error_or_an_entry_and_never_a_panic(entry in any_entry(), at: proptest::sample::Index, bit in 0..8u8) {
        let mut record = encode_entry(&entry);
        let mut bytes = record.payload.to_vec();
        bytes[at.index(record.payload.len())] ^= 1 << bit;
        record.payload = bytes.into();
        if let Ok(changed) = decode_entry(record) {
            prop_assert_eq!(decode_entry(encode_entry(&changed)), Ok(changed));
        }
    }
}
