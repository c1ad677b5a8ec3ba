//! Updates the way kube-apiserver makes them: a transaction that compares `mod_revision`, puts, and else reads.
//!
//! Each client owns its share of the keys and reads their revisions before its first update, so that comparisons hold,
//! as they mostly do in a cluster. One that fails is an ordinary answer: it teaches the revision, and moves no item.

use bytes::Bytes;
use clap::Args;
use quorate_client::{
    ClientError, Kv,
    api::{
        Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
        compare::{CompareResult, CompareTarget, TargetUnion},
        request_op, response_op,
    },
    mvccpb::KeyValue,
};

use crate::{
    error::Trouble,
    keyspace::{Keyspace, Values},
    load::{Plan, Work, measure},
    random::Random,
    report::Summary,
};

/// Flags of `txn-update`.
#[derive(Args)]
pub(crate) struct TxnUpdate {
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    keyspace: Keyspace,
}

impl TxnUpdate {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        txn_update(&self.plan, self.keyspace)?.print(self.plan.json)
    }
}

/// Measures updates. Items are the updates whose comparison held.
pub(crate) fn txn_update(plan: &Plan, keyspace: Keyspace) -> Result<Summary, Trouble> {
    keyspace.check()?;
    let clients = plan.clients as u64;
    if keyspace.keys < clients {
        return Err(Trouble::Cannot(format!("{clients} clients need at least --keys {clients}, one for each")));
    }
    let values = Values::new(keyspace.value_bytes);
    let share_end = |number: u64| keyspace.keys * number / clients;
    measure("txn-update", plan, |client, number| Updating {
        kv: client.kv(),
        keyspace,
        owned: share_end(number as u64)..share_end(number as u64 + 1),
        revisions: None,
        values: values.clone(),
        random: Random::for_parts(&[number as u64]),
    })
}

struct Updating {
    kv: Kv,
    keyspace: Keyspace,
    /// Numbers of the keys that nobody else writes.
    owned: std::ops::Range<u64>,
    /// `mod_revision` of each of them, 0 for one that does not exist. Not known before the first update.
    revisions: Option<Vec<i64>>,
    values: Values,
    random: Random,
}

impl Updating {
    /// Reads the revisions of all owned keys. Happens in the warm-up.
    async fn learn(&self) -> Result<Vec<i64>, ClientError> {
        let request = RangeRequest {
            key: self.keyspace.key(self.owned.start),
            // One past the last key, which may have a digit more than a key has.
            range_end: [&self.keyspace.key(self.owned.end - 1)[..], b"\0"].concat().into(),
            keys_only: true,
            ..Default::default()
        };
        let mut found = self.kv.range(request).await?.kvs.into_iter().peekable();
        let revision = |index| {
            let key = self.keyspace.key(index);
            while found.next_if(|kv| kv.key < key).is_some() {}
            found.next_if(|kv| kv.key == key).map_or(0, |kv| kv.mod_revision)
        };
        Ok(self.owned.clone().map(revision).collect())
    }
}

impl Work for Updating {
    async fn run(&mut self) -> Result<u64, ClientError> {
        let mut revisions = match self.revisions.take() {
            Some(revisions) => revisions,
            None => self.learn().await?,
        };
        let slot = self.random.below(revisions.len() as u64);
        let known = &mut revisions[usize::try_from(slot).expect("a place in memory")];
        let value = self.values.pick(&mut self.random);
        let request = update(self.keyspace.key(self.owned.start + slot), *known, Some(Put { value, lease: 0 }));
        let answer = self.kv.txn(request).await;
        if let Ok(answer) = &answer {
            *known = match answer.succeeded {
                true => answer.header.map_or(0, |header| header.revision),
                false => current(answer).map_or(0, |kv| kv.mod_revision),
            };
        }
        self.revisions = Some(revisions);
        Ok(u64::from(answer?.succeeded))
    }
}

/// What an update writes.
pub(crate) struct Put {
    pub(crate) value: Bytes,
    pub(crate) lease: i64,
}

/// If `key` was last changed at `mod_revision` (0: does not exist), put it, or delete it when there is nothing to put;
/// else read it.
pub(crate) fn update(key: Bytes, mod_revision: i64, put: Option<Put>) -> TxnRequest {
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::ModRevision(mod_revision)),
        ..Default::default()
    };
    let change = match put {
        Some(Put { value, lease }) => {
            request_op::Request::RequestPut(PutRequest { key: key.clone(), value, lease, ..Default::default() })
        }
        None => request_op::Request::RequestDeleteRange(DeleteRangeRequest { key: key.clone(), ..Default::default() }),
    };
    let read = request_op::Request::RequestRange(RangeRequest { key, ..Default::default() });
    TxnRequest {
        compare: vec![compare],
        success: vec![RequestOp { request: Some(change) }],
        failure: vec![RequestOp { request: Some(read) }],
    }
}

/// The key as the failure branch of [`update`] found it. `None`: it does not exist.
pub(crate) fn current(answer: &TxnResponse) -> Option<&KeyValue> {
    match answer.responses.first()?.response.as_ref()? {
        response_op::Response::ResponseRange(range) => range.kvs.first(),
        _ => None,
    }
}
