//! Writers and many watchers: how long from a put until each watcher holds its event.
//!
//! The clock starts when the put is sent: its time stands in the first bytes of the value, so that nothing has to be
//! matched. Every watcher must see every put exactly once and in order; anything else ends the run.

use std::{
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{BufMut, BytesMut};
use clap::Args;
use quorate_client::{
    Client, ClientError, Kv, Watcher,
    api::{PutRequest, WatchCreateRequest},
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant as Deadline, timeout_at},
};

use crate::{
    error::Trouble,
    keyspace::{Keyspace, Values},
    load::{
        Plan, Tally, Work,
        phase::{self, Limit},
    },
    process::Look,
    random::Random,
    report::Summary,
};

/// When no watcher has seen anything for this long, the missing events will not come.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Bytes at the start of a value that hold the time of its put, in nanoseconds since [`START`].
const STAMP_BYTES: usize = 8;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now_ns() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Flags of `watch`.
#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    keyspace: Keyspace,
    /// Watchers of the whole key space, each on a stream of its own.
    #[arg(long, default_value_t = 100)]
    watchers: usize,
    /// Ask for the previous value with each event, as Kubernetes does.
    #[arg(long)]
    prev_kv: bool,
}

impl Watch {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        self.keyspace.check()?;
        if self.keyspace.value_bytes < STAMP_BYTES || self.watchers == 0 {
            let text = format!("watch needs a watcher and values of at least {STAMP_BYTES} bytes");
            return Err(Trouble::Cannot(text));
        }
        let threads = self.plan.threads();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let (puts, events) = runtime.block_on(self.measure())?;
        puts.print(self.plan.json)?;
        events.print(self.plan.json)
    }

    async fn measure(&self) -> Result<(Summary, Summary), Trouble> {
        let client = self.plan.target.connect(self.plan.target.connections).await?;
        let hall = Arc::new(Hall::default());
        let mut watching = self.open(&client, &hall).await?;
        let values = Values::new(self.keyspace.value_bytes);
        let works: Vec<Putting> = (0..self.plan.clients)
            .map(|number| Putting {
                kv: client.kv(),
                keyspace: self.keyspace,
                values: values.clone(),
                random: Random::for_parts(&[number as u64]),
            })
            .collect();
        let look = || Look::take(self.plan.target.server_pid);

        let warm_up = Limit::new(self.plan.warm_up());
        warm_up.start();
        let (works, warm) = phase::run(works, &warm_up).await;
        self.drain(&hall, warm.latency.len(), &warm, &mut watching).await?;
        hall.take();

        let before = look()?;
        let started = Instant::now();
        let measured = Limit::new(self.plan.budget());
        measured.start();
        let (_, puts) = phase::run(works, &measured).await;
        let writing = started.elapsed();
        self.drain(&hall, warm.latency.len() + puts.latency.len(), &puts, &mut watching).await?;
        let all_seen = started.elapsed();
        let looks = (before, look()?);
        let puts = Summary::new("put while watched", &self.plan, &puts, writing, &looks)?;
        let name = format!("events of {} watchers, from put to arrival", self.watchers);
        let events = Summary::new(&name, &self.plan, &hall.take(), all_seen, &looks)?;
        Ok((puts, events))
    }

    async fn open(&self, client: &Client, hall: &Arc<Hall>) -> Result<JoinSet<Trouble>, Trouble> {
        let (key, range_end) = self.keyspace.range();
        let mut watching = JoinSet::new();
        for _ in 0..self.watchers {
            let create = WatchCreateRequest {
                key: key.clone(),
                range_end: range_end.clone(),
                prev_kv: self.prev_kv,
                ..Default::default()
            };
            let watcher = client.watch().start(create).await?;
            let hall = Arc::clone(hall);
            watching.spawn(async move {
                match look_on(watcher, &hall).await {
                    Ok(never) => match never {},
                    Err(trouble) => trouble,
                }
            });
        }
        Ok(watching)
    }

    /// Waits until every watcher has seen `puts` events.
    async fn drain(
        &self,
        hall: &Hall,
        puts: u64,
        tally: &Tally,
        watching: &mut JoinSet<Trouble>,
    ) -> Result<(), Trouble> {
        if let Some(error) = &tally.first_error {
            return Err(error.clone().into());
        }
        let expected = puts * self.watchers as u64;
        let mut seen = hall.seen.load(Ordering::Acquire);
        let mut deadline = Deadline::now() + SILENCE_MAX;
        while seen < expected {
            tokio::select! {
                Some(ended) = watching.join_next() => {
                    return Err(ended.unwrap_or_else(|error| Trouble::Cannot(error.to_string())));
                }
                silent = timeout_at(deadline, hall.arrived.notified()) => if silent.is_err() {
                    return Err(Trouble::Mismatch(format!("{expected} events should have arrived, {seen} did")));
                },
            }
            let now = hall.seen.load(Ordering::Acquire);
            if now > seen {
                seen = now;
                deadline = Deadline::now() + SILENCE_MAX;
            }
        }
        if seen > expected {
            return Err(Trouble::Mismatch(format!("{expected} events should have arrived, but {seen} did")));
        }
        Ok(())
    }
}

/// What all watchers share.
#[derive(Default)]
struct Hall {
    tally: Mutex<Tally>,
    seen: AtomicU64,
    arrived: Notify,
}

impl Hall {
    fn take(&self) -> Tally {
        std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn look_on(mut watcher: Watcher, hall: &Hall) -> Result<std::convert::Infallible, Trouble> {
    let mut last_revision = watcher.created_revision();
    loop {
        let response = watcher.next().await?;
        if response.canceled {
            return Err(Trouble::Mismatch(format!("the server cancelled a watch: {}", response.cancel_reason)));
        }
        let now = now_ns();
        let mut tally = hall.tally.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &response.events {
            let (revision, stamp) = event.kv.as_ref().map_or((0, 0), |kv| (kv.mod_revision, stamp(&kv.value)));
            if revision <= last_revision {
                let text = format!("a watcher saw revision {revision} after {last_revision}");
                return Err(Trouble::Mismatch(text));
            }
            last_revision = revision;
            tally.note(Duration::from_nanos(now.saturating_sub(stamp)), Ok(1));
        }
        drop(tally);
        hall.seen.fetch_add(response.events.len() as u64, Ordering::Release);
        hall.arrived.notify_one();
    }
}

fn stamp(value: &[u8]) -> u64 {
    value.first_chunk::<STAMP_BYTES>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
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
        let rest = self.values.pick(&mut self.random);
        let mut value = BytesMut::with_capacity(rest.len());
        value.put_u64(now_ns());
        value.put_slice(&rest[STAMP_BYTES..]);
        self.kv.put(PutRequest { key, value: value.freeze(), ..Default::default() }).await?;
        Ok(1)
    }
}
