//! Bytes and failures on the wire: clients in total, peers one by one (§8.2, `etcd_network_*`).
//!
//! Rule: a peer's samples appear when it becomes known and go when it is removed, so that a cluster that replaces
//! members for years does not collect them.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::register::Register;

/// What travelled, and to whom.
#[derive(Debug)]
pub struct NetworkMetrics {
    /// Bytes of requests, without framing.
    pub client_received_bytes: IntCounter,
    /// Bytes of responses, without framing.
    pub client_sent_bytes: IntCounter,
    stream_failures: IntCounterVec,
    active: IntGaugeVec,
    known: IntGaugeVec,
    disconnected: IntCounterVec,
    received_bytes: IntCounterVec,
    received_failures: IntCounterVec,
    sent_bytes: IntCounterVec,
    sent_failures: IntCounterVec,
    round_trip: HistogramVec,
    snapshot_send: Transfer,
    snapshot_receive: Transfer,
}

/// One direction of sending whole databases.
#[derive(Debug)]
struct Transfer {
    failures: IntCounterVec,
    in_flight: IntGaugeVec,
    successes: IntCounterVec,
    seconds: HistogramVec,
}

impl Transfer {
    fn new(r: &Register<'_>, direction: &str, label: &str) -> Self {
        let name = |what: &str| format!("etcd_network_snapshot_{direction}_{what}");
        Self {
            failures: r.counters(&name("failures"), "Transfers of a snapshot that failed.", &[label]),
            in_flight: r.gauges(&name("inflights_total"), "Transfers of a snapshot in progress.", &[label]),
            successes: r.counters(&name("success"), "Transfers of a snapshot that succeeded.", &[label]),
            seconds: r.histograms(
                &name("total_duration_seconds"),
                "Seconds taken by one transfer of a snapshot.",
                &[label],
                (0.1, 2.0, 10),
            ),
        }
    }

    fn of(&self, id: &str) -> TransferMetrics {
        TransferMetrics {
            failures: self.failures.with_label_values(&[id]),
            in_flight: self.in_flight.with_label_values(&[id]),
            successes: self.successes.with_label_values(&[id]),
            seconds: self.seconds.with_label_values(&[id]),
        }
    }
}

/// Counters of one peer, resolved once per connection attempt and not per message.
#[derive(Clone, Debug)]
pub struct PeerMetrics {
    /// 1 while connected.
    pub active: IntGauge,
    /// 1 while a member of the cluster.
    pub known: IntGauge,
    /// Times the connection was lost.
    pub disconnected: IntCounter,
    /// Bytes from the peer.
    pub received_bytes: IntCounter,
    /// Messages from the peer that could not be read.
    pub received_failures: IntCounter,
    /// Bytes to the peer.
    pub sent_bytes: IntCounter,
    /// Messages to the peer that could not be sent.
    pub sent_failures: IntCounter,
    /// Seconds of a round trip.
    pub round_trip_seconds: Histogram,
}

/// Counters of sending or receiving snapshots, with one peer.
#[derive(Clone, Debug)]
pub struct TransferMetrics {
    /// Transfers that failed.
    pub failures: IntCounter,
    /// Transfers in progress.
    pub in_flight: IntGauge,
    /// Transfers that succeeded.
    pub successes: IntCounter,
    /// Seconds of one transfer.
    pub seconds: Histogram,
}

/// Which side of a client stream failed, as label `Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamSide {
    /// Reading the client's messages.
    Receive,
    /// Sending ours.
    Send,
}

