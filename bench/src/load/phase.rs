//! One phase of a run: every client works until the budget is spent.
//!
//! Rule: an operation that was begun is finished and counted. The phase lasts until the last one has its answer, so
//! that throughput is never flattered by cutting off the slow ones.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::load::{Tally, Work};

/// How long a client that got an error waits before it asks again, so that a server that is gone is not hammered.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);

/// How much a phase may do, over all clients together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Budget {
    Operations(u64),
    Time(Duration),
}

/// A budget being spent.
#[derive(Debug)]
pub(crate) struct Limit {
    budget: Budget,
    begun: AtomicU64,
    deadline: OnceLock<Instant>,
}

impl Limit {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        Arc::new(Self { budget, begun: AtomicU64::new(0), deadline: OnceLock::new() })
    }

    /// Starts the clock of a time budget. Before that, nothing may begin.
    pub(crate) fn start(&self) {
        if let Budget::Time(time) = self.budget {
            self.deadline.get_or_init(|| Instant::now() + time);
        }
    }

    /// Takes one operation out of the budget, if there is one left.
    fn begin(&self, now: Instant) -> bool {
        match self.budget {
            Budget::Operations(total) => self.begun.fetch_add(1, Ordering::Relaxed) < total,
            Budget::Time(_) => self.deadline.get().is_some_and(|deadline| now < *deadline),
        }
    }
}

/// Runs every client of this thread to the end of the phase and hands them back with what they did.
pub(crate) async fn run<W: Work>(works: Vec<W>, limit: &Arc<Limit>) -> (Vec<W>, Tally) {
    // One tally per thread: clients of one runtime never meet in it, so the lock is free whenever it is taken.
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut clients = JoinSet::new();
    for work in works {
        clients.spawn(one_client(work, Arc::clone(limit), Arc::clone(&tally)));
    }
    let works = clients.join_all().await;
    let tally = std::mem::take(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner));
    (works, tally)
}

async fn one_client<W: Work>(mut work: W, limit: Arc<Limit>, tally: Arc<Mutex<Tally>>) -> W {
    let mut now = Instant::now();
    while limit.begin(now) {
        let begun = now;
        let result = work.run().await;
        now = Instant::now();
        let failed = result.is_err();
        tally.lock().unwrap_or_else(PoisonError::into_inner).note(now - begun, result);
        if failed {
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            now = Instant::now();
        }
    }
    work
}

#[cfg(test)]
mod tests {
    use quorate_client::ClientError;

    use super::*;

    struct Counted(Arc<AtomicU64>);

    impl Work for Counted {
        async fn run(&mut self) -> Result<u64, ClientError> {
            match self.0.fetch_add(1, Ordering::Relaxed) % 10 {
                9 => Err(ClientError::StreamEnded),
                _ => Ok(3),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_of_operations_is_spent_exactly_and_errors_are_apart() {
        let calls = Arc::new(AtomicU64::new(0));
        let works = (0..7).map(|_| Counted(Arc::clone(&calls))).collect();
        let (works, tally) = run(works, &Limit::new(Budget::Operations(100))).await;
        assert_eq!((works.len(), calls.load(Ordering::Relaxed)), (7, 100));
        assert_eq!((tally.latency.len(), tally.errors, tally.items), (90, 10, 270));
        assert_eq!(tally.first_error, Some(ClientError::StreamEnded));
    }

    #[test]
    fn nothing_begins_before_the_start_or_after_the_deadline() {
        let limit = Limit::new(Budget::Time(Duration::from_secs(5)));
        assert!(!limit.begin(Instant::now()));
        limit.start();
        assert!(limit.begin(Instant::now()));
        assert!(!limit.begin(Instant::now() + Duration::from_secs(6)));
    }
}
