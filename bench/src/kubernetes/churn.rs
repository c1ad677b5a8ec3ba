//! A cluster at work: per 1,000 nodes and second, 100 lease renewals, 3.3 node reports, 10 pods that come and go (six
//! transactions each), 50 events, and the reads that apiservers make. Two of a hundred updates name a revision that is
//! not the newest, as happens between controllers.
//!
//! Every kind has a watch, and in the middle everything is listed at one revision while changes go on. All of it is
//! checked at the end.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Args;
use quorate_client::{Client, Kv, WatchControl, api::RangeRequest};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    error::Trouble,
    keyspace::count,
    kubernetes::{
        cluster::{Cluster, Kind, LATER_EVENTS, TRANSIENT_PODS},
        journal::{History, Journal},
        listing::{self, Listing},
        load::{EVENTS_PER_LEASE, grant},
        object,
        observe::Observer,
        pace::{self, Act, Turns},
        prefix_range,
        write::{Outcome, Writer},
    },
    load::Tally,
    random::Random,
    report::{micros, say},
};

/// How many of a hundred updates are wrong about the revision at first.
const STALE_PERCENT: u64 = 2;

/// Actions per second that one worker can be trusted with, and how many workers there may be.
const RATE_PER_WORKER: f64 = 5.0;
const WORKERS_MAX: f64 = 256.0;

/// A lease takes no more events after this.
const LEASE_SHARED_MAX: Duration = Duration::from_secs(60);

/// Flags of `churn`.
#[derive(Args, Clone)]
pub(crate) struct Churn {
    /// How long.
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// Rates are multiplied by this.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// What is done, and how often per second for 1,000 nodes.
const RATES: [(Stream, f64); 6] = [
    (Stream::Leases, 100.0),
    (Stream::Nodes, 3.3),
    (Stream::Pods, 60.0),
    (Stream::Events, 50.0),
    (Stream::Reads, 6.2),
    (Stream::Progress, 10.0),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stream {
    Leases,
    Nodes,
    Pods,
    Events,
    Reads,
    Progress,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Leases => "lease renewals",
            Self::Nodes => "node reports",
            Self::Pods => "pod changes",
            Self::Events => "events",
            Self::Reads => "one-key reads and counts",
            Self::Progress => "progress requests (time to send one)",
        }
    }
}

/// What every worker shares.
struct Common {
    client: Client,
    cluster: Cluster,
    journal: Arc<Journal>,
    history: History,
    /// Numbers pods and events so that no two runs on one journal meet.
    next_pod: AtomicU64,
    next_event: AtomicU64,
    controls: Vec<WatchControl>,
}

impl Churn {
    pub(crate) async fn run(&self, client: &Client, journal_path: &Path) -> Result<(), Trouble> {
        let history = History::read(journal_path)?;
        let newest = client.kv().range(RangeRequest { key: "x".into(), ..Default::default() }).await?;
        let revision = newest.header.map_or(0, |header| header.revision);
        let mut observers = Vec::new();
        for kind in Kind::ALL {
            observers.push(Observer::start(client, kind.prefix(), revision + 1).await?);
        }
        let changes = history.changes.len() as u64;
        let common = Arc::new(Common {
            client: client.clone(),
            cluster: history.cluster,
            journal: Arc::new(Journal::append(journal_path)?),
            next_pod: AtomicU64::new(TRANSIENT_PODS + changes),
            next_event: AtomicU64::new(LATER_EVENTS + changes),
            controls: observers.iter().map(Observer::control).collect(),
            history,
        });
        let start = Instant::now();
        let end = start + Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let listing = tokio::spawn(list_in_the_middle(client.kv(), start + (end - start) / 2));
        let tallies = self.work(&common, start, end).await?;
        let listing = listing.await.map_err(|error| Trouble::Cannot(error.to_string()))??;

        for (stream, _) in RATES {
            let Some(tally) = tallies.get(&stream) else { continue };
            say(format_args!(
                "churn: {} {} ({:.1}/s): p50 {}, p99 {}, p99.9 {}, max {}",
                tally.latency.len(),
                stream.name(),
                tally.latency.len() as f64 / self.seconds,
                micros(tally.quantile_us(0.50)),
                micros(tally.quantile_us(0.99)),
                micros(tally.quantile_us(0.999)),
                micros(tally.max_us())
            ))?;
        }
        let history = History::read(journal_path)?;
        listing::check(&history, &listing, Some(listing.revision))?;
        say(format_args!(
            "churn: a list of {} objects at revision {}, read in {:.2} s while they changed, is as written",
            listing.found.len(),
            listing.revision,
            listing.elapsed.as_secs_f64()
        ))?;
        let mut events = 0;
        let watches = observers.len();
        for observer in observers {
            events += observer.finish(&history).await?;
        }
        say(format_args!("churn: {events} events on {watches} watches, each once and in order"))
    }

