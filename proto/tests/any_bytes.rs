//! Bytes from a stranger never panic the decoder, and what it accepts it can write and read again.
//!
//! Every request of every method is tried, and our own messages, since a damaged log or peer is a stranger too.
//! Random bytes alone rarely get past the first field. So most inputs are made from the .proto files: fields the
//! message really has, with any content, now and then a wrong number or a wrong kind, then perhaps a flipped or a
//! missing byte. Every choice is read from a tape of random numbers, which proptest shortens when a case fails.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use prost::Message;
use prost::bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::{DescriptorProto, field_descriptor_proto::Type};
use quorate_proto::{
    FILE_DESCRIPTOR_SET,
    api::grpc_health::HealthCheckRequest,
    internal::{Command, Membership, RaftEntry, StoredAlarm, StoredLease, StoredMember, StoredMembership, Vote},
    wire::{etcdserverpb::*, v3electionpb::*, v3lockpb::*},
};

/// Decodes, and if that works encodes and decodes again.
type Reader = fn(&[u8]) -> Result<(), TestCaseError>;

fn read<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(message) = M::decode(Bytes::copy_from_slice(bytes)) {
        let again = message.encode_to_vec();
        prop_assert_eq!(again.len(), message.encoded_len());
        prop_assert_eq!(M::decode(&again[..])?, message);
    }
    Ok(())
}

macro_rules! readers {
    ($($message:ident),* $(,)?) => { &[$((stringify!($message), read::<$message> as Reader)),*] };
}

const REQUESTS: &[(&str, Reader)] = readers![
    AlarmRequest,
    AuthDisableRequest,
    AuthEnableRequest,
    AuthRoleAddRequest,
    AuthRoleDeleteRequest,
    AuthRoleGetRequest,
    AuthRoleGrantPermissionRequest,
    AuthRoleListRequest,
    AuthRoleRevokePermissionRequest,
    AuthStatusRequest,
    AuthUserAddRequest,
    AuthUserChangePasswordRequest,
    AuthUserDeleteRequest,
    AuthUserGetRequest,
    AuthUserGrantRoleRequest,
    AuthUserListRequest,
    AuthUserRevokeRoleRequest,
    AuthenticateRequest,
    CampaignRequest,
    CompactionRequest,
    DefragmentRequest,
    DeleteRangeRequest,
    DowngradeRequest,
    HashKvRequest,
    HashRequest,
    HealthCheckRequest,
    LeaderRequest,
    LeaseGrantRequest,
    LeaseKeepAliveRequest,
    LeaseLeasesRequest,
    LeaseRevokeRequest,
    LeaseTimeToLiveRequest,
    LockRequest,
    MemberAddRequest,
    MemberListRequest,
    MemberPromoteRequest,
    MemberRemoveRequest,
    MemberUpdateRequest,
    MoveLeaderRequest,
    ProclaimRequest,
    PutRequest,
    RangeRequest,
    ResignRequest,
    SnapshotRequest,
    StatusRequest,
    TxnRequest,
    UnlockRequest,
    WatchRequest,
];

/// What members read from disk and from one another.
const INTERNAL: &[(&str, Reader)] = readers![
    Command,
    InternalRaftRequest,
    Membership,
    RaftEntry,
    StoredAlarm,
    StoredLease,
    StoredMember,
    StoredMembership,
    Vote,
];

/// Choices, taken one after the other. A tape that has run out answers 0, which every choice takes for "stop".
struct Tape<'a>(std::slice::Iter<'a, u64>);

