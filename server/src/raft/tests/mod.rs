//! What a cluster of one keeps through restarts, crashes and faults.
//!
//! The members here are whole but for their engine, which is memory: it applies at once and "flushes" when a test says so,
//! and [`Engine::crashed`] is what such an engine holds after a crash. The log is the real one, on a simulated disk or in a
//! temporary directory.

mod align;
mod codec;
mod crash;
mod fault;
mod member;
mod purge;
mod suite;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_core::error::Fault;
use quorate_core::machine::{Outcome, Response};
use quorate_disk::file::{FileSystem, SimDisk};
use quorate_disk::wal::{Recovered, Wal, WalOptions};
use quorate_proto::internal::{Command, command};
use quorate_proto::wire::etcdserverpb::{PutRequest, PutResponse, ResponseHeader};

use super::{Applied, Applier, Committed, CommittedPayload, Consensus, OnFault, Options};

const NODE: u64 = 11;
const PATIENCE: Duration = Duration::from_secs(20);
const WAL_DIR: &str = "/member/wal";

/// What an engine holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    applied: Applied,
    /// Index and key of every command.
    commands: Vec<(u64, Bytes)>,
    /// How many entries each round had.
    rounds: Vec<usize>,
}

/// An engine in memory. Clones share it.
#[derive(Clone, Default)]
struct Engine {
    held: Arc<Mutex<Held>>,
    flushed: Arc<Mutex<Held>>,
    /// Fail the round that holds this index.
    fail_at: Arc<Mutex<Option<u64>>>,
}

impl Engine {
    fn held(&self) -> Held {
        self.held.lock().clone()
    }

    fn flush(&self) -> u64 {
        let held = self.held();
        let index = held.applied.position.map_or(0, |(_, index)| index);
        *self.flushed.lock() = held;
        index
    }

    /// A new engine with what this one had flushed.
    fn crashed(&self) -> Engine {
        let flushed = self.flushed.lock().clone();
        Engine {
            held: Arc::new(Mutex::new(flushed.clone())),
            flushed: Arc::new(Mutex::new(flushed)),
            fail_at: Arc::default(),
        }
    }

    fn keys(&self) -> Vec<Bytes> {
        self.held.lock().commands.iter().map(|(_, key)| key.clone()).collect()
    }
}

impl Applier for Engine {
    fn applied(&self) -> Result<Applied, Fault> {
        Ok(self.held.lock().applied.clone())
    }

    async fn apply(&mut self, entries: &[Committed]) -> Result<Vec<Outcome>, Fault> {
        let mut held = self.held.lock();
        held.rounds.push(entries.len());
        let mut outcomes = Vec::new();
        for entry in entries {
            if *self.fail_at.lock() == Some(entry.index) {
                return Err(Fault::new(format!("the engine failed at entry {}", entry.index)));
            }
            let before = held.applied.position.map_or(0, |(_, index)| index);
            assert_eq!(entry.index, before + 1, "entries come in order, each once");
            held.applied.position = Some((entry.term, entry.index));
            outcomes.push(Ok(match &entry.payload {
                CommittedPayload::Blank => Response::None,
                CommittedPayload::Membership(membership) => {
                    held.applied.membership = membership.clone();
                    Response::None
                }
                CommittedPayload::Command(command) => {
                    held.commands.push((entry.index, key(command)));
                    Response::Put(answer(entry.index))
                }
            }));
        }
        Ok(outcomes)
    }
}

/// Answers tell the index, so that a test sees whether each caller got its own.
fn answer(index: u64) -> PutResponse {
    let revision = i64::try_from(index).expect("a small index");
    PutResponse { header: Some(ResponseHeader { revision, ..Default::default() }), ..Default::default() }
}

fn index_in(outcome: &Outcome) -> u64 {
    match outcome {
        Ok(Response::Put(put)) => put.header.as_ref().map_or(0, |header| header.revision.unsigned_abs()),
        other => panic!("not the answer to a put: {other:?}"),
    }
}

fn put(key: impl Into<Bytes>) -> Arc<Command> {
    let put = PutRequest { key: key.into(), value: Bytes::from_static(b"value"), ..Default::default() };
    Arc::new(Command { request: Some(command::Request::Put(put)), ..Default::default() })
}

fn key(command: &Command) -> Bytes {
    match &command.request {
        Some(command::Request::Put(put)) => put.key.clone(),
        other => panic!("not a put: {other:?}"),
    }
}

/// Small segments, so that tests cross them.
fn open_wal(fs: &Arc<dyn FileSystem>, dir: &Path) -> (Wal, Recovered) {
    let options = WalOptions { segment_bytes: 64 << 10, ..WalOptions::default() };
    Wal::open(Arc::clone(fs), dir, options).expect("the log opens")
}

/// A running member.
struct Member {
    consensus: Consensus,
    engine: Engine,
    faults: Arc<Mutex<Vec<Fault>>>,
}

fn collector() -> (Arc<Mutex<Vec<Fault>>>, OnFault) {
    let faults: Arc<Mutex<Vec<Fault>>> = Arc::default();
    let told = Arc::clone(&faults);
    (faults, Box::new(move |fault| told.lock().push(fault)))
}

impl Member {
    async fn try_start(
        options: Options,
        fs: &Arc<dyn FileSystem>,
        dir: &Path,
        engine: Engine,
    ) -> Result<Member, Fault> {
        let (wal, recovered) = open_wal(fs, dir);
        let (faults, on_fault) = collector();
        let consensus = Consensus::start(options, wal, recovered, engine.clone(), on_fault).await?;
        Ok(Member { consensus, engine, faults })
    }

    /// Starts a member that is ready to serve, founding its cluster if it has none.
    async fn start_with(options: Options, fs: &Arc<dyn FileSystem>, dir: &Path, engine: Engine) -> Member {
        let member = Self::try_start(options, fs, dir, engine).await.expect("the member starts");
        member.consensus.bootstrap_single(vec!["http://127.0.0.1:2380".to_owned()]).await.expect("founded");
        member.consensus.elect_now().await;
        member.consensus.wait_ready(PATIENCE).await.expect("ready");
        member
    }

    async fn on_disk(disk: &SimDisk, engine: Engine) -> Member {
        Self::start_with(options(), &fs(disk), Path::new(WAL_DIR), engine).await
    }

    async fn put(&self, key: impl Into<Bytes>) -> u64 {
        index_in(&self.consensus.propose(put(key)).await.expect("accepted"))
    }

    /// Waits for a fault and gives all that were told.
    async fn faults(&self) -> Vec<Fault> {
        until(|| !self.faults.lock().is_empty()).await;
        self.faults.lock().clone()
    }

    async fn stop(self) {
        self.consensus.shutdown().await;
        assert_eq!(*self.faults.lock(), [], "an orderly stop is no fault");
    }
}

fn options() -> Options {
    Options::new(NODE)
}

fn fs(disk: &SimDisk) -> Arc<dyn FileSystem> {
    Arc::new(disk.clone())
}

/// Waits until `condition` holds, without a share of time set aside for it.
async fn until(condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the condition came true in time");
}