    /// Runs all workers to the end. All of them end before an error is passed on: what they wrote must be noted.
    async fn work(
        &self,
        common: &Arc<Common>,
        start: Instant,
        end: Instant,
    ) -> Result<HashMap<Stream, Tally>, Trouble> {
        let mut workers = JoinSet::new();
        for (stream, per_thousand_nodes) in RATES {
            let rate = per_thousand_nodes * self.scale * common.cluster.nodes as f64 / 1000.0;
            let count = (rate / RATE_PER_WORKER).ceil().clamp(1.0, WORKERS_MAX) as u32;
            if rate <= 0.0 {
                continue;
            }
            for worker in 0..count {
                let turns = Turns { start, end, rate, worker, workers: count };
                let common = Arc::clone(common);
                workers.spawn(async move { (stream, one_worker(stream, turns, &common).await) });
            }
        }
        let mut tallies: HashMap<Stream, Tally> = HashMap::new();
        let mut trouble = None;
        for (stream, result) in workers.join_all().await {
            match result {
                Ok(tally) => tallies.entry(stream).or_default().merge(&tally),
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(tallies), Err)
    }
}

async fn list_in_the_middle(kv: Kv, when: Instant) -> Result<Listing, Trouble> {
    sleep_until(when).await;
    listing::read(&kv, 500, None).await
}

async fn one_worker(stream: Stream, turns: Turns, common: &Arc<Common>) -> Result<Tally, Trouble> {
    let kv = common.client.kv();
    let writer = Writer::new(kv.clone(), Arc::clone(&common.journal));
    let random = Random::for_parts(&[common.cluster.seed, stream as u64, turns.worker.into()]);
    match stream {
        Stream::Leases => pace::run(turns, Updates::new(common, writer, random, Kind::NodeLease, turns)).await,
        Stream::Nodes => pace::run(turns, Updates::new(common, writer, random, Kind::Node, turns)).await,
        Stream::Pods => pace::run(turns, Pods { common: Arc::clone(common), writer, life: None }).await,
        Stream::Events => pace::run(turns, Events { common: Arc::clone(common), writer, lease: None }).await,
        Stream::Reads => pace::run(turns, Reads { kv, random }).await,
        Stream::Progress => {
            let controls = common.controls.clone();
            pace::run(turns, Progress { controls, next: 0 }).await
        }
    }
}

/// Updates of the objects that belong to one worker, in turn.
struct Updates {
    common: Arc<Common>,
    writer: Writer,
    random: Random,
    kind: Kind,
    /// Index and `mod_revision` of each object.
    objects: Vec<(u64, i64)>,
    next: usize,
}

impl Updates {
    fn new(common: &Arc<Common>, writer: Writer, random: Random, kind: Kind, turns: Turns) -> Self {
        let state = common.history.state();
        let objects = (u64::from(turns.worker)..common.cluster.count(kind))
            .step_by(turns.workers as usize)
            .filter_map(|index| Some((index, state.get(common.cluster.key(kind, index).as_str())?.mod_revision)))
            .collect();
        Self { common: Arc::clone(common), writer, random, kind, objects, next: 0 }
    }
}

impl Act for Updates {
    async fn act(&mut self) -> Result<(), Trouble> {
        let count = self.objects.len().max(1);
        let Some((index, known)) = self.objects.get_mut(self.next) else { return Ok(()) };
        self.next = (self.next + 1) % count;
        let key = self.common.cluster.key(self.kind, *index);
        // The revision before names this generation: no two are the same.
        let value = object::value(&self.common.cluster, self.kind, *index, known.unsigned_abs());
        let mut expected = *known;
        if self.random.below(100) < STALE_PERCENT {
            expected -= 1;
        }
        // Wrong at most twice: once on purpose, once because an answer was lost in an earlier run.
        for _ in 0..3 {
            match self.writer.put(&key, expected, value.clone(), 0).await? {
                Outcome::Changed(revision) if expected != *known => {
                    let text =
                        format!("{key} was at {known}, yet an update that named {expected} was made at {revision}");
                    return Err(Trouble::Mismatch(text));
                }
                Outcome::Changed(revision) => {
                    *known = revision;
                    return Ok(());
                }
                Outcome::Differs(found) if found == *known || self.common.history.unknown.contains_key(&key) => {
                    expected = found;
                    *known = found;
                }
                Outcome::Differs(found) => {
                    return Err(Trouble::Mismatch(format!("{key} was written at {known}, but is at {found}")));
                }
            }
        }
        Err(Trouble::Mismatch(format!("{key} is at {known}, but does not compare as such")))
    }
}

/// Pods that are created, bound, reported on three times and deleted: one step per turn.
struct Pods {
    common: Arc<Common>,
    writer: Writer,
    /// Index, `mod_revision` and generation of the pod that lives.
    life: Option<(u64, i64, u64)>,
}

impl Act for Pods {
    async fn act(&mut self) -> Result<(), Trouble> {
        const LAST_GENERATION: u64 = 4;
        let (index, known, generation) =
            self.life.unwrap_or_else(|| (self.common.next_pod.fetch_add(1, Ordering::Relaxed), 0, 0));
        let key = self.common.cluster.key(Kind::Pod, index);
        let outcome = if generation > LAST_GENERATION {
            self.writer.delete(&key, known).await?
        } else {
            let value = object::value(&self.common.cluster, Kind::Pod, index, generation);
            self.writer.put(&key, known, value, 0).await?
        };
        match outcome {
            Outcome::Changed(_) if generation > LAST_GENERATION => self.life = None,
            Outcome::Changed(revision) => self.life = Some((index, revision, generation + 1)),
            Outcome::Differs(found) => {
                return Err(Trouble::Mismatch(format!("{key} was written at {known}, but is at {found}")));
            }
        }
        Ok(())
    }
}

/// New events. A lease is shared for a minute or a thousand events.
struct Events {
    common: Arc<Common>,
    writer: Writer,
    lease: Option<(i64, Instant, u64)>,
}

impl Act for Events {
    async fn act(&mut self) -> Result<(), Trouble> {
        let (lease, granted, used) = match self.lease {
            Some((lease, granted, used)) if granted.elapsed() < LEASE_SHARED_MAX && used < EVENTS_PER_LEASE => {
                (lease, granted, used)
            }
            _ => (grant(&self.common.client, &self.common.journal).await?, Instant::now(), 0),
        };
        self.lease = Some((lease, granted, used + 1));
        let index = self.common.next_event.fetch_add(1, Ordering::Relaxed);
        let key = self.common.cluster.key(Kind::Event, index);
        let value = object::value(&self.common.cluster, Kind::Event, index, 0);
        match self.writer.put(&key, 0, value, lease).await? {
            Outcome::Changed(_) => Ok(()),
            Outcome::Differs(found) => Err(Trouble::Mismatch(format!("{key} exists since revision {found}"))),
        }
    }
}

/// What apiservers read besides lists: the newest revision, by a key that does not exist, and counts.
struct Reads {
    kv: Kv,
    random: Random,
}

impl Act for Reads {
    async fn act(&mut self) -> Result<(), Trouble> {
        let kind = Kind::ALL[usize::try_from(self.random.below(Kind::ALL.len() as u64)).expect("a dozen")];
        // 70 counts a minute beside 5 reads a second.
        if self.random.below(100) < 19 {
            let (key, range_end) = prefix_range(kind.prefix());
            count(&self.kv, key, range_end).await?;
            return Ok(());
        }
        let key = kind.prefix().trim_end_matches('/').into();
        self.kv.range(RangeRequest { key, limit: 1, ..Default::default() }).await?;
        Ok(())
    }
}

/// Asks every watch in turn how far it is. The answers are checked where they arrive.
struct Progress {
    controls: Vec<WatchControl>,
    next: usize,
}

impl Act for Progress {
    async fn act(&mut self) -> Result<(), Trouble> {
        self.next = (self.next + 1) % self.controls.len();
        Ok(self.controls[self.next].request_progress().await?)
    }
}
