//! When leases expire (contract §2.10).
//!
//! Rule: only the leader keeps time, and it decides nothing: what has expired is proposed, and the log says whether the
//! lease ends. The clock is told of grants and revocations by the apply loop, of renewals by clients, and of leadership.
//! Time is passed in.
//!
//! On becoming leader every lease gets its full time to live again, or what a checkpoint left of it, and one election
//! timeout on top; where more than [`EXPIRIES_PER_SECOND`] would end in one second, the rest is spread behind them.
//!
//! Left out: how expiries become proposals (see [`super::expiry`]).

use quorate_core::ids::{LeaseId, LogIndex};
use quorate_core::machine::lease::Leases;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many leases may end in one second after a change of leaders.
const EXPIRIES_PER_SECOND: usize = 1_000;
/// How long a proposed expiry is waited for before it is proposed again.
const RETRY: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug)]
struct Timed {
    deadline: Instant,
    /// When to propose the expiry: the deadline, or later when it was proposed already.
    due: Instant,
    ttl: Duration,
    incarnation: LogIndex,
}

/// The deadlines of all leases on a leader; nothing on other members.
#[derive(Debug, Default)]
pub struct LeaseClock {
    running: bool,
    leases: BTreeMap<LeaseId, Timed>,
    due: BTreeSet<(Instant, LeaseId)>,
}

/// A lease whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its id.
    pub lease: LeaseId,
    /// Which lease of that id.
    pub incarnation: LogIndex,
}

/// What a renewal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lives for another full time to live.
    Renewed {
        /// Seconds.
        ttl_seconds: i64,
    },
    /// Its time is over, its end is on its way through the log.
    Expiring,
    /// There is no such lease.
    Unknown,
}

impl LeaseClock {
    /// Starts the clock of a new leader.
    pub fn promote(&mut self, leases: &Leases, now: Instant, grace: Duration) {
        self.demote();
        self.running = true;
        let mut deadlines: Vec<(Instant, LeaseId, Duration, LogIndex)> = leases
            .iter()
            .map(|lease| {
                let ttl = seconds(lease.ttl_seconds);
                let left = if lease.remaining_seconds > 0 { seconds(lease.remaining_seconds) } else { ttl };
                (later(now, left + grace), lease.id, ttl, lease.incarnation)
            })
            .collect();
        deadlines.sort_unstable();
        // The n-th lease in this order ends no sooner than the rate allows it after the first.
        let first = deadlines.first().map_or(now, |(deadline, ..)| *deadline);
        for (at, (deadline, lease, ttl, incarnation)) in deadlines.into_iter().enumerate() {
            let second = u64::try_from(at / EXPIRIES_PER_SECOND).unwrap_or(u64::MAX);
            let deadline = deadline.max(later(first, Duration::from_secs(second)));
            self.start(lease, Timed { deadline, due: deadline, ttl, incarnation });
        }
    }

    /// Stops it: another member leads.
    pub fn demote(&mut self) {
        *self = Self::default();
    }

    /// A lease was granted.
    pub fn granted(&mut self, lease: LeaseId, ttl_seconds: i64, incarnation: LogIndex, now: Instant) {
        if self.running {
            let ttl = seconds(ttl_seconds);
            let deadline = later(now, ttl);
            self.start(lease, Timed { deadline, due: deadline, ttl, incarnation });
        }
    }

    /// A lease ended.
    pub fn revoked(&mut self, lease: LeaseId) {
        if let Some(timed) = self.leases.remove(&lease) {
            self.due.remove(&(timed.due, lease));
        }
    }

    /// A client renews a lease.
    pub fn renew(&mut self, lease: LeaseId, now: Instant) -> Renewal {
        let Some(timed) = self.leases.get(&lease).copied() else {
            return Renewal::Unknown;
        };
        if timed.deadline <= now {
            return Renewal::Expiring;
        }
        let deadline = later(now, timed.ttl);
        self.start(lease, Timed { deadline, due: deadline, ..timed });
        Renewal::Renewed { ttl_seconds: i64::try_from(timed.ttl.as_secs()).unwrap_or(i64::MAX) }
    }

    /// Whole seconds left, truncated; below zero when the end is overdue. Nothing for an unknown lease.
    #[must_use]
    pub fn remaining_seconds(&self, lease: LeaseId, now: Instant) -> Option<i64> {
        let deadline = self.leases.get(&lease)?.deadline;
        let whole = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Some(match deadline.checked_duration_since(now) {
            Some(left) => whole(left),
            None => -whole(now.duration_since(deadline)),
        })
    }

    /// The leases in the order in which they end.
    #[must_use]
    pub fn by_deadline(&self) -> Vec<LeaseId> {
        let mut leases: Vec<_> = self.leases.iter().map(|(lease, timed)| (timed.deadline, *lease)).collect();
        leases.sort_unstable();
        leases.into_iter().map(|(_, lease)| lease).collect()
    }

