//! Updates the way kube-apiserver makes them: a transaction that compares `mod_revision`, puts, and else reads.
//!
//! Each client owns its share of the keys, so that after the first touch of a key the comparison holds, as it mostly
//! does in a cluster. A comparison that fails is an ordinary answer: it teaches the revision, and moves no item.

use std::collections::HashMap;

use bytes::Bytes;
use clap::Args;
use quorate_client::{
    ClientError, Kv,
    api::{
        Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
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
    measure("txn-update", plan, |client, number| Updating {
        kv: client.kv(),
        keyspace,
        clients,
        number: number as u64,
        revisions: HashMap::new(),
        values: values.clone(),
        random: Random::for_parts(&[number as u64]),
    })
}

struct Updating {
    kv: Kv,
    keyspace: Keyspace,
    clients: u64,
    number: u64,
    /// Last known `mod_revision` by key number.
    revisions: HashMap<u64, i64>,
    values: Values,
    random: Random,
}

impl Work for Updating {
    async fn run(&mut self) -> Result<u64, ClientError> {
        let owned = (self.keyspace.keys - self.number).div_ceil(self.clients);
        let index = self.number + self.random.below(owned) * self.clients;
        let known = self.revisions.get(&index).copied().unwrap_or(0);
        let value = self.values.pick(&mut self.random);
        let request = update(self.keyspace.key(index), known, Some(Put { value, lease: 0 }));
        let answer = self.kv.txn(request).await?;
        let now = if answer.succeeded {
            answer.header.map_or(0, |header| header.revision)
        } else {
            current(&answer).map_or(0, |kv| kv.mod_revision)
        };
        self.revisions.insert(index, now);
        Ok(u64::from(answer.succeeded))
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
        None => request_op::Request::RequestDeleteRange(quorate_client::api::DeleteRangeRequest {
            key: key.clone(),
            ..Default::default()
        }),
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
