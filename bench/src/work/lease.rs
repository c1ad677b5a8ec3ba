//! Leases: granted and revoked, or kept alive.

use clap::{Args, ValueEnum};
use quorate_client::{ClientError, KeepAlive, Lease as Leases, api::LeaseGrantRequest};

use crate::{
    error::Trouble,
    load::{Plan, Work, measure},
};

/// Long enough that no lease expires while it is measured.
const TTL_SECONDS: i64 = 3600;

/// Flags of `lease`.
#[derive(Args)]
pub(crate) struct Lease {
    #[command(flatten)]
    plan: Plan,
    /// What to do with leases.
    #[arg(long, value_enum, default_value_t = Kind::Cycle)]
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Grant a lease and revoke it: two writes.
    Cycle,
    /// Renew one lease per client over one stream per client.
    KeepAlive,
}

impl Lease {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        let name = if self.kind == Kind::Cycle { "lease, grant and revoke" } else { "lease, keep alive" };
        let kind = self.kind;
        let work = |client: &quorate_client::Client, _| Leasing { leases: client.lease(), kind, open: None };
        measure(name, &self.plan, work)?.print(self.plan.json)
    }
}

struct Leasing {
    leases: Leases,
    kind: Kind,
    open: Option<(i64, KeepAlive)>,
}

impl Leasing {
    async fn grant(&self) -> Result<i64, ClientError> {
        Ok(self.leases.grant(LeaseGrantRequest { ttl: TTL_SECONDS, id: 0 }).await?.id)
    }
}

impl Work for Leasing {
    async fn run(&mut self) -> Result<u64, ClientError> {
        if self.kind == Kind::Cycle {
            let id = self.grant().await?;
            self.leases.revoke(id).await?;
            return Ok(1);
        }
        match &mut self.open {
            Some((id, stream)) => {
                stream.renew(*id).await?;
            }
            // Happens in the warm-up.
            None => {
                let id = self.grant().await?;
                let (stream, _) = self.leases.keep_alive(id).await?;
                self.open = Some((id, stream));
            }
        }
        Ok(1)
    }
}
