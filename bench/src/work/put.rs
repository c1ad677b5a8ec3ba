//! Writes of random keys.

use clap::Args;
use quorate_client::{ClientError, Kv, api::PutRequest};

use crate::{
    error::Trouble,
    keyspace::{Keyspace, Values},
    load::{Plan, Work, measure},
    random::Random,
    report::Summary,
};

/// Flags of `put`.
#[derive(Args)]
pub(crate) struct Put {
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    keyspace: Keyspace,
}

impl Put {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        put(&self.plan, self.keyspace)?.print(self.plan.json)
    }
}

/// Measures puts.
pub(crate) fn put(plan: &Plan, keyspace: Keyspace) -> Result<Summary, Trouble> {
    keyspace.check()?;
    let values = Values::new(keyspace.value_bytes);
    measure("put", plan, |client, number| Putting {
        kv: client.kv(),
        keyspace,
        values: values.clone(),
        random: Random::for_parts(&[number as u64]),
    })
}

struct Putting {
    kv: Kv,
    keyspace: Keyspace,
    values: Values,
    random: Random,
}

impl Work for Putting {
    async fn run(&mut self) -> Result<u64, ClientError> {
        let key = self.keyspace.key(self.random.below(self.keyspace.keys));
        let value = self.values.pick(&mut self.random);
        self.kv.put(PutRequest { key, value, ..Default::default() }).await?;
        Ok(1)
    }
}
