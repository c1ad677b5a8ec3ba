//! Every bound in the system and what happens when it is reached.
//!
//! Rule: nothing in Quorate grows with what a client sends unless it is listed here. Defaults that are etcd's carry the
//! contract's section; the others carry their arithmetic.

/// Largest proposal in bytes, by default. Beyond it: "request is too large" (contract §4).
pub const REQUEST_BYTES_MAX: usize = 1_572_864;
/// What gRPC may receive beyond the largest proposal. Beyond it: `ResourceExhausted` from the transport (contract §4).
pub const REQUEST_OVERHEAD_BYTES: usize = 524_288;
/// Operations per list of a transaction, by default. Beyond it: "too many operations in txn request" (contract §2.7).
pub const TXN_OPS_MAX: usize = 128;
/// How deep transactions may nest. etcd has no such bound but the operations budget: each level needs at least one
/// operation, so the budget of 128 bounds the depth to the same number. Ours holds when `--max-txn-ops` is raised.
pub const TXN_DEPTH_MAX: usize = 128;
/// Longest lease in seconds. Beyond it: "too large lease TTL" (contract §2.10).
pub const LEASE_TTL_SECONDS_MAX: i64 = 9_000_000_000;
/// Size limit of the store by default, in logical bytes. Beyond it: NOSPACE (contract §4).
pub const QUOTA_BYTES_DEFAULT: i64 = 2_147_483_648;
/// What a put costs in the quota check beyond key and value (contract §2.11).
pub const QUOTA_PUT_OVERHEAD_BYTES: i64 = 256;
/// What a lease grant costs in the quota check (contract §2.11).
pub const QUOTA_LEASE_BYTES: i64 = 64;
/// Logical bytes of an empty store: what meta, members and the empty tables weigh. Keeps sizes above zero, which the
/// tools divide by (contract §2.12).
pub const STORE_BASE_BYTES: i64 = 16_384;

/// Entries that one apply round takes: one engine batch, one publication. More wait for the next round. At 1.5 MiB an
/// entry a round could hold 768 MiB, so bytes are bounded as well.
pub const APPLY_ROUND_ENTRIES_MAX: usize = 512;
/// Request bytes that one apply round takes before it closes.
pub const APPLY_ROUND_BYTES_MAX: usize = 8 << 20;
/// Proposals in flight on one member. Beyond it: "too many requests". 16,000 clients with one request each fit twice.
/// This stands for etcd's bound of 5,000 committed but unapplied entries (contract §4) as well: what waits for apply here
/// is in flight, and one synced batch may commit more than 5,000 entries that are applied within milliseconds.
pub const PROPOSALS_IN_FLIGHT_MAX: usize = 32_768;
/// Bytes of proposals in flight on one member. Beyond it: "too many requests".
pub const PROPOSALS_IN_FLIGHT_BYTES_MAX: usize = 256 << 20;

/// Bytes of the newest log entries kept decoded, so that apply and replication do not decode what was just proposed. When
/// full the oldest leave, and are read from the log. One apply round fits.
pub const LOG_TAIL_BYTES_MAX: usize = 8 << 20;
/// Bytes of one message of log entries to a peer; at least one entry is always sent.
pub const REPLICATION_BYTES_MAX: usize = 1 << 20;
/// Flushed entries that stay in the log for members that lag a little (`--snapshot-catchup-entries`, contract §6.2).
pub const LOG_ENTRIES_KEPT: u64 = 5_000;
/// Linearizable reads that may wait for a round of confirmation. Beyond it readers wait to get in line.
pub const READS_WAITING_MAX: usize = 16_384;

/// Rows that one step of physical compaction visits. Measured with a million keys: a row takes some 13 us to decide on and
/// to delete, so a step holds up a write for less than a millisecond; larger compactions take more steps, between apply
/// rounds.
pub const TRIM_STEP_ROWS: usize = 64;
/// The pause between two steps of physical compaction, in which apply rounds get through.
pub const TRIM_PAUSE: std::time::Duration = std::time::Duration::from_millis(1);
/// Encoded bytes of the newest rows kept in memory; older ones are read from the engine.
pub const ROW_CACHE_BYTES: u64 = 48 << 20;
/// Roots of past revisions kept so that pages of a pinned list have exact counts in logarithmic time. When full the
/// least recently used goes, and its pages count by walking.
pub const PINNED_VIEWS_MAX: usize = 32;

/// Responses queued to one watch stream before its watchers are moved to catch-up (contract §2.9 has the same 128).
pub const WATCH_STREAM_RESPONSES_MAX: usize = 128;
/// Encoded bytes queued to one watch stream before its watchers are moved to catch-up. A response always fits into an empty
/// queue. History is not shared between streams, so this times the number of slow streams is memory: 10,000 of them
/// could hold 5 GB.
pub const WATCH_STREAM_BYTES_MAX: usize = 512 << 10;
/// Revisions in one catch-up response (contract §2.9).
pub const WATCH_CATCH_UP_REVISIONS_MAX: usize = 1_000;
/// Encoded bytes in one catch-up response; at least one whole revision is always sent. gRPC encodes a message whole before
/// the first byte leaves, so a slow stream holds one of these beside its queue: with 2 MiB, 10,000 streams of 600 kB
/// each took 5.4 GB; larger responses are not faster.
pub const WATCH_CATCH_UP_BYTES_MAX: usize = 64 << 10;
/// Rows that one catch-up read visits before it yields to other watchers.
pub const WATCH_CATCH_UP_ROWS_MAX: usize = 10_000;
/// Apply rounds queued to the watch hub. When full the hub is told how far the store is and reads the rest from it.
pub const WATCH_HUB_ROUNDS_MAX: usize = 1_024;
/// Bytes of rounds queued to the watch hub; the fate is the same. A round may hold 8 MiB, so their number is not enough.
pub const WATCH_HUB_BYTES_MAX: usize = 64 << 20;
/// Bytes of recent changes that the hub keeps for watchers a little behind, encoded events and overhead included. The oldest
/// go first and are read from the store by whoever needs them. At 50,000 writes of 300 bytes a second it is half a second,
/// a hundred times what a catch-up read takes.
pub const WATCH_RECENT_BYTES_MAX: usize = 16 << 20;
/// Watchers that one catch-up step serves; the others of the same revision wait for the next step.
pub const WATCH_CATCH_UP_WATCHERS_MAX: usize = 4_096;
/// Catch-up reads at a time. More wait: they share the disk with everything else.
pub const WATCH_CATCH_UP_READS_MAX: usize = 2;
/// Requests from streams queued to the watch hub. When full the streams are read more slowly.
pub const WATCH_HUB_CONTROLS_MAX: usize = 1_024;
/// Requests of one stream that are not answered yet. Beyond it the stream is read no further (contract §2.9 has the same
/// 16).
pub const WATCH_STREAM_CONTROLS_MAX: usize = 16;
/// Watchers on one stream. Beyond it a create is refused like a failed one. etcd has no bound; a million ids of one
/// client would take some 200 MB here.
pub const WATCHERS_PER_STREAM_MAX: usize = 1_000_000;

/// First chunk of a range stream in keys (contract §2.4).
pub const RANGE_STREAM_FIRST_KEYS: i64 = 10;
