//! What a Kubernetes cluster asks of its store: objects of real shapes and sizes under real keys, in the requests that
//! kube-apiserver makes, at the rates that its defaults give.
//!
//! Rule: everything that is written is noted, and everything that is read is checked against the notes: values,
//! revisions, versions, counts, and every event exactly once and in order. The notes are a file, so that a server may
//! be killed in between. Exit code 1 and the first keys that differ, if any do.

mod churn;
mod cluster;
mod compact;
mod encode;
mod journal;
mod listing;
mod load;
mod object;
mod observe;
mod pace;
mod write;

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use clap::{Args, Subcommand};
use quorate_client::{Client, prefix_end};

use crate::{
    error::Trouble,
    kubernetes::{cluster::Cluster, journal::History},
    report::{mebibytes, say},
    target::Target,
};

/// Every object is below this.
const REGISTRY: &str = "/registry/";

/// When nothing arrives for this long, it will not come.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Flags of `kubernetes`.
#[derive(Args)]
pub(crate) struct Kubernetes {
    #[command(flatten)]
    target: Target,
    /// The file that notes what was written. `load` makes it, everything else reads it.
    #[arg(long, default_value = "kubernetes-journal.jsonl", global = true)]
    journal: PathBuf,
    /// Requests in flight while loading.
    #[arg(long, default_value_t = 64, global = true)]
    clients: usize,
    #[command(subcommand)]
    phase: Phase,
}

#[derive(Subcommand)]
enum Phase {
    /// Create every object of a cluster, with a watch on all of them.
    Load(Size),
    /// Read everything in pages of one revision and check it.
    List(Pages),
    /// Change objects at a running cluster's rates, with a watch per kind and a list in the middle.
    Churn(churn::Churn),
    /// Compact the history the way kube-apiserver does, and check that it is gone.
    Compact,
    /// Check every object and every event since the load began, as far as history was not compacted.
    Verify(Pages),
    /// All of these, in this order.
    All(All),
}

#[derive(Args, Clone)]
struct Size {
    /// Nodes of the cluster. Everything else follows from it.
    #[arg(long, default_value_t = 1000)]
    nodes: u64,
    /// Events to load per node.
    #[arg(long, default_value_t = 20)]
    events_per_node: u64,
    /// The same seed makes the same objects.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Load without a watch.
    #[arg(long)]
    no_watch: bool,
}

#[derive(Args, Clone)]
struct Pages {
    /// Keys per page.
    #[arg(long, default_value_t = 500)]
    page_keys: i64,
}

#[derive(Args)]
struct All {
    #[command(flatten)]
    size: Size,
    #[command(flatten)]
    pages: Pages,
    #[command(flatten)]
    churn: churn::Churn,
}

impl Kubernetes {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let client = self.target.connect(self.target.connections).await?;
            match &self.phase {
                Phase::Load(size) => self.load(&client, size).await,
                Phase::List(pages) => self.list(&client, pages).await,
                Phase::Churn(churn) => churn.run(&client, &self.journal).await,
                Phase::Compact => compact::compact(&client, &self.journal).await,
                Phase::Verify(pages) => self.verify(&client, pages).await,
                Phase::All(all) => {
                    self.load(&client, &all.size).await?;
                    self.list(&client, &all.pages).await?;
                    all.churn.run(&client, &self.journal).await?;
                    self.verify(&client, &all.pages).await?;
                    compact::compact(&client, &self.journal).await?;
                    self.verify(&client, &all.pages).await
                }
            }
        })
    }

    async fn load(&self, client: &Client, size: &Size) -> Result<(), Trouble> {
        if size.nodes == 0 || self.clients == 0 {
            return Err(Trouble::Cannot("a cluster needs a node, and loading it a client".to_owned()));
        }
        let cluster = Cluster { seed: size.seed, nodes: size.nodes, events_per_node: size.events_per_node };
        load::load(client, &self.journal, cluster, self.clients, !size.no_watch).await
    }

    /// The server's list as it is now, against the notes.
    async fn list(&self, client: &Client, pages: &Pages) -> Result<(), Trouble> {
        let history = History::read(&self.journal)?;
        let listing = listing::read(&client.kv(), pages.page_keys, None).await?;
        listing::check(&history, &listing, None)?;
        listing::check_counts(client, &history, &listing).await?;
        say(format_args!(
            "list: {} objects, {} at revision {} in {:.2} s, all as written; counts per kind agree",
            listing.found.len(),
            mebibytes(listing.value_bytes),
            listing.revision,
            listing.elapsed.as_secs_f64()
        ))
    }

    /// The list, and then every event that history still holds.
    async fn verify(&self, client: &Client, pages: &Pages) -> Result<(), Trouble> {
        self.list(client, pages).await?;
        let history = History::read(&self.journal)?;
        let from = history.start_revision.max(history.compacted_revision);
        let observer = observe::Observer::start(client, REGISTRY, from + 1).await?;
        let events = observer.finish(&history).await?;
        say(format_args!("watch: {events} events since revision {from}, each once and in order"))
    }
}

/// First key and exclusive end of all keys that begin with `prefix`.
fn prefix_range(prefix: &str) -> (Bytes, Bytes) {
    (Bytes::copy_from_slice(prefix.as_bytes()), prefix_end(prefix.as_bytes()))
}
