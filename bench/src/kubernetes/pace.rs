//! Work at a given rate, whatever the server makes of it.
//!
//! Open loop: each action has its time. One that starts late is measured from the time it should have started, so that
//! a server that stalls cannot hide the wait by being asked less.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::{error::Trouble, load::Tally};

/// What one worker does again and again.
pub(crate) trait Act: Send + 'static {
    fn act(&mut self) -> impl Future<Output = Result<(), Trouble>> + Send;
}

/// One of several workers that share a rate and take turns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turns {
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    /// Actions per second of all workers together.
    pub(crate) rate: f64,
    pub(crate) worker: u32,
    pub(crate) workers: u32,
}

impl Turns {
    /// When this worker's action number `number` is due.
    fn due(&self, number: u32) -> Instant {
        let turn = f64::from(number) * f64::from(self.workers) + f64::from(self.worker);
        self.start + Duration::from_secs_f64(turn / self.rate)
    }
}

/// Acts at every turn until the end or the first error.
pub(crate) async fn run<A: Act>(turns: Turns, mut actor: A) -> Result<Tally, Trouble> {
    let mut tally = Tally::default();
    for number in 0.. {
        let due = turns.due(number);
        if due >= turns.end {
            break;
        }
        let late = Instant::now() >= due;
        if !late {
            sleep_until(due).await;
        }
        // A timer's own delay, up to a millisecond, is not the server's.
        let begun = if late { due } else { Instant::now() };
        actor.act().await?;
        tally.note(begun.elapsed(), Ok(1));
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes 50 ms the first time, then nothing.
    struct Stalls(bool);

    impl Act for Stalls {
        async fn act(&mut self) -> Result<(), Trouble> {
            if std::mem::take(&mut self.0) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn actions_keep_their_number_and_a_stall_shows_in_those_that_it_delayed() {
        let start = Instant::now();
        let end = start + Duration::from_secs(1);
        let turns = Turns { start, end, rate: 100.0, worker: 0, workers: 1 };
        let tally = run(turns, Stalls(true)).await.expect("nothing fails");
        assert_eq!(tally.latency.len(), 100);
        // The first took 50 ms; those due at 10, 20, 30 and 40 ms waited 40, 30, 20 and 10.
        assert_eq!(tally.latency.iter_recorded().filter(|step| step.value_iterated_to() > 5_000_000).count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn workers_share_a_rate() {
        let start = Instant::now();
        let end = start + Duration::from_secs(2);
        let mut actions = 0;
        for worker in 0..3 {
            let turns = Turns { start, end, rate: 50.0, worker, workers: 3 };
            actions += run(turns, Stalls(false)).await.map_or(0, |tally| tally.latency.len());
        }
        assert_eq!(actions, 100);
    }
}
