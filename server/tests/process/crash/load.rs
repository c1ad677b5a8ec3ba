//! Writers that keep the server busy until it is gone.

use super::ledger::{Act, End, Ledger};
use crate::support::random::Random;
use quorate_client::api::compare::{CompareResult, CompareTarget, TargetUnion};
use quorate_client::api::request_op::Request;
use quorate_client::api::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RequestOp, ResponseHeader,
    TxnRequest,
};
use quorate_client::{Client, ClientError};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Writers at work at the same time.
const WRITERS: u64 = 16;
/// Keys they share: few, so that they meet.
const KEYS: u64 = 120;
/// Long enough that no lease ends by itself during a run.
const TTL_SECONDS: i64 = 36_000;
/// Lease ids are operation ids plus this, so that they are not small numbers that something else might use.
const LEASE_BASE: i64 = 0x1000_0000;
const VALUE_BYTES_MAX: u64 = 600;

/// Starts the writers. They end when the server does. History may be compacted up to `checked`, which has been read.
pub(crate) fn start(client: &Client, ledger: &Arc<Ledger>, checked: i64, random: &mut Random) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let writer = Writer {
            client: client.clone(),
            ledger: Arc::clone(ledger),
            checked,
            random: random.fork(),
            leases: Vec::new(),
        };
        writers.spawn(writer.run());
    }
    writers
}

struct Writer {
    client: Client,
    ledger: Arc<Ledger>,
    checked: i64,
    random: Random,
    /// Leases that this writer was granted and has not tried to revoke.
    leases: Vec<i64>,
}

/// What an answer says: the revision, and whether anything was changed.
type Answer = Result<(i64, bool), ClientError>;

impl Writer {
    async fn run(mut self) {
        loop {
            let act = self.choose();
            let id = self.ledger.propose(act.clone());
            let answer = self.send(id, &act).await;
            let end = match answer {
                Ok((revision, changed)) => End::Acknowledged { revision, changed },
                Err(error) if error.may_have_happened() => End::Unknown,
                Err(error) => End::Refused(error.to_string()),
            };
            let gone = end == End::Unknown;
            self.ledger.end(id, end);
            if gone {
                return;
            }
        }
    }

    fn key(&mut self) -> String {
        format!("key/{:03}", self.random.below(KEYS))
    }

    fn choose(&mut self) -> Act {
        match self.random.below(100) {
            0..2 if self.checked > 1 => {
                let back = self.random.below(200).cast_signed();
                Act::Compact { revision: (self.checked - back).max(1) }
            }
            2..8 => Act::Grant,
            8..10 if !self.leases.is_empty() => {
                let place = self.random.below(self.leases.len() as u64);
                Act::Revoke { lease: self.leases.swap_remove(usize::try_from(place).expect("small")) }
            }
            10..13 => {
                let ten = self.random.below(KEYS / 10);
                Act::Delete { key: format!("key/{ten:02}"), end: format!("key/{:02}", ten + 1) }
            }
            13..20 => Act::Delete { key: self.key(), end: String::new() },
            20..45 => {
                let first = self.random.below(KEYS);
                let key = |step: u64| format!("key/{:03}", (first + step) % KEYS);
                Act::Txn { keys: [key(0), key(1 + self.random.below(3)), key(7)] }
            }
            _ => {
                let lease = match self.leases.len() as u64 {
                    0 => 0,
                    count => self.leases[usize::try_from(self.random.below(count)).expect("small")],
                };
                let lease = if self.random.one_in(3) { lease } else { 0 };
                Act::Put { key: self.key(), lease }
            }
        }
    }

    fn value(&mut self, id: u64) -> bytes::Bytes {
        let padding = self.random.below(VALUE_BYTES_MAX);
        format!("{id}:{}", "v".repeat(usize::try_from(padding).expect("small"))).into()
    }

    async fn send(&mut self, id: u64, act: &Act) -> Answer {
        let kv = self.client.kv();
        let revision = |header: Option<ResponseHeader>| header.map_or(0, |header| header.revision);
        match act {
            Act::Put { key, lease } => {
                let put = PutRequest { lease: *lease, ..self.put(id, key) };
                Ok((revision(kv.put(put).await?.header), true))
            }
            Act::Delete { key, end } => {
                let answer = kv.delete_range(delete(key, end)).await?;
                Ok((revision(answer.header), answer.deleted > 0))
            }
            Act::Txn { keys: [first, second, third] } => {
                let exists = Compare {
                    result: CompareResult::Greater.into(),
                    target: CompareTarget::Version.into(),
                    key: first.clone().into(),
                    target_union: Some(TargetUnion::Version(0)),
                    ..Compare::default()
                };
                let op = |request| RequestOp { request: Some(request) };
                let success = vec![
                    op(Request::RequestPut(self.put(id, first))),
                    op(Request::RequestPut(self.put(id, second))),
                    op(Request::RequestDeleteRange(delete(third, ""))),
                ];
                let failure = vec![op(Request::RequestPut(self.put(id, first)))];
                let answer = kv.txn(TxnRequest { compare: vec![exists], success, failure }).await?;
                Ok((revision(answer.header), true))
            }
            Act::Grant => {
                let grant = LeaseGrantRequest { id: lease_id(id), ttl: TTL_SECONDS };
                let answer = self.client.lease().grant(grant).await?;
                self.leases.push(answer.id);
                Ok((revision(answer.header), false))
            }
            // Whether it took keys with it only the history tells.
            Act::Revoke { lease } => Ok((revision(self.client.lease().revoke(*lease).await?.header), false)),
            Act::Compact { revision: floor } => {
                let physical = self.random.one_in(2);
                let answer = kv.compact(CompactionRequest { revision: *floor, physical }).await?;
                Ok((revision(answer.header), false))
            }
        }
    }

    fn put(&mut self, id: u64, key: &str) -> PutRequest {
        PutRequest { key: key.to_owned().into(), value: self.value(id), ..PutRequest::default() }
    }
}

/// The id of the lease that an operation grants.
pub(crate) fn lease_id(operation: u64) -> i64 {
    LEASE_BASE + operation.cast_signed()
}

fn delete(key: &str, end: &str) -> DeleteRangeRequest {
    DeleteRangeRequest { key: key.to_owned().into(), range_end: end.to_owned().into(), ..DeleteRangeRequest::default() }
}
