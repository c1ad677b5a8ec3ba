//! What a process has cost so far, as Linux counts it.
//!
//! CPU time comes in clock ticks, usually 10 ms: meaningful over seconds, not over single requests.

use std::{fs, path::PathBuf, time::Duration};

use serde::Serialize;

use crate::error::Trouble;

/// One look at a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// User and system time of all its threads, dead ones included.
    pub(crate) cpu: Duration,
    pub(crate) memory: Memory,
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Memory {
    /// Everything resident, mapped files included.
    pub(crate) resident_bytes: u64,
    /// Without mapped files, which the kernel can drop at any time. etcd maps its database.
    pub(crate) anonymous_bytes: u64,
    /// The most that was ever resident.
    pub(crate) peak_bytes: u64,
}

/// What a measurement cost so far: the server, this generator, and the whole machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// `None` when the server's process was not named.
    pub(crate) server: Option<Sample>,
    pub(crate) client: Sample,
    /// CPU time that anything on this machine used since it started.
    machine_cpu: Duration,
}

impl Look {
    /// Looks at the server with process id `server`, if there is one, and at everything else.
    pub(crate) fn take(server: Option<u32>) -> Result<Self, Trouble> {
        let path = "/proc/stat";
        let stat = fs::read_to_string(path).map_err(Trouble::file(path))?;
        let busy =
            busy_ticks(&stat).ok_or_else(|| Trouble::Cannot(format!("{path} has no line for all processors")))?;
        Ok(Self {
            server: server.map(sample).transpose()?,
            client: sample(std::process::id())?,
            machine_cpu: ticks(busy),
        })
    }

    /// Which share of the machine's processors others used between an earlier look and this one, if the server is
    /// known. Work of the kernel that it charges to nobody counts as others'.
    pub(crate) fn foreign_share(&self, earlier: &Self, elapsed: Duration) -> Option<f64> {
        let spent = |now: Sample, then: Sample| now.cpu.saturating_sub(then.cpu);
        let ours = spent(self.server?, earlier.server?) + spent(self.client, earlier.client);
        let foreign = self.machine_cpu.saturating_sub(earlier.machine_cpu).saturating_sub(ours);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Some(foreign.as_secs_f64() / (elapsed.as_secs_f64() * cores as f64))
    }
}

/// Looks at process `pid`.
///
/// # Errors
///
/// When it has ended, or is not ours to look at.
pub(crate) fn sample(pid: u32) -> Result<Sample, Trouble> {
    let stat = read(pid, "stat")?;
    let status = read(pid, "status")?;
    let cpu = cpu_ticks(&stat).ok_or_else(|| unreadable(pid, "stat"))?;
    let memory = Memory {
        resident_bytes: kib_field(&status, "VmRSS:").unwrap_or(0) * 1024,
        anonymous_bytes: kib_field(&status, "RssAnon:").unwrap_or(0) * 1024,
        peak_bytes: kib_field(&status, "VmHWM:").unwrap_or(0) * 1024,
    };
    Ok(Sample { cpu: ticks(cpu), memory })
}

fn read(pid: u32, name: &str) -> Result<String, Trouble> {
    let path = PathBuf::from(format!("/proc/{pid}/{name}"));
    fs::read_to_string(&path).map_err(Trouble::file(path))
}

fn unreadable(pid: u32, name: &str) -> Trouble {
    Trouble::Cannot(format!("/proc/{pid}/{name} does not look like a Linux kernel wrote it"))
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

/// The sum over all processors of everything but idling: user, nice, system, interrupts, and time that the host took.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let [user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen, ..] = fields[..] else {
        return None;
    };
    Some(user + nice + system + interrupts + soft_interrupts + stolen)
}

/// Fields 14 and 15 of `stat`. The name in field 2 may hold spaces and parentheses, so counting starts after its end.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kib_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_parentheses() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 700 300 9 9 20 0 8 0 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(1000));
        assert_eq!(cpu_ticks("42"), None);
    }

    #[test]
    fn a_busy_machine_is_one_that_does_not_idle_or_wait() {
        let stat = "cpu  1 2 4 1000 1000 8 16 32 64 64\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(busy_ticks(stat), Some(63));
        assert_eq!(busy_ticks("cpu  1 2"), None);
    }

    #[test]
    fn this_process_uses_memory_and_its_peak_is_no_less() {
        let sample = sample(std::process::id()).expect("Linux tells a process about itself");
        assert!(sample.memory.resident_bytes > 0);
        assert!(sample.memory.peak_bytes >= sample.memory.resident_bytes);
    }
}