impl NetworkMetrics {
    pub(super) fn new(r: &Register<'_>) -> Self {
        let peers = ["Local", "Remote"];
        Self {
            client_received_bytes: r.counter("etcd_network_client_grpc_received_bytes_total", "Bytes of requests."),
            client_sent_bytes: r.counter("etcd_network_client_grpc_sent_bytes_total", "Bytes of responses."),
            stream_failures: r.counters(
                "etcd_network_server_stream_failures_total",
                "Streams of clients that failed.",
                &["Type", "API"],
            ),
            active: r.gauges("etcd_network_active_peers", "1 for each connected peer.", &peers),
            known: r.gauges("etcd_network_known_peers", "1 for each known peer.", &peers),
            disconnected: r.counters("etcd_network_disconnected_peers_total", "Connections lost.", &peers),
            received_bytes: r.counters("etcd_network_peer_received_bytes_total", "Bytes from a peer.", &["From"]),
            received_failures: r.counters(
                "etcd_network_peer_received_failures_total",
                "Messages from a peer that could not be read.",
                &["From"],
            ),
            sent_bytes: r.counters("etcd_network_peer_sent_bytes_total", "Bytes to a peer.", &["To"]),
            sent_failures: r.counters(
                "etcd_network_peer_sent_failures_total",
                "Messages to a peer that could not be sent.",
                &["To"],
            ),
            round_trip: r.histograms(
                "etcd_network_peer_round_trip_time_seconds",
                "Seconds of a round trip to a peer.",
                &["To"],
                (0.0001, 2.0, 16),
            ),
            snapshot_send: Transfer::new(r, "send", "To"),
            snapshot_receive: Transfer::new(r, "receive", "From"),
        }
    }

    /// A client stream failed; `api` is `watch` or `lease-keepalive`.
    pub fn stream_failed(&self, side: StreamSide, api: &'static str) {
        let side = if side == StreamSide::Send { "send" } else { "receive" };
        self.stream_failures.with_label_values(&[side, api]).inc();
    }

    /// The counters between this member and a peer.
    pub fn peer(&self, local: u64, remote: u64) -> PeerMetrics {
        let (local, remote) = (format!("{local:x}"), format!("{remote:x}"));
        let (pair, one) = ([local.as_str(), remote.as_str()], [remote.as_str()]);
        PeerMetrics {
            active: self.active.with_label_values(&pair),
            known: self.known.with_label_values(&pair),
            disconnected: self.disconnected.with_label_values(&pair),
            received_bytes: self.received_bytes.with_label_values(&one),
            received_failures: self.received_failures.with_label_values(&one),
            sent_bytes: self.sent_bytes.with_label_values(&one),
            sent_failures: self.sent_failures.with_label_values(&one),
            round_trip_seconds: self.round_trip.with_label_values(&one),
        }
    }

    /// The counters of snapshots sent to a peer.
    pub fn snapshots_to(&self, remote: u64) -> TransferMetrics {
        self.snapshot_send.of(&format!("{remote:x}"))
    }

    /// The counters of snapshots received from a peer.
    pub fn snapshots_from(&self, remote: u64) -> TransferMetrics {
        self.snapshot_receive.of(&format!("{remote:x}"))
    }

    /// Forgets a removed peer. Handles that are still held count into nothing.
    pub fn forget_peer(&self, local: u64, remote: u64) {
        let (local, remote) = (format!("{local:x}"), format!("{remote:x}"));
        let (pair, one) = ([local.as_str(), remote.as_str()], [remote.as_str()]);
        // An error only says that this peer never had such a sample.
        let _ = self.active.remove_label_values(&pair);
        let _ = self.known.remove_label_values(&pair);
        let _ = self.disconnected.remove_label_values(&pair);
        let _ = self.round_trip.remove_label_values(&one);
        let counters = [
            &self.received_bytes,
            &self.received_failures,
            &self.sent_bytes,
            &self.sent_failures,
            &self.snapshot_send.failures,
            &self.snapshot_send.successes,
            &self.snapshot_receive.failures,
            &self.snapshot_receive.successes,
        ];
        for family in counters {
            let _ = family.remove_label_values(&one);
        }
        for transfer in [&self.snapshot_send, &self.snapshot_receive] {
            let _ = transfer.in_flight.remove_label_values(&one);
            let _ = transfer.seconds.remove_label_values(&one);
        }
    }
}
