//! Granting, renewing and asking about leases (contract §2.10).

use super::Node;
use super::lease_clock::Renewal;
use super::propose::Expect;
use crate::trouble::{Trouble, Unanswered};
use quorate_core::error::Refusal;
use quorate_core::ids::LeaseId;
use quorate_core::limits::LEASE_TTL_SECONDS_MAX;
use quorate_core::pb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseLeasesResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse,
};
use quorate_proto::internal::command::Request;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a renewal looks whether an expiring lease is gone.
const EXPIRING_POLL: Duration = Duration::from_millis(50);

impl Node {
    /// The shortest lease in seconds: one and a half election timeouts, rounded up.
    #[must_use]
    pub fn lease_ttl_seconds_min(&self) -> i64 {
        let heartbeat = self.config.cluster.heartbeat_interval.as_millis().max(1);
        let ticks = self.config.cluster.election_timeout.as_millis() / heartbeat;
        let min_millis = 3 * ticks / 2 * heartbeat;
        i64::try_from(min_millis.div_ceil(1000)).unwrap_or(i64::MAX)
    }

    /// Grants a lease; chooses an id when the request has none.
    ///
    /// # Errors
    /// Refusals for a time to live beyond the maximum and an id in use; trouble.
    pub async fn grant_lease(&self, request: LeaseGrantRequest) -> Result<LeaseGrantResponse, Unanswered> {
        if request.ttl > LEASE_TTL_SECONDS_MAX {
            return Err(Refusal::LeaseTtlTooLarge.into());
        }
        let ttl = request.ttl.max(self.lease_ttl_seconds_min());
        loop {
            let id = if request.id == 0 { self.new_lease_id() } else { request.id };
            let proposed = Request::LeaseGrant(LeaseGrantRequest { id, ttl });
            match self.propose(proposed).await {
                // Somebody chose this very number; another one will be free.
                Err(Unanswered::Refusal(Refusal::LeaseExists)) if request.id == 0 => {}
                answer => return LeaseGrantResponse::expect_from(answer?),
            }
        }
    }

    /// A positive number nobody has: the member, the time in milliseconds, and a counter.
    fn new_lease_id(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let count = self.lease_counter.fetch_add(1, Ordering::Relaxed);
        let id = (self.identity.member_id.0 << 48) ^ ((millis & 0xff_ffff_ffff) << 8) ^ count;
        i64::try_from(id & i64::MAX.unsigned_abs()).unwrap_or(1).max(1)
    }

    /// Renews a lease; answers the new time to live in seconds, 0 when it is gone.
    ///
    /// # Errors
    /// Trouble when this member cannot prove that it leads.
    pub async fn renew_lease(&self, lease: LeaseId) -> Result<i64, Unanswered> {
        self.barrier().await.map_err(|unanswered| match unanswered {
            Unanswered::Trouble(Trouble::NoLeader | Trouble::LeaderChanged) => Trouble::NotPrimary.into(),
            other => other,
        })?;
        let deadline = Instant::now() + self.request_timeout();
        loop {
            let renewal = self.clock.lock().renew(lease, Instant::now());
            match renewal {
                Renewal::Renewed { ttl_seconds } => {
                    self.metrics.lease_renewed();
                    return Ok(ttl_seconds);
                }
                Renewal::Unknown => return Ok(0),
                // Its end is under way; the answer must not be earlier than the end.
                Renewal::Expiring if Instant::now() < deadline => tokio::time::sleep(EXPIRING_POLL).await,
                Renewal::Expiring => return Err(Trouble::Timeout.into()),
            }
        }
    }

    /// What is left of a lease, and its keys when asked for.
    ///
    /// # Errors
    /// Trouble when the answer cannot be confirmed.
    pub async fn lease_time_to_live(
        &self,
        request: LeaseTimeToLiveRequest,
    ) -> Result<LeaseTimeToLiveResponse, Unanswered> {
        self.barrier().await?;
        let view = self.store.view();
        let id = LeaseId(request.id);
        let header = Some(self.header(view.revision));
        let remaining = self.clock.lock().remaining_seconds(id, Instant::now());
        let (Some(lease), Some(ttl)) = (view.leases.get(id), remaining) else {
            return Ok(LeaseTimeToLiveResponse { header, id: request.id, ttl: -1, ..Default::default() });
        };
        let keys =
            if request.keys { view.leases.keys(id).map(bytes::Bytes::copy_from_slice).collect() } else { Vec::new() };
        Ok(LeaseTimeToLiveResponse { header, id: request.id, ttl, granted_ttl: lease.ttl_seconds, keys })
    }

    /// All leases, those that end first first.
    #[must_use]
    pub fn leases(&self) -> LeaseLeasesResponse {
        let view = self.store.view();
        let mut leases = self.clock.lock().by_deadline();
        if leases.is_empty() {
            // Only a leader knows deadlines.
            leases = view.leases.iter().map(|lease| lease.id).collect();
        }
        let leases = leases.into_iter().map(|lease| LeaseStatus { id: lease.0 }).collect();
        LeaseLeasesResponse { header: Some(self.header(view.revision)), leases }
    }
}
