//! From a directory to a member that can serve.
//!
//! Rule: each step rests on the one before. Who we are is written first; tables and log are opened and brought together;
//! what was committed is applied; the member leads or knows its leader; the cluster knows the member. Only then does the
//! caller get a [`Node`], so whatever opens a port afterwards can answer.

use super::apply_loop::{ApplyLoop, Written};
use super::data_dir::DataDir;
use super::fatal::Fatal;
use super::flusher::Flusher;
use super::identity::Identity;
use super::lease_clock::LeaseClock;
use super::propose::InFlight;
use super::read_index::ReadIndex;
use super::report::WalReport;
use super::trimmer::{Pace, Trimmer};
use super::{Inner, Node, expiry};
use crate::config::{Config, InitialState};
use crate::metrics::Metrics;
use crate::raft::{Consensus, Options};
use crate::store::Store;
use crate::version::CLUSTER_VERSION;
use crate::watch::WatchConfig;
use crate::watch::on_node::{self, Running};
use parking_lot::Mutex;
use quorate_core::error::Fault;
use quorate_core::ids::MemberId;
use quorate_core::limits::{ROW_CACHE_BYTES, TRIM_PAUSE, TRIM_STEP_ROWS};
use quorate_core::machine::Machine;
use quorate_core::storage::Engine;
use quorate_disk::file::OsFileSystem;
use quorate_disk::rocks::{EngineOptions, FlushPolicy, RocksEngine};
use quorate_disk::wal::{Recovered, SyncPolicy, Wal, WalOptions};
use quorate_proto::internal::{Bootstrap, ClusterVersion, Member, MemberAttributes, command::Request};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How long a member may take to apply what was committed and to find its leader. Replaying the longest log that the flush
/// policy allows takes seconds; what is slower than this is stuck.
const READY_TIMEOUT: Duration = Duration::from_secs(600);

/// Bytes of the newest log records that the log keeps in memory.
const WAL_TAIL_BYTES: usize = 1 << 20;

/// A member's node with what keeps it running.
pub struct Started {
    /// The handle.
    pub node: Node,
    /// The directory, held until the member has stopped.
    pub data_dir: DataDir,
    /// Tasks that run until they are dropped.
    pub tasks: JoinSet<()>,
    /// The watch hub and its tasks.
    pub watch: Running,
}

/// Starts a member.
///
/// # Errors
/// A fault whose sentence says what is in the way and what to do about it.
pub async fn start(config: Arc<Config>, metrics: Arc<Metrics>) -> Result<Started, Fault> {
    let begun = Instant::now();
    let (data_dir, identity) = take_directory(&config).await?;
    let (wal, recovered) = open_log(&config, &data_dir, &metrics).await?;
    refuse_missing_store(&data_dir, &recovered)?;
    let (engine, machine) = open_store(&data_dir).await?;
    refuse_missing_log(&data_dir, &machine, &recovered)?;
    tracing::info!(
        "member-id" = format!("{:x}", identity.member_id.0),
        "cluster-id" = format!("{:x}", identity.cluster_id),
        revision = machine.view().revision,
        "applied-index" = machine.applied().index.0,
        "last-log-index" = recovered.last.map_or(0, |(index, _)| index),
        "cut-bytes" = recovered.cut_bytes,
        took = ?begun.elapsed(),
        "opened the data directory"
    );

    let fatal = Fatal::default();
    let store = Arc::new(Store::new(&machine, Arc::clone(&engine), ROW_CACHE_BYTES, fatal.clone()));
    let machine = Arc::new(Mutex::new(machine));
    let clock = Arc::new(Mutex::new(LeaseClock::default()));
    let (compacted, granted) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let written = Arc::new(Written::default());
    let request_bytes_max = usize::try_from(config.local.limits.request_bytes_max).unwrap_or(usize::MAX);
    let watch_config = WatchConfig::new(config.local.watch_progress_notify_interval, request_bytes_max);
    let (watch, publisher) = on_node::start(Arc::clone(&store), watch_config, fatal.clone());
    let apply = ApplyLoop {
        machine: Arc::clone(&machine),
        store: Arc::clone(&store),
        watchers: publisher,
        clock: Arc::clone(&clock),
        compacted: Arc::clone(&compacted),
        granted: Arc::clone(&granted),
        written: Arc::clone(&written),
        metrics: Arc::clone(&metrics),
        slow_round: config.local.warning_apply_duration,
    };
    let on_fault = {
        let fatal = fatal.clone();
        Box::new(move |fault| fatal.report(fault))
    };
    let consensus = Consensus::start(raft_options(&config, identity), wal, recovered, apply, on_fault).await?;
    let observed = Arc::clone(&metrics);
    let node = Node(Arc::new(Inner {
        identity,
        store: Arc::clone(&store),
        reads: ReadIndex::start(consensus.clone(), move |reads| observed.read_index_round(reads)),
        consensus: consensus.clone(),
        watchers: watch.handle(),
        clock,
        metrics: Arc::clone(&metrics),
        fatal: fatal.clone(),
        in_flight: InFlight::default(),
        sole_leader: Arc::new(AtomicBool::new(false)),
        term: Arc::new(AtomicU64::new(0)),
        lease_counter: AtomicU64::new(0),
        compacted_at: AtomicI64::new(0),
        stopping: tokio::sync::watch::Sender::new(false),
        config: Arc::clone(&config),
    }));

    let mut tasks = JoinSet::new();
    tasks.spawn(super::leadership::follow(node.clone(), Arc::clone(&granted)));
    tasks.spawn(expiry::run(node.clone(), granted));
    let pace = Pace { rows: TRIM_STEP_ROWS, pause: TRIM_PAUSE };
    let trimmer = Trimmer {
        machine,
        store: Arc::clone(&store),
        compacted,
        metrics: Arc::clone(&metrics),
        fatal: fatal.clone(),
        pace,
    };
    tasks.spawn(trimmer.run());
    let policy = FlushPolicy::default();
    tasks.spawn(Flusher { store, consensus, written, fatal, policy }.run());

    let started = Started { node, data_dir, tasks, watch };
    started.node.join_cluster().await?;
    tracing::info!(took = ?begun.elapsed(), "the member has recovered and leads");
    Ok(started)
}

