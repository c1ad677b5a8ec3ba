//! Creating every object of a cluster, each in a transaction that demands that it does not exist yet.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use quorate_client::{Client, api::LeaseGrantRequest};
use tokio::task::JoinSet;

use crate::{
    error::Trouble,
    keyspace::count,
    kubernetes::{
        REGISTRY,
        cluster::{Cluster, Kind},
        journal::{History, Journal, Line, unix_now},
        object,
        observe::Observer,
        prefix_range,
        write::{Outcome, Writer},
    },
    report::{mebibytes, say},
};

/// What kube-apiserver asks for when events live an hour, and how many objects it puts under one lease.
pub(crate) const EVENT_LEASE_SECONDS: i64 = 3660;
pub(crate) const EVENTS_PER_LEASE: u64 = 1000;

/// Loads `cluster` into an empty store. With `watch`, one watch on everything runs meanwhile and is checked.
pub(crate) async fn load(
    client: &Client,
    journal_path: &Path,
    cluster: Cluster,
    clients: usize,
    watch: bool,
) -> Result<(), Trouble> {
    let (key, range_end) = prefix_range(REGISTRY);
    let (there, revision) = count(&client.kv(), key, range_end).await?;
    if there > 0 {
        let text = format!("{there} keys are below {REGISTRY} already: load a cluster into an empty store");
        return Err(Trouble::Cannot(text));
    }
    let journal = Arc::new(Journal::create(journal_path)?);
    let Cluster { seed, nodes, events_per_node } = cluster;
    journal.write(&Line::Start { seed, nodes, events_per_node, revision })?;
    let observer = if watch { Some(Observer::start(client, REGISTRY, revision + 1).await?) } else { None };
    let mut leases = Vec::new();
    for _ in 0..cluster.count(Kind::Event).div_ceil(EVENTS_PER_LEASE) {
        leases.push(grant(client, &journal).await?);
    }

    let started = Instant::now();
    let task = Arc::new(Task { cluster, leases, next: AtomicU64::new(0), bytes: AtomicU64::new(0) });
    let mut creators = JoinSet::new();
    for _ in 0..clients {
        let writer = Writer::new(client.kv(), Arc::clone(&journal));
        creators.spawn(create(Arc::clone(&task), writer));
    }
    // All of them end before anything is said: what they wrote must be in the notes.
    let results = creators.join_all().await;
    let elapsed = started.elapsed().as_secs_f64();
    results.into_iter().collect::<Result<(), Trouble>>()?;
    say(format_args!(
        "load: {} objects of {} nodes, {} of values in {elapsed:.2} s: {:.0} objects/s",
        cluster.total(),
        cluster.nodes,
        mebibytes(task.bytes.load(Ordering::Relaxed)),
        cluster.total() as f64 / elapsed
    ))?;
    if let Some(observer) = observer {
        let events = observer.finish(&History::read(journal_path)?).await?;
        let late = started.elapsed().as_secs_f64() - elapsed;
        say(format_args!("watch: {events} events, each once and in order, the last {late:.3} s after the load"))?;
    }
    Ok(())
}

/// Grants a lease as kube-apiserver does for events, and notes it.
pub(crate) async fn grant(client: &Client, journal: &Journal) -> Result<i64, Trouble> {
    // The time before the call: the lease cannot end sooner than this plus its time to live.
    let granted_unix = unix_now();
    let granted = client.lease().grant(LeaseGrantRequest { ttl: EVENT_LEASE_SECONDS, id: 0 }).await?;
    journal.write(&Line::Lease { id: granted.id, ttl_seconds: granted.ttl, granted_unix })?;
    Ok(granted.id)
}

struct Task {
    cluster: Cluster,
    leases: Vec<i64>,
    next: AtomicU64,
    bytes: AtomicU64,
}

async fn create(task: Arc<Task>, writer: Writer) -> Result<(), Trouble> {
    while let Some((kind, index)) = task.cluster.object(task.next.fetch_add(1, Ordering::Relaxed)) {
        let key = task.cluster.key(kind, index);
        let value = object::value(&task.cluster, kind, index, 0);
        let lease = match kind {
            Kind::Event => task.leases[usize::try_from(index / EVENTS_PER_LEASE).expect("as many as were granted")],
            _ => 0,
        };
        let bytes = value.len() as u64;
        match writer.put(&key, 0, value, lease).await? {
            Outcome::Changed(_) => task.bytes.fetch_add(bytes, Ordering::Relaxed),
            Outcome::Differs(revision) => {
                let text = format!("{key} exists since revision {revision}, but nobody created it");
                return Err(Trouble::Mismatch(text));
            }
        };
    }
    Ok(())
}
