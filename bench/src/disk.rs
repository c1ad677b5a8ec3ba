//! A judge of disks: how long one small append takes to be durable.
//!
//! Appends go to a file that was written full of zeros and synced before, as a log that recycles its segments does, so
//! that the sync carries data only and no change of the file's size.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use crate::{
    error::Trouble,
    load::Tally,
    report::{micros, say},
};

const APPEND_BYTES: usize = 4096;
const FILE_BYTES: u64 = 16 << 20;

/// Flags of `disk`.
#[derive(Args)]
pub(crate) struct Disk {
    /// A directory on the disk. A file is made there and removed again.
    directory: PathBuf,
    /// How long to measure.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// How fast a disk syncs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Syncs {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    pub(crate) per_second: f64,
}

impl Disk {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        let syncs = syncs(&self.directory, Duration::try_from_secs_f64(self.seconds).unwrap_or_default())?;
        if self.json {
            let line = serde_json::to_string(&syncs).map_err(|error| Trouble::Cannot(error.to_string()))?;
            return say(line);
        }
        say(format_args!(
            "4 KiB append and fdatasync: p50 {}, p99 {}, max {}, {:.0}/s one after the other",
            micros(syncs.p50_us),
            micros(syncs.p99_us),
            micros(syncs.max_us),
            syncs.per_second
        ))?;
        say(verdict(&syncs))
    }
}

/// Measures syncs in `directory`, at least one.
pub(crate) fn syncs(directory: &Path, time: Duration) -> Result<Syncs, Trouble> {
    let path = directory.join(format!("quorate-bench-disk-{}", std::process::id()));
    let result = append(&path, time);
    let removed = fs::remove_file(&path).map_err(Trouble::file(path));
    let tally = result?;
    removed?;
    let elapsed: f64 =
        tally.latency.iter_recorded().map(|step| step.value_iterated_to() as f64 * step.count_at_value() as f64).sum();
    Ok(Syncs {
        p50_us: tally.quantile_us(0.50),
        p99_us: tally.quantile_us(0.99),
        max_us: tally.max_us(),
        per_second: tally.latency.len() as f64 / (elapsed / 1e9),
    })
}

fn append(path: &Path, time: Duration) -> Result<Tally, Trouble> {
    let fail = || Trouble::file(path);
    let file = File::create_new(path).map_err(fail())?;
    let zeros = vec![0; 1 << 20];
    for offset in (0..FILE_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, offset).map_err(fail())?;
    }
    file.sync_all().map_err(fail())?;
    let record = [0xa5; APPEND_BYTES];
    let mut tally = Tally::default();
    let started = Instant::now();
    let mut offset = 0;
    loop {
        let begun = Instant::now();
        file.write_all_at(&record, offset).map_err(fail())?;
        file.sync_data().map_err(fail())?;
        tally.note(begun.elapsed(), Ok(1));
        offset = (offset + APPEND_BYTES as u64) % FILE_BYTES;
        if started.elapsed() >= time {
            return Ok(tally);
        }
    }
}

/// etcd's guide asks for a p99 below 10 ms. The other limits follow from the defaults: heartbeats every 100 ms, and a
/// follower that hears nothing for 1 s calls an election.
fn verdict(syncs: &Syncs) -> &'static str {
    match syncs.p99_us {
        p99 if p99 < 2e3 => "Very good: this disk will not be what limits a cluster.",
        p99 if p99 < 10e3 => "Good: within what etcd asks of a disk (p99 below 10 ms).",
        p99 if p99 < 100e3 => {
            "Slow: above the 10 ms that etcd asks for. It works, but every write waits; fewer, larger batches help."
        }
        p99 if p99 < 500e3 => {
            "Poor: a sync can outlast a heartbeat (100 ms). Raise --heartbeat-interval and --election-timeout."
        }
        _ => "Unfit: a sync can come close to the election timeout (1 s). Leaders will change for no other reason.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_measured_and_left_empty() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let syncs = syncs(directory.path(), Duration::ZERO).expect("the disk can sync");
        assert!(syncs.p50_us > 0.0 && syncs.p50_us <= syncs.p99_us && syncs.p99_us <= syncs.max_us);
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0);
    }

    #[test]
    fn the_verdict_follows_the_slow_syncs() {
        let with = |p99_us| verdict(&Syncs { p50_us: 1.0, p99_us, max_us: p99_us, per_second: 1.0 });
        assert!(with(500.0).starts_with("Very good"));
        assert!(with(9_999.0).starts_with("Good"));
        assert!(with(10_001.0).starts_with("Slow"));
        assert!(with(200e3).starts_with("Poor"));
        assert!(with(900e3).starts_with("Unfit"));
    }
}