fn raft_options(config: &Config, identity: Identity) -> Options {
    Options {
        heartbeat: config.cluster.heartbeat_interval,
        election_timeout: config.cluster.election_timeout,
        pre_vote: config.local.pre_vote,
        entries_kept: config.local.snapshot_catchup_entries,
        ..Options::new(identity.member_id.0)
    }
}

/// Takes the directory; a new member writes who it is before anything else.
async fn take_directory(config: &Arc<Config>) -> Result<(DataDir, Identity), Fault> {
    let config = Arc::clone(config);
    on_blocking_thread("opening the data directory", move || {
        let local = &config.local;
        let mut data_dir = DataDir::open(&local.data_dir, local.wal_dir.as_deref())?;
        if let Some(identity) = data_dir.identity {
            return Ok((data_dir, identity));
        }
        let initial = &config.cluster.initial;
        initial
            .check_bootstrap(
                &local.name,
                &local.urls.advertise_peer,
                local.initial_state == InitialState::Existing,
                &addresses,
            )
            .map_err(|error| Fault::new(error.to_string()))?;
        if local.initial_state == InitialState::Existing || initial.members().count() != 1 {
            return Err(Fault::new(
                "this version runs clusters of one member only: --initial-cluster must name this member alone, and \
                 --initial-cluster-state must be `new`",
            ));
        }
        let (members, cluster_id) = initial.identities(&config.cluster.token);
        let member_id = members
            .first()
            .map(|(_, id)| MemberId(*id))
            .ok_or_else(|| Fault::new("--initial-cluster names no member"))?;
        let identity = Identity { member_id, cluster_id };
        data_dir.claim(identity)?;
        Ok((data_dir, identity))
    })
    .await
}

