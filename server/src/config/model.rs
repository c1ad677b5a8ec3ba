//! The configuration, read and judged: one value that does not change while the member runs.
//!
//! It has two halves. [`Cluster`] is what all members must agree on, or they would decide differently; [`Local`] is
//! this process alone. Applying an entry may read neither: what an entry does follows from the entry and the data.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use super::gates::FeatureGates;
use super::peers::InitialCluster;
use super::tls::TlsInfo;
use super::url::Url;
use crate::logging::LogConfig;

/// Everything a member needs to know before it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What all members must agree on.
    pub cluster: Cluster,
    /// What concerns this process alone.
    pub local: Local,
    /// Sentences to log once at start, as warnings: flags that change nothing, old names, likely slips.
    pub notices: Vec<String>,
}

/// What all members must agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The members of a new cluster. Read only while the data directory is new.
    pub initial: InitialCluster,
    /// The name mixed into the IDs of members and cluster.
    pub token: String,
    /// Time between two heartbeats of the leader.
    pub heartbeat_interval: Duration,
    /// Time without a heartbeat before an election; at least five heartbeats.
    pub election_timeout: Duration,
    /// Bytes the store may hold before writes are refused; `None` is no limit.
    pub quota_backend_bytes: Option<NonZeroU64>,
    /// Learners the cluster may have.
    pub max_learners: i64,
    /// Whether a change of members that would lose the quorum is refused.
    pub strict_reconfig_check: bool,
    /// The kind of token that users get.
    pub auth_token: AuthToken,
    /// Switches for features that are not settled yet.
    pub gates: FeatureGates,
}

/// What concerns this process alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Local {
    /// The member's name.
    pub name: String,
    /// Where the data is.
    pub data_dir: PathBuf,
    /// Where the log is, if not in the data directory.
    pub wal_dir: Option<PathBuf>,
    /// Whether a new data directory starts a cluster or joins one.
    pub initial_state: InitialState,
    /// Start as the only member of a new cluster, from this member's own data.
    pub force_new_cluster: bool,
    /// Do not wait for the disk.
    pub unsafe_no_fsync: bool,
    /// Ask before starting an election.
    pub pre_vote: bool,
    /// Log entries between two checkpoints.
    pub snapshot_count: u64,
    /// Log entries kept behind a checkpoint.
    pub snapshot_catchup_entries: u64,
    /// Where the member listens and what it tells others.
    pub urls: Urls,
    /// What a client may ask for.
    pub limits: RequestLimits,
    /// How connections are kept alive and opened.
    pub connections: Connections,
    /// How old revisions are removed.
    pub compaction: Compaction,
    /// How often quiet watchers are told the revision.
    pub watch_progress_notify_interval: Duration,
    /// An entry that takes longer to apply is logged.
    pub warning_apply_duration: Duration,
    /// A request that takes longer is logged.
    pub warning_unary_request_duration: Duration,
    /// How often the data of the members is compared.
    pub checks: Checks,
    /// What HTTP clients get.
    pub http: Http,
    /// How passwords and simple tokens are made.
    pub credentials: Credentials,
    /// TLS towards clients.
    pub client_tls: TlsInfo,
    /// TLS between members.
    pub peer_tls: TlsInfo,
    /// How much is measured.
    pub metrics: MetricsLevel,
    /// Where and how the member logs.
    pub log: LogConfig,
}

/// Whether a new data directory starts a cluster or joins one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitialState {
    /// Starts one, together with the other members of [`Cluster::initial`].
    New,
    /// Joins one that runs and has been told of this member.
    Existing,
}

impl InitialState {
    /// The word of `--initial-cluster-state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Existing => "existing",
        }
    }
}

/// Where a member listens and what it tells others. Every list is sorted and has no entry twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// For other members.
    pub listen_peer: Vec<Url>,
    /// For clients: gRPC, and HTTP unless `listen_client_http` has entries.
    pub listen_client: Vec<Url>,
    /// For HTTP clients only.
    pub listen_client_http: Vec<Url>,
    /// For metrics and health.
    pub listen_metrics: Vec<Url>,
    /// This member's peer URLs as told to the others.
    pub advertise_peer: Vec<Url>,
    /// This member's client URLs as told to clients.
    pub advertise_client: Vec<Url>,
}

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Operations in one branch of a transaction.
    pub txn_ops_max: u64,
    /// Bytes in one request.
    pub request_bytes_max: u64,
    /// Requests in flight on one connection.
    pub concurrent_streams_max: u32,
}

/// How connections are kept alive and opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// A client that pings more often is disconnected.
    pub keepalive_min_time: Duration,
    /// How often a quiet client is pinged; `None` is never.
    pub keepalive_interval: Option<Duration>,
    /// How long a pinged client may stay silent; `None` is for ever.
    pub keepalive_timeout: Option<Duration>,
    /// Open listeners with `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Open listeners with `SO_REUSEADDR`.
    pub reuse_address: bool,
}

/// How old revisions are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compaction {
    /// What is removed without anybody asking.
    pub auto: AutoCompaction,
    /// Keys removed at once.
    pub batch_keys: u64,
    /// The pause between two batches.
    pub pause: Duration,
}

/// What is compacted without anybody asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Nothing.
    Off,
    /// Revisions older than this.
    Periodic(Duration),
    /// All but so many of the newest revisions.
    Revisions(u64),
}

/// How often the data of the members is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// Between two full comparisons by the leader; `None` is never.
    pub corrupt_check_time: Option<Duration>,
    /// Between two comparisons of the hashes taken at compactions.
    pub compact_hash_check_time: Duration,
    /// Between two looks at a running downgrade.
    pub downgrade_check_time: Duration,
}

/// What HTTP clients get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Origins that browsers may call from; `*` is all.
    pub cors: Vec<String>,
    /// Host names that plain requests may ask for; `*`, or an empty list, is all.
    pub host_whitelist: Vec<String>,
    /// Whether the JSON gateway is served.
    pub gateway: bool,
    /// Whether profiles are served.
    pub pprof: bool,
}

/// How passwords and simple tokens are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// The cost of hashing a password, 4 to 31.
    pub bcrypt_cost: u32,
    /// How long an unused simple token lives.
    pub simple_token_ttl: Duration,
}

/// The kind of token that users get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthToken {
    /// A random word that the members remember.
    Simple,
    /// A signed token; holds the options as written: `pub-key=…,sign-method=…`.
    Jwt(String),
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsLevel {
    /// Counters and the histograms that alerts need.
    Basic,
    /// Also the handling time of every RPC.
    Extensive,
}

impl MetricsLevel {
    /// The word of `--metrics`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Extensive => "extensive",
        }
    }
}