impl Tape<'_> {
    fn next(&mut self) -> u64 {
        self.0.next().copied().unwrap_or(0)
    }

    /// A choice among `0..count`.
    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("a count fits 64 bits");
        usize::try_from(self.next() % count).expect("smaller than a usize")
    }

    fn bytes(&mut self, length_max: usize) -> Vec<u8> {
        let length = self.below(length_max + 1);
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// The messages of the .proto files by full name.
struct Schema(BTreeMap<String, DescriptorProto>);

impl Schema {
    fn load() -> Self {
        let set = protox::compile(
            [
                "etcd/raft_internal.proto",
                "etcd/health.proto",
                "etcd/v3lock.proto",
                "etcd/v3election.proto",
                "internal/command.proto",
            ],
            [env!("CARGO_MANIFEST_DIR")],
        );
        let files = set.expect("build.rs compiled the same files").file;
        // No message of ours is nested in another one.
        let messages = files.into_iter().flat_map(|file| {
            let package = file.package().to_owned();
            file.message_type.into_iter().map(move |message| (format!(".{package}.{}", message.name()), message))
        });
        Self(messages.collect())
    }

    /// Full names of the messages that go by `name` in Rust.
    fn named(&self, name: &str) -> impl Iterator<Item = &String> {
        self.0.keys().filter(move |full| full.rsplit('.').next().is_some_and(|last| last.replace("KV", "Kv") == name))
    }

    /// An encoding of the message, mostly as its fields demand.
    fn encode(&self, name: &str, depth: usize, tape: &mut Tape<'_>) -> Vec<u8> {
        let message = self.0.get(name).expect("protox resolved every name");
        let mut encoded = Vec::new();
        if message.field.is_empty() {
            return encoded;
        }
        for _ in 0..tape.below(6) {
            let field = &message.field[tape.below(message.field.len())];
            let number = u32::try_from(field.number()).expect("field numbers are positive");
            if tape.below(48) == 47 {
                stray_field(tape, &mut encoded);
                continue;
            }
            match field.r#type() {
                Type::Message if depth == 0 => delimited_field(number, &[], &mut encoded),
                Type::Message => {
                    delimited_field(number, &self.encode(field.type_name(), depth - 1, tape), &mut encoded);
                }
                Type::Bytes => delimited_field(number, &tape.bytes(12), &mut encoded),
                Type::String if tape.below(32) == 31 => {
                    delimited_field(number, &tape.bytes(12), &mut encoded);
                }
                Type::String => delimited_field(number, &vec![b'a'; tape.below(12)], &mut encoded),
                _ => {
                    encode_key(number, WireType::Varint, &mut encoded);
                    let value = if tape.below(2) == 0 { tape.next() % 4 } else { tape.next() };
                    encode_varint(value, &mut encoded);
                }
            }
        }
        encoded
    }
}

fn delimited_field(number: u32, content: &[u8], into: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, into);
    encode_varint(u64::try_from(content.len()).expect("a length fits 64 bits"), into);
    into.extend_from_slice(content);
}

/// A field of any number and any kind, groups included.
fn stray_field(tape: &mut Tape<'_>, into: &mut Vec<u8>) {
    let key = tape.next() % (1 << tape.below(33));
    encode_varint(key, into);
    into.extend(tape.bytes(9));
}

/// Leaves half of the inputs whole, flips a byte in a quarter and cuts another quarter short.
fn damage(bytes: &mut Vec<u8>, tape: &mut Tape<'_>) {
    match tape.below(4) {
        2 if !bytes.is_empty() => {
            let at = tape.below(bytes.len());
            bytes[at] ^= tape.next().to_le_bytes()[0];
        }
        3 => bytes.truncate(tape.below(bytes.len() + 1)),
        _ => {}
    }
}

fn tape() -> impl Strategy<Value = Vec<u64>> {
    vec(any::<u64>(), 0..200)
}

#[test]
fn a_message_is_read_or_refused_whatever_the_bytes() {
    let schema = Schema::load();
    let mut targets = Vec::new();
    for (name, read) in REQUESTS.iter().chain(INTERNAL) {
        let found = targets.len();
        targets.extend(schema.named(name).map(|full| (full, read)));
        assert!(targets.len() > found, "{name} would not be tried: no such message");
    }
    let mut runner = TestRunner::new(ProptestConfig::with_cases(2_000));
    let outcome = runner.run(&tape(), |tape| {
        for (name, read) in &targets {
            let mut tape = Tape(tape.iter());
            let mut bytes = schema.encode(name, 5, &mut tape);
            damage(&mut bytes, &mut tape);
            read(&bytes).map_err(|error| TestCaseError::fail(format!("{name} of {bytes:?}: {error}")))?;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

proptest! {
    #[test]
    fn random_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
        for (name, read) in REQUESTS.iter().chain(INTERNAL) {
            read(&bytes).map_err(|error| TestCaseError::fail(format!("{name}: {error}")))?;
        }
    }
}

#[test]
fn the_request_of_every_method_is_tried() {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("build.rs wrote a descriptor set");
    let methods = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    // prost spells an acronym as a word.
    let requests = methods.map(|method| {
        let (_, name) = method.input_type().rsplit_once('.').expect("a full name has a package");
        name.replace("KV", "Kv")
    });
    let tried: BTreeSet<_> = REQUESTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(requests.collect::<BTreeSet<_>>(), tried);
}

/// A transaction whose only operation is a transaction, and so on.
fn nested_txn(levels: usize) -> Vec<u8> {
    (0..levels).fold(Vec::new(), |inner, _| {
        let (mut op, mut txn) = (Vec::new(), Vec::new());
        delimited_field(4, &inner, &mut op);
        delimited_field(2, &op, &mut txn);
        txn
    })
}

#[test]
fn a_txn_nested_beyond_reason_is_refused_before_it_can_exhaust_the_stack() {
    let shallow = TxnRequest::decode(&nested_txn(20)[..]).expect("twenty levels are far below prost's limit");
    assert_eq!(shallow.success.len(), 1);
    let error = TxnRequest::decode(&nested_txn(2_000)[..]).expect_err("prost stops at a hundred levels");
    assert!(error.to_string().contains("recursion limit reached"), "{error}");
}