/// The addresses of a host name.
fn addresses(host: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

async fn open_store(data_dir: &DataDir) -> Result<(Arc<dyn Engine>, Machine), Fault> {
    let directory = data_dir.store();
    on_blocking_thread("opening the store", move || {
        let engine = RocksEngine::open(&directory, &EngineOptions::default())?;
        let machine = Machine::load(&engine)?;
        Ok((Arc::new(engine) as Arc<dyn Engine>, machine))
    })
    .await
}

async fn open_log(config: &Config, data_dir: &DataDir, metrics: &Arc<Metrics>) -> Result<(Wal, Recovered), Fault> {
    let directory = data_dir.wal().to_path_buf();
    let sync = if config.local.unsafe_no_fsync { SyncPolicy::Never } else { SyncPolicy::Fsync };
    let observer = Some(Arc::new(WalReport(Arc::clone(metrics))) as _);
    // Consensus keeps the newest entries decoded; the log's own copy of them only has to bridge a sync.
    let options = WalOptions { sync, observer, tail_bytes_max: WAL_TAIL_BYTES, ..WalOptions::default() };
    on_blocking_thread("opening the log", move || {
        Wal::open(Arc::new(OsFileSystem), &directory, options).map_err(|error| Fault::new(error.to_string()))
    })
    .await
}

/// The log holds the vote. Tables with content beside an untouched log mean that the log was taken away.
fn refuse_missing_log(data_dir: &DataDir, machine: &Machine, recovered: &Recovered) -> Result<(), Fault> {
    let untouched = recovered.last.is_none() && recovered.purged.is_none() && recovered.vote.is_none();
    if machine.applied().index.0 == 0 || !untouched {
        return Ok(());
    }
    Err(Fault::new(format!(
        "the log in {} is missing, but the store has entries up to {}; without its log this member has forgotten its \
         vote and its newest entries. Put the log back, or restore this member from a peer or a snapshot.",
        data_dir.wal().display(),
        machine.applied().index
    )))
}

/// A log with entries beside no tables at all means that the tables were taken away. What the log still has of them need
/// not be everything, so it is not replayed into an empty store.
fn refuse_missing_store(data_dir: &DataDir, recovered: &Recovered) -> Result<(), Fault> {
    let Some((last, _)) = recovered.last.filter(|_| !data_dir.store().join("CURRENT").exists()) else {
        return Ok(());
    };
    Err(Fault::new(format!(
        "the store in {} is missing, but the log has entries up to {last}; a log alone does not make a member. Put the \
         store back, or restore this member from a peer or a snapshot.",
        data_dir.store().display(),
    )))
}

async fn on_blocking_thread<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Fault::new(format!("{what} was interrupted: {error}")))?
}

impl Node {
    /// Leads, applies what was committed, and makes the cluster know this member as it is now.
    async fn join_cluster(&self) -> Result<(), Fault> {
        let local = &self.config.local;
        let texts = |urls: &[crate::config::url::Url]| urls.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.consensus.bootstrap_single(texts(&local.urls.advertise_peer)).await?;
        self.consensus.elect_now().await;
        let ready = self.consensus.wait_ready(READY_TIMEOUT);
        tokio::select! {
            biased;
            fault = self.fatal.reported() => return Err(fault),
            ready = ready => ready.map_err(|trouble| {
                Fault::new(format!("the member did not get ready: {trouble}; its log says how far it came"))
            })?,
        }
        let id = self.identity.member_id;
        let members = Arc::clone(&self.store.view().members);
        if members.cluster_id == 0 {
            let member = Member { id: id.0, peer_urls: texts(&local.urls.advertise_peer), ..Member::default() };
            let cluster_id = self.identity.cluster_id;
            self.announce(Request::Bootstrap(Bootstrap { cluster_id, members: vec![member] })).await?;
        } else if members.cluster_id != self.identity.cluster_id {
            return Err(Fault::new(format!(
                "the store belongs to cluster {:x}, identity.json says {:x}; the directory was put together from two \
                 members. Restore this member from a peer or a snapshot.",
                members.cluster_id, self.identity.cluster_id
            )));
        }
        let client_urls = texts(&local.urls.advertise_client);
        let told = members.get(id).is_some_and(|member| member.name == local.name && member.client_urls == client_urls);
        if !told {
            let name = local.name.clone();
            self.announce(Request::MemberAttributes(MemberAttributes { member_id: id.0, name, client_urls })).await?;
        }
        if members.cluster_version.is_empty() {
            let version = CLUSTER_VERSION.to_owned();
            self.announce(Request::ClusterVersion(ClusterVersion { version })).await?;
        }
        Ok(())
    }

    async fn announce(&self, request: Request) -> Result<(), Fault> {
        match self.propose(request).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self
                .fatal
                .get()
                .unwrap_or_else(|| Fault::new(format!("the member could not make itself known: {error}")))),
        }
    }
}
