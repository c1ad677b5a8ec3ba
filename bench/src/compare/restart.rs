//! Memory with many keys, and the time until a killed server serves them again.

use std::time::Instant;

use clap::Args;

use crate::{
    compare::{
        Sides,
        machine::{self, DiskLooks, median},
        server::{Binary, Scratch},
    },
    error::Trouble,
    keyspace::Keyspace,
    process::Memory,
    report::{complain, mebibytes, say},
    work::fill,
};

/// Flags of `compare restart`.
#[derive(Args)]
pub(crate) struct Restart {
    /// Keys to write.
    #[arg(long, default_value_t = 1_000_000)]
    restart_keys: u64,
    /// Keys per transaction while writing. 1: plain puts, as the log of a real cluster holds them.
    #[arg(long, default_value_t = 1)]
    restart_batch: u64,
    /// Rounds.
    #[arg(long, default_value_t = 1)]
    restart_rounds: usize,
}

/// What one server showed in one round.
struct Found {
    load_seconds: f64,
    loaded: Memory,
    disk_bytes: u64,
    serving_seconds: f64,
    restarted: Memory,
    version: String,
}

impl Restart {
    pub(crate) fn run(&self, sides: &Sides) -> Result<(), Trouble> {
        let keyspace = Keyspace { key_bytes: 8, value_bytes: 256, keys: self.restart_keys };
        keyspace.check()?;
        let binaries = sides.binaries()?;
        let scratch = Scratch::new(&sides.dir)?;
        let mut disk = DiskLooks::default();
        let mut found: [Vec<Found>; 2] = [Vec::new(), Vec::new()];
        for round in 0..self.restart_rounds.max(1) {
            for side in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                disk.look(scratch.path())?;
                complain(&format_args!("restart, round {}: {}", round + 1, binaries[side].name));
                found[side].push(self.one_side(&binaries[side], &scratch, keyspace)?);
            }
        }
        let versions = [0, 1].map(|side| found[side][0].version.clone());
        say(machine::describe(&disk, &binaries, &versions))?;
        say(format_args!(
            "- load: {} keys of 8 B with values of 256 B, {} per request; then SIGKILL and start again\n",
            keyspace.keys, self.restart_batch
        ))?;
        say(table(&found))
    }

    fn one_side(&self, binary: &Binary, scratch: &Scratch, keyspace: Keyspace) -> Result<Found, Trouble> {
        let data = scratch.fresh(binary.name)?;
        let server = binary.start(&data)?;
        let started = Instant::now();
        fill::fill(&server.target(), keyspace, self.restart_batch)?;
        let load_seconds = started.elapsed().as_secs_f64();
        let loaded = server.sample()?.memory;
        let disk_bytes = server.disk_bytes()?;
        let version = server.version()?;
        server.kill();
        let server = binary.start(&data)?;
        let serving_seconds = server.until_serving.as_secs_f64();
        let restarted = server.sample()?.memory;
        verify_count(&server.target(), keyspace)?;
        server.kill();
        scratch.fresh(binary.name)?;
        Ok(Found { load_seconds, loaded, disk_bytes, serving_seconds, restarted, version })
    }
}

/// Every key that was acknowledged must be counted after the kill.
fn verify_count(target: &crate::target::Target, keyspace: Keyspace) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (key, range_end) = keyspace.range();
    let (count, _) = runtime.block_on(async {
        let client = target.connect(1).await?;
        crate::keyspace::count(&client.kv(), key, range_end).await
    })?;
    if count != keyspace.keys {
        let text = format!("{} keys were acknowledged before the kill, {count} are there after it", keyspace.keys);
        return Err(Trouble::Mismatch(text));
    }
    Ok(())
}

fn table(found: &[Vec<Found>; 2]) -> String {
    let row = |name: &str, get: &dyn Fn(&Found) -> f64, show: &dyn Fn(f64) -> String| {
        let [etcd, quorate] = [0, 1].map(|side| median(&found[side].iter().map(get).collect::<Vec<_>>()));
        format!("| {name} | {} | {} | {:.2} |", show(etcd), show(quorate), quorate / etcd)
    };
    let seconds = |value: f64| format!("{value:.3} s");
    let bytes = |value: f64| mebibytes(value as u64);
    [
        "| what | etcd | quorate | ratio |".to_owned(),
        "|---|--:|--:|--:|".to_owned(),
        row("time to write the keys", &|found| found.load_seconds, &seconds),
        row("memory after writing, resident", &|found| found.loaded.resident_bytes as f64, &bytes),
        row("memory after writing, anonymous", &|found| found.loaded.anonymous_bytes as f64, &bytes),
        row("memory after writing, peak", &|found| found.loaded.peak_bytes as f64, &bytes),
        row("bytes on disk", &|found| found.disk_bytes as f64, &bytes),
        row("start to first linearizable read", &|found| found.serving_seconds, &seconds),
        row("memory after restart, resident", &|found| found.restarted.resident_bytes as f64, &bytes),
        row("memory after restart, anonymous", &|found| found.restarted.anonymous_bytes as f64, &bytes),
        row("memory after restart, peak", &|found| found.restarted.peak_bytes as f64, &bytes),
    ]
    .join("\n")
}
