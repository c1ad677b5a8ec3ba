//! How many proposals a cluster of one takes per second, and what each costs in CPU time.
//!
//! `cargo run --release --example consensus_rate -- DIRECTORY [SECONDS]` puts a log into DIRECTORY, which should be on the
//! disk that is asked about, and proposes puts of 256 bytes from 1, 64 and 512 tasks. The applier does nothing, so this is
//! the log and consensus alone. CPU time is the whole process's, proposers included.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate::raft::{Applied, Applier, Committed, Consensus, Options};
use quorate_core::error::Fault;
use quorate_core::machine::{Outcome, Response};
use quorate_disk::file::OsFileSystem;
use quorate_disk::wal::{Wal, WalOptions};
use quorate_proto::internal::{Command, command};
use quorate_proto::wire::etcdserverpb::PutRequest;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Nothing;

impl Applier for Nothing {
    fn applied(&self) -> Result<Applied, Fault> {
        Ok(Applied::default())
    }

    async fn apply(&mut self, entries: &[Committed]) -> Result<Vec<Outcome>, Fault> {
        Ok(entries.iter().map(|_| Ok(Response::None)).collect())
    }
}

/// CPU time of the process so far, from fields 14 and 15 of `/proc/self/stat`, which count hundredths of a second.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The name in field 2 can hold blanks, so fields are counted from its closing bracket on.
    let (_, rest) = stat.rsplit_once(')').ok_or("/proc/self/stat has another form")?;
    let ticks: Vec<u64> = rest.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

async fn load(consensus: &Consensus, tasks: usize, lasting: Duration) -> Vec<Duration> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let (consensus, stop) = (consensus.clone(), Arc::clone(&stop));
        running.spawn(async move {
            let mut took = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let put = PutRequest {
                    key: Bytes::from_static(b"/registry/leases/kube-node-lease/node"),
                    value: Bytes::from(vec![7; 219]),
                    ..Default::default()
                };
                let command = Arc::new(Command { request: Some(command::Request::Put(put)), ..Default::default() });
                let begun = Instant::now();
                if consensus.propose(command).await.is_err() {
                    break;
                }
                took.push(begun.elapsed());
            }
            took
        });
    }
    tokio::time::sleep(lasting).await;
    stop.store(true, Ordering::Relaxed);
    running.join_all().await.concat()
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("the directory is missing")?);
    let lasting = Duration::from_secs(arguments.next().map_or(Ok(5), |seconds| seconds.parse())?);
    let mut out = std::io::stdout().lock();
    let (wal, recovered) = Wal::open(Arc::new(OsFileSystem), &dir, WalOptions::default())?;
    let on_fault = Box::new(|fault: Fault| tracing::error!(%fault));
    let consensus = Consensus::start(Options::new(1), wal, recovered, Nothing, on_fault).await?;
    consensus.bootstrap_single(vec!["http://127.0.0.1:2380".to_owned()]).await?;
    consensus.elect_now().await;
    consensus.wait_ready(Duration::from_secs(10)).await?;
    for tasks in [1, 64, 512] {
        load(&consensus, tasks, lasting / 5).await;
        let (begun, cpu) = (Instant::now(), cpu_time()?);
        let mut took = load(&consensus, tasks, lasting).await;
        let (lasted, cpu) = (begun.elapsed(), cpu_time()? - cpu);
        took.sort_unstable();
        let count = took.len().max(1);
        let at = |share: f64| took.get((count as f64 * share) as usize).copied().unwrap_or_default();
        writeln!(
            out,
            "{tasks:4} proposers: {:8.0} proposals/s, p50 {:?}, p99 {:?}, {:.1} us CPU each",
            count as f64 / lasted.as_secs_f64(),
            at(0.5),
            at(0.99),
            cpu.as_secs_f64() * 1e6 / count as f64
        )?;
    }
    consensus.shutdown().await;
    Ok(())
}
