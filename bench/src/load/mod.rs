//! The measuring loop that every workload shares.
//!
//! Closed loop: each client sends its next request when it has the answer to the last. A warm-up on the same
//! connections comes first and is not counted. CPU time is read between the two, when nothing is in flight.
//!
//! The generator runs on a few threads, each with a runtime, connections and clients of its own, because that costs
//! the least CPU per request, and what the generator burns on a shared machine the server cannot use.

pub(crate) mod phase;
mod tally;

use std::{
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use quorate_client::{Client, ClientError};

pub(crate) use self::tally::Tally;
use crate::{
    error::Trouble,
    load::phase::{Budget, Limit},
    process::Look,
    report::Summary,
    target::Target,
};

/// How much to do.
#[derive(Args, Debug, Clone)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Requests in flight: each client has one.
    #[arg(long, default_value_t = 1)]
    pub(crate) clients: usize,
    /// Stop after this many operations.
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) total: Option<u64>,
    /// Stop after this many seconds. The default, with 10, unless --total is given.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Run this long before counting.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up_seconds: f64,
    /// Threads of the generator. 0: one per two cores, two at most.
    #[arg(long, default_value_t = 0)]
    pub(crate) threads: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Plan {
    pub(crate) fn budget(&self) -> Budget {
        match (self.total, self.seconds) {
            (Some(total), _) => Budget::Operations(total),
            (None, seconds) => Budget::Time(seconds_to_duration(seconds.unwrap_or(10.0))),
        }
    }

    pub(crate) fn warm_up(&self) -> Budget {
        Budget::Time(seconds_to_duration(self.warm_up_seconds))
    }

    pub(crate) fn threads(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let wanted = if self.threads == 0 { cores.div_ceil(2).min(2) } else { self.threads };
        wanted.min(self.clients).min(self.target.connections).max(1)
    }

    /// Clients or connections of thread `index` out of `threads`.
    fn share(whole: usize, index: usize, threads: usize) -> usize {
        whole / threads + usize::from(index < whole % threads)
    }
}

fn seconds_to_duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// What one client does over and over.
pub(crate) trait Work: Send + 'static {
    /// Does it once. The result is how many items (keys, events) that moved, for the report.
    fn run(&mut self) -> impl Future<Output = Result<u64, ClientError>> + Send;
}

/// Runs `plan` with one `Work` per client, made from a connected client and the client's number.
pub(crate) fn measure<W, F>(name: &str, plan: &Plan, make: F) -> Result<Summary, Trouble>
where
    W: Work,
    F: Fn(&Client, usize) -> W + Sync,
{
    if plan.clients == 0 || plan.target.connections == 0 {
        return Err(Trouble::Cannot("there must be at least one client and one connection".to_owned()));
    }
    let threads = plan.threads();
    let gate = Barrier::new(threads + 1);
    let measured = Limit::new(plan.budget());
    let look = || Look::take(plan.target.server_pid);
    let outcome = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|index| {
                let (gate, measured, make) = (&gate, &measured, &make);
                scope.spawn(move || one_thread(plan, index, threads, gate, measured, make))
            })
            .collect();
        gate.wait(); // Everybody is warm, or has given up.
        let before = look();
        let started = Instant::now();
        measured.start();
        gate.wait(); // Go.
        gate.wait(); // Everybody is done.
        let elapsed = started.elapsed();
        let after = look();
        let mut tally = Tally::default();
        for worker in workers {
            let part = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            tally.merge(&part);
        }
        Ok::<_, Trouble>((tally, elapsed, (before?, after?)))
    });
    let (tally, elapsed, looks) = outcome?;
    Summary::new(name, plan, &tally, elapsed, &looks)
}

/// One thread's part. It passes the gate three times whatever happens: the others wait there for it.
fn one_thread<W, F>(
    plan: &Plan,
    index: usize,
    threads: usize,
    gate: &Barrier,
    measured: &Arc<Limit>,
    make: &F,
) -> Result<Tally, Trouble>
where
    W: Work,
    F: Fn(&Client, usize) -> W,
{
    let prepared = prepare(plan, index, threads, make);
    gate.wait();
    gate.wait();
    let result = prepared.map(|(runtime, works)| runtime.block_on(phase::run(works, measured)).1);
    gate.wait();
    result
}

fn prepare<W, F>(
    plan: &Plan,
    index: usize,
    threads: usize,
    make: &F,
) -> Result<(tokio::runtime::Runtime, Vec<W>), Trouble>
where
    W: Work,
    F: Fn(&Client, usize) -> W,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clients = Plan::share(plan.clients, index, threads);
    let connections = Plan::share(plan.target.connections, index, threads).min(clients);
    let works = runtime.block_on(async {
        let client = plan.target.connect(connections).await?;
        let works = (0..clients).map(|number| make(&client, number * threads + index)).collect();
        let warm_up = Limit::new(plan.warm_up());
        warm_up.start();
        let (works, tally) = phase::run(works, &warm_up).await;
        // A server that answers nothing but errors is found out here, not after the whole run.
        match tally.first_error {
            Some(error) if tally.latency.is_empty() => Err(Trouble::from(error)),
            _ => Ok(works),
        }
    })?;
    Ok((runtime, works))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_whole_and_differ_by_one_at_most() {
        for (whole, threads) in [(1, 1), (7, 2), (1000, 3), (2, 2)] {
            let shares: Vec<usize> = (0..threads).map(|index| Plan::share(whole, index, threads)).collect();
            assert_eq!(shares.iter().sum::<usize>(), whole);
            assert!(shares.iter().max().unwrap_or(&0) - shares.iter().min().unwrap_or(&0) <= 1, "{shares:?}");
        }
    }
}
