//! Counting the keys of a range without reading them.

use bytes::Bytes;
use clap::Args;
use quorate_client::{ClientError, Kv, api::RangeRequest};

use crate::{
    error::Trouble,
    keyspace::Keyspace,
    load::{Plan, Work, measure},
    work::fill,
};

/// Flags of `count`.
#[derive(Args)]
pub(crate) struct Count {
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    keyspace: Keyspace,
    /// Also read the first key, as a list with limit 1 does.
    #[arg(long)]
    limit_1: bool,
    /// Do not write missing keys first.
    #[arg(long)]
    no_fill: bool,
}

impl Count {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        if !self.no_fill {
            fill::fill(&self.plan.target, self.keyspace, fill::BATCH_OPERATIONS)?;
        }
        let (key, range_end) = self.keyspace.range();
        let name = if self.limit_1 { "range, limit 1" } else { "count" };
        let summary = measure(name, &self.plan, |client, _| Counting {
            kv: client.kv(),
            key: key.clone(),
            range_end: range_end.clone(),
            limit_1: self.limit_1,
        })?;
        summary.print(self.plan.json)
    }
}

struct Counting {
    kv: Kv,
    key: Bytes,
    range_end: Bytes,
    limit_1: bool,
}

impl Work for Counting {
    async fn run(&mut self) -> Result<u64, ClientError> {
        let request = RangeRequest {
            key: self.key.clone(),
            range_end: self.range_end.clone(),
            count_only: !self.limit_1,
            limit: i64::from(self.limit_1),
            ..Default::default()
        };
        Ok(u64::try_from(self.kv.range(request).await?.count).unwrap_or(0))
    }
}