    /// Takes up to `most` leases whose time is over; the same ones come again if they have not ended after a while.
    pub fn expired(&mut self, now: Instant, most: usize) -> Vec<Expired> {
        let over: Vec<_> = self.due.iter().take_while(|(due, _)| *due <= now).take(most).copied().collect();
        over.into_iter()
            .filter_map(|(_, lease)| {
                let timed = self.leases.get(&lease).copied()?;
                self.start(lease, Timed { due: later(now, RETRY), ..timed });
                Some(Expired { lease, incarnation: timed.incarnation })
            })
            .collect()
    }

    /// When the next lease ends.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    fn start(&mut self, lease: LeaseId, timed: Timed) {
        if let Some(before) = self.leases.insert(lease, timed) {
            self.due.remove(&(before.due, lease));
        }
        self.due.insert((timed.due, lease));
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Far deadlines saturate: a lease of 9,000,000,000 seconds outlives every clock.
fn later(now: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(by).unwrap_or_else(|| now + FAR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::machine::{Machine, Position, Round};
    use quorate_core::pb::LeaseGrantRequest;
    use quorate_core::storage::EngineRows;
    use quorate_core::storage::memory::MemoryEngine;
    use quorate_proto::internal::{Command, command};

    const ID: LeaseId = LeaseId(7);

    fn started() -> (LeaseClock, Instant) {
        let now = Instant::now();
        let mut clock = LeaseClock::default();
        clock.promote(&Leases::default(), now, Duration::ZERO);
        (clock, now)
    }

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    fn granted(count: u64) -> Leases {
        let engine = MemoryEngine::new();
        let mut machine = Machine::default();
        let mut round = Round::default();
        for index in 1..=count {
            let grant = LeaseGrantRequest { id: index as i64, ttl: 10 };
            let command = Command { request: Some(command::Request::LeaseGrant(grant)), ..Command::default() };
            let position = Position { term: 1.into(), index: index.into() };
            let applied = machine.apply(&mut round, &EngineRows(&engine), position, &command);
            assert!(applied.expect("memory does not fail").outcome.is_ok());
        }
        machine.view().leases
    }

    #[test]
    fn a_lease_expires_after_its_time_and_comes_again_until_it_ends() {
        let (mut clock, now) = started();
        clock.granted(ID, 5, LogIndex(3), now);
        assert_eq!(clock.expired(after(now, 4), 10), []);
        let expired = [Expired { lease: ID, incarnation: LogIndex(3) }];
        assert_eq!(clock.expired(after(now, 5), 10), expired);
        assert_eq!(clock.expired(after(now, 6), 10), [], "it is on its way");
        assert_eq!(clock.expired(after(now, 8), 10), expired, "it got lost on its way");
        clock.revoked(ID);
        assert_eq!(clock.expired(after(now, 60), 10), []);
    }

    #[test]
    fn a_renewal_starts_the_time_again_but_not_after_it_is_over() {
        let (mut clock, now) = started();
        clock.granted(ID, 5, LogIndex(3), now);
        assert_eq!(clock.renew(ID, after(now, 4)), Renewal::Renewed { ttl_seconds: 5 });
        assert_eq!(clock.remaining_seconds(ID, after(now, 5)), Some(4));
        assert_eq!(clock.renew(ID, after(now, 9)), Renewal::Expiring);
        assert_eq!(clock.remaining_seconds(ID, after(now, 10)), Some(-1));
        assert_eq!(clock.renew(LeaseId(8), now), Renewal::Unknown);
    }

    #[test]
    fn a_new_leader_gives_full_time_and_grace() {
        let now = Instant::now();
        let mut clock = LeaseClock::default();
        clock.promote(&granted(1), now, Duration::from_secs(1));
        assert_eq!(clock.remaining_seconds(LeaseId(1), now), Some(11));
        clock.demote();
        assert_eq!(clock.remaining_seconds(LeaseId(1), now), None);
    }

    #[test]
    fn a_new_leader_spreads_ends_that_fall_together() {
        let now = Instant::now();
        let mut clock = LeaseClock::default();
        clock.promote(&granted(2_500), now, Duration::ZERO);
        let ended = |clock: &mut LeaseClock, at| clock.expired(after(now, at), usize::MAX).len();
        assert_eq!(ended(&mut clock, 9), 0);
        assert_eq!(ended(&mut clock, 10), 1_000);
        assert_eq!(ended(&mut clock, 11), 1_000);
        assert_eq!(ended(&mut clock, 12), 500);
    }

    #[test]
    fn the_longest_lease_does_not_overflow_time() {
        let (mut clock, now) = started();
        clock.granted(ID, 9_000_000_000, LogIndex(1), now);
        clock.granted(LeaseId(8), i64::MAX, LogIndex(1), now);
        assert!(clock.remaining_seconds(ID, now).is_some_and(|left| left > 1_000_000_000));
    }
}
