//! Writing every key of the key space, as a start for other workloads.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use clap::Args;
use quorate_client::{
    Client, ClientError,
    api::{PutRequest, RequestOp, TxnRequest, request_op::Request},
};
use tokio::task::JoinSet;

use crate::{
    error::Trouble,
    keyspace::{self, Keyspace, Values},
    random::Random,
    report,
    target::Target,
};

/// Puts per transaction. etcd takes 128.
pub(crate) const BATCH_OPERATIONS: u64 = 100;

/// Requests in flight with one put per request, and with batches of them: large enough to share syncs.
const CLIENTS_SINGLE: u64 = 256;
const CLIENTS_BATCHED: u64 = 16;

/// Flags of `fill`.
#[derive(Args)]
pub(crate) struct Fill {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    keyspace: Keyspace,
    /// Keys per transaction. 1: plain puts, each with a revision of its own.
    #[arg(long, default_value_t = BATCH_OPERATIONS)]
    batch: u64,
}

impl Fill {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        fill(&self.target, self.keyspace, self.batch)?;
        report::say(format_args!("all {} keys are there", self.keyspace.keys))
    }
}

/// Writes every key once, in order, `batch` of them per request, unless all are there already.
pub(crate) fn fill(target: &Target, keyspace: Keyspace, batch: u64) -> Result<(), Trouble> {
    keyspace.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = target.connect(target.connections).await?;
        let (key, range_end) = keyspace.range();
        if keyspace::count(&client.kv(), key.clone(), range_end.clone()).await?.0 < keyspace.keys {
            write(&client, keyspace, batch.max(1)).await?;
        }
        match keyspace::count(&client.kv(), key, range_end).await?.0 {
            found if found >= keyspace.keys => Ok(()),
            found => Err(Trouble::Mismatch(format!(
                "{} keys were written and acknowledged, but the server counts {found}",
                keyspace.keys
            ))),
        }
    })
}

async fn write(client: &Client, keyspace: Keyspace, batch: u64) -> Result<(), ClientError> {
    let next = Arc::new(AtomicU64::new(0));
    let values = Values::new(keyspace.value_bytes);
    let mut writers = JoinSet::new();
    for number in 0..if batch == 1 { CLIENTS_SINGLE } else { CLIENTS_BATCHED } {
        let (kv, next, values) = (client.kv(), Arc::clone(&next), values.clone());
        writers.spawn(async move {
            let mut random = Random::for_parts(&[number, 1]);
            loop {
                let start = next.fetch_add(batch, Ordering::Relaxed);
                let end = keyspace.keys.min(start.saturating_add(batch));
                let mut puts = (start..end).map(|index| PutRequest {
                    key: keyspace.key(index),
                    value: values.pick(&mut random),
                    ..Default::default()
                });
                if batch == 1 {
                    let Some(put) = puts.next() else { return Ok(()) };
                    kv.put(put).await?;
                } else {
                    let success: Vec<RequestOp> =
                        puts.map(|put| RequestOp { request: Some(Request::RequestPut(put)) }).collect();
                    if success.is_empty() {
                        return Ok(());
                    }
                    kv.txn(TxnRequest { success, ..Default::default() }).await?;
                }
            }
        });
    }
    writers.join_all().await.into_iter().collect()
}
