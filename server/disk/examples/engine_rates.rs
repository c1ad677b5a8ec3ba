//! Measures the engine under the machine: rounds, opening, reading, trimming, memory.
//!
//! `cargo run --release -p quorate-disk --example engine_rates -- [keys] [directory]`: 1,000,000 keys of 256-byte values in
//! a temporary directory unless told otherwise. Rates of apply, commit, reads and trims are by CPU time of the calling
//! thread, which does not depend on who else runs; the rest is by the clock. Resident memory is that of the whole process
//! at that moment.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use bytes::Bytes;
use quorate_core::error::Fault;
use quorate_core::ids::{LogIndex, Revision, Term};
use quorate_core::limits::TRIM_STEP_ROWS;
use quorate_core::machine::{Machine, Position, Round};
use quorate_core::pb::{CompactionRequest, PutRequest};
use quorate_core::storage::{Engine, EngineRows, Rows};
use quorate_disk::rocks::{EngineOptions, FlushPolicy, RocksEngine, Unflushed};
use quorate_disk::rows::{CachedRows, ROW_CACHE_BYTES_DEFAULT};
use quorate_proto::internal::{Command, command::Request};
use rustix::time::{ClockId, clock_gettime};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const VALUE_BYTES: usize = 256;

/// A machine on an engine, and what a server keeps beside it.
struct Member {
    machine: Machine,
    engine: Arc<RocksEngine>,
    index: u64,
    unflushed: Unflushed,
    apply: Duration,
    commit: Duration,
    flush: Duration,
    flush_longest: Duration,
    flushes: u32,
}

impl Member {
    fn open(directory: &Path) -> Result<Self, Fault> {
        let start = Instant::now();
        let engine = Arc::new(RocksEngine::open(directory, &EngineOptions::default())?);
        let opened = start.elapsed();
        let machine = Machine::load(engine.as_ref())?;
        println!(
            "open: engine {:.0} ms, machine of {} keys {:.0} ms, resident {} MiB",
            opened.as_secs_f64() * 1e3,
            machine.view().index.keys(),
            (start.elapsed() - opened).as_secs_f64() * 1e3,
            resident_mib()
        );
        let index = machine.applied().index.0;
        Ok(Self {
            machine,
            engine,
            index,
            unflushed: Unflushed::default(),
            apply: Duration::ZERO,
            commit: Duration::ZERO,
            flush: Duration::ZERO,
            flush_longest: Duration::ZERO,
            flushes: 0,
        })
    }

    fn round(&mut self, requests: impl Iterator<Item = Request>) -> Result<(), Fault> {
        let start = cpu();
        let mut round = Round::default();
        for request in requests {
            self.index += 1;
            let position = Position { term: Term(1), index: LogIndex(self.index) };
            let command = Command { request: Some(request), ..Command::default() };
            let rows = EngineRows(self.engine.as_ref());
            let applied = self.machine.apply(&mut round, &rows, position, &command)?;
            assert!(applied.outcome.is_ok(), "the requests here are never refused");
            self.unflushed.entries += 1;
        }
        let finished = self.machine.finish(round);
        let applied = cpu();
        self.engine.write(&finished.writes)?;
        self.apply += applied - start;
        self.commit += cpu() - applied;
        self.unflushed.bytes = self.engine.size()?.unflushed_bytes;
        if FlushPolicy::default().due(self.unflushed) {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let start = Instant::now();
        self.engine.flush()?;
        let took = start.elapsed();
        self.flush += took;
        self.flush_longest = self.flush_longest.max(took);
        self.flushes += 1;
        self.unflushed = Unflushed::default();
        Ok(())
    }

    fn tell(&mut self, what: &str, entries: u64) {
        let per_second = |time: Duration| entries as f64 / time.as_secs_f64() / 1e3;
        println!(
            "{what}: commit {:.0} k entries/s, apply {:.0} k entries/s; {} flushes, longest {:.0} ms, together {:.1} s; \
             resident {} MiB",
            per_second(self.commit),
            per_second(self.apply),
            self.flushes,
            self.flush_longest.as_secs_f64() * 1e3,
            self.flush.as_secs_f64(),
            resident_mib()
        );
        (self.apply, self.commit, self.flush, self.flush_longest) = Default::default();
        self.flushes = 0;
    }

    fn sizes(&self, what: &str) -> Result<(), Fault> {
        let gauges = self.engine.gauges()?;
        println!(
            "{what}: {} MiB in {} files, {} MiB unflushed, block cache {} MiB, resident {} MiB",
            gauges.disk_bytes >> 20,
            gauges.files,
            gauges.unflushed_bytes >> 20,
            gauges.block_cache_bytes >> 20,
            resident_mib()
        );
        Ok(())
    }

    /// Compacts at the newest revision and removes what that hides, as the server does between rounds.
    fn compact(&mut self) -> Result<(), Fault> {
        let revision = self.machine.view().revision;
        self.round(std::iter::once(Request::Compaction(CompactionRequest { revision, physical: false })))?;
        let (mut removed, mut longest) = (0, Duration::ZERO);
        let (mut decide, mut commit) = (Duration::ZERO, Duration::ZERO);
        let mut progress = self.machine.trim_pending();
        while let Some(at) = progress {
            let (clock, begun) = (Instant::now(), cpu());
            let step = self.machine.trim_step(self.engine.as_ref(), at, TRIM_STEP_ROWS)?;
            let decided = cpu();
            self.engine.write(&step.writes)?;
            decide += decided - begun;
            commit += cpu() - decided;
            longest = longest.max(clock.elapsed());
            removed += step.removed;
            progress = step.next;
        }
        println!(
            "trim: {removed} rows, deciding {:.2} s and writing {:.2} s, longest step {:.1} ms",
            decide.as_secs_f64(),
            commit.as_secs_f64(),
            longest.as_secs_f64() * 1e3
        );
        Ok(())
    }
}

/// Spreads numbers over 64 bits, always in the same way.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A put of one of `keys` keys; half of the value's bytes do not compress.
fn put(keys: u64, number: u64) -> Request {
    let mut value = vec![b'v'; VALUE_BYTES];
    for (at, chunk) in value[..VALUE_BYTES / 2].chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&scatter(number ^ (at as u64) << 40).to_be_bytes());
    }
    let key = format!("/registry/things/{:016x}", scatter(number % keys));
    Request::Put(PutRequest { key: key.into(), value: Bytes::from(value), ..PutRequest::default() })
}

