//! Reads of single random keys.

use clap::Args;
use quorate_client::{ClientError, Kv, api::RangeRequest};

use crate::{
    error::Trouble,
    keyspace::Keyspace,
    load::{Plan, Work, measure},
    random::Random,
    report::Summary,
    work::fill,
};

/// Flags of `range`.
#[derive(Args)]
pub(crate) struct Range {
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    keyspace: Keyspace,
    /// Read what the member has, without asking a quorum how fresh it is.
    #[arg(long)]
    serializable: bool,
    /// Do not write missing keys first. Keys that are not there are still asked for, and cost less.
    #[arg(long)]
    no_fill: bool,
}

impl Range {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        if !self.no_fill {
            fill::fill(&self.plan.target, self.keyspace, fill::BATCH_OPERATIONS)?;
        }
        range(&self.plan, self.keyspace, self.serializable)?.print(self.plan.json)
    }
}

/// Measures reads.
pub(crate) fn range(plan: &Plan, keyspace: Keyspace, serializable: bool) -> Result<Summary, Trouble> {
    keyspace.check()?;
    let name = if serializable { "range, serializable" } else { "range, linearizable" };
    measure(name, plan, |client, number| Reading {
        kv: client.kv(),
        keyspace,
        serializable,
        random: Random::for_parts(&[number as u64]),
    })
}

struct Reading {
    kv: Kv,
    keyspace: Keyspace,
    serializable: bool,
    random: Random,
}

impl Work for Reading {
    /// The items are the keys found: as many as operations, if all keys were there.
    async fn run(&mut self) -> Result<u64, ClientError> {
        let key = self.keyspace.key(self.random.below(self.keyspace.keys));
        let request = RangeRequest { key, serializable: self.serializable, ..Default::default() };
        Ok(self.kv.range(request).await?.kvs.len() as u64)
    }
}