/// CPU time of this thread so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) / 1024
}

fn time_reads(what: &str, rows: &dyn Rows, reads: u64, together: u64, newest: u64, hot: u64) -> Result<(), Fault> {
    let start = cpu();
    let mut bytes = 0;
    for read in 0..reads / together {
        let revisions: Vec<Revision> =
            (0..together).map(|at| Revision::new((newest - scatter(read * together + at) % hot) as i64, 0)).collect();
        bytes += rows.rows(&revisions)?.iter().map(Bytes::len).sum::<usize>();
    }
    let took = (cpu() - start).as_secs_f64();
    assert!(bytes > 0, "rows have bytes");
    println!("{what}: {:.2} us a row, {:.0} k rows/s", took * 1e6 / reads as f64, reads as f64 / took / 1e3);
    Ok(())
}

fn main() -> Result<(), Fault> {
    let mut arguments = env::args().skip(1);
    let keys: u64 = arguments.next().and_then(|keys| keys.parse().ok()).unwrap_or(1_000_000);
    let temporary = tempfile::tempdir().map_err(|error| Fault::new(error.to_string()))?;
    let directory = arguments.next().map_or_else(|| temporary.path().join("engine"), PathBuf::from);

    let mut member = Member::open(&directory)?;
    let singles = keys / 5;
    for number in 0..singles {
        member.round(std::iter::once(put(keys, number)))?;
    }
    member.tell("rounds of 1", singles);
    for number in (singles..keys).step_by(64) {
        member.round((number..keys.min(number + 64)).map(|number| put(keys, number)))?;
    }
    member.tell("rounds of 64", keys - singles);
    member.flush()?;
    member.engine.settle()?;
    member.sizes("loaded")?;
    drop(member);

    let mut member = Member::open(&directory)?;
    let newest = keys + 1;
    time_reads("random row, engine", &EngineRows(member.engine.as_ref()), 200_000, 1, newest, keys)?;
    time_reads("random rows by 500, engine", &EngineRows(member.engine.as_ref()), 200_000, 500, newest, keys)?;
    let rows = CachedRows::new(Arc::clone(&member.engine), ROW_CACHE_BYTES_DEFAULT);
    time_reads("random row of 100,000 hot, cache cold and warm", &rows, 400_000, 1, newest, 100_000.min(keys))?;
    time_reads("random row of 100,000 hot, cache warm", &rows, 400_000, 1, newest, 100_000.min(keys))?;
    time_reads("random rows by 500 of 100,000 hot, cache warm", &rows, 400_000, 500, newest, 100_000.min(keys))?;
    println!("row cache: {:?}, resident {} MiB", rows.counts(), resident_mib());
    drop(rows);

    for pass in 1..=3 {
        for number in (0..keys).step_by(64) {
            member.round((number..keys.min(number + 64)).map(|number| put(keys, scatter(number + pass * keys))))?;
        }
        member.tell(&format!("pass {pass} of overwriting at random"), keys);
        member.compact()?;
        member.flush()?;
        member.engine.settle()?;
        member.sizes("trimmed")?;
    }
    let start = Instant::now();
    member.engine.reclaim()?;
    member.sizes(&format!("reclaimed in {:.1} s", start.elapsed().as_secs_f64()))?;

    for number in 0..400 {
        member.round((0..20).map(|at| put(keys, number * 20 + at)))?;
        member.flush()?;
    }
    member.tell("400 flushes of 20 entries", 8_000);
    member.engine.settle()?;
    member.sizes("after 400 flushes")?;
    drop(member);
    Member::open(&directory)?;
    Ok(())
}
