//! What a run found, as text or JSON.

use std::{
    fmt::Display,
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;

use crate::{
    error::Trouble,
    load::{Plan, Tally},
    process::{Look, Memory, Sample},
};

/// One measured workload.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) work: String,
    pub(crate) clients: usize,
    pub(crate) connections: usize,
    pub(crate) operations: u64,
    /// Keys or events moved, where that differs from operations.
    pub(crate) items: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) operations_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// CPU time of this generator per operation.
    pub(crate) client_cpu_us: f64,
    /// CPU time of the server per operation, when its process was named.
    pub(crate) server_cpu_us: Option<f64>,
    pub(crate) server_memory: Option<Memory>,
    /// Share of the machine's processors that neither of the two used, 0 to 1. High: the numbers are somebody else's.
    pub(crate) foreign_cpu_share: Option<f64>,
}

/// Others' share of the processors above which a measurement says so.
pub(crate) const FOREIGN_SHARE_MAX: f64 = 0.05;

impl Summary {
    /// Sums up a run from what was counted and from looks taken before and after.
    pub(crate) fn new(
        work: &str,
        plan: &Plan,
        tally: &Tally,
        elapsed: Duration,
        (before, after): &(Look, Look),
    ) -> Result<Self, Trouble> {
        let operations = tally.latency.len();
        if operations == 0 {
            let reason = tally.first_error.as_ref().map_or("none was begun".to_owned(), ToString::to_string);
            return Err(Trouble::Cannot(format!("{work}: no operation succeeded: {reason}")));
        }
        let per_operation = |before: Sample, after: Sample| {
            after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / operations as f64
        };
        let seconds = elapsed.as_secs_f64();
        Ok(Self {
            work: work.to_owned(),
            clients: plan.clients,
            connections: plan.target.connections.min(plan.clients),
            operations,
            items: tally.items,
            errors: tally.errors,
            first_error: tally.first_error.as_ref().map(ToString::to_string),
            seconds,
            operations_per_second: operations as f64 / seconds,
            p50_us: tally.quantile_us(0.50),
            p99_us: tally.quantile_us(0.99),
            p999_us: tally.quantile_us(0.999),
            max_us: tally.max_us(),
            client_cpu_us: per_operation(before.client, after.client),
            server_cpu_us: before.server.zip(after.server).map(|(before, after)| per_operation(before, after)),
            server_memory: after.server.map(|sample| sample.memory),
            foreign_cpu_share: after.foreign_share(before, elapsed),
        })
    }

    /// Prints it the way the plan asks for.
    pub(crate) fn print(&self, json: bool) -> Result<(), Trouble> {
        if json {
            let line = serde_json::to_string(self).map_err(|error| Trouble::Cannot(error.to_string()))?;
            return say(line);
        }
        say(format_args!(
            "{}: {} clients on {} connections, {} operations in {:.2} s: {:.1} operations/s",
            self.work, self.clients, self.connections, self.operations, self.seconds, self.operations_per_second
        ))?;
        if self.items != self.operations {
            say(format_args!("  items: {}, {:.1}/s", self.items, self.items as f64 / self.seconds))?;
        }
        say(format_args!(
            "  latency: p50 {}, p99 {}, p99.9 {}, max {}",
            micros(self.p50_us),
            micros(self.p99_us),
            micros(self.p999_us),
            micros(self.max_us)
        ))?;
        match self.server_cpu_us {
            Some(server) => say(format_args!(
                "  CPU per operation: server {server:.1} us, this client {:.1} us",
                self.client_cpu_us
            ))?,
            None => say(format_args!("  CPU per operation: this client {:.1} us", self.client_cpu_us))?,
        }
        if let Some(memory) = self.server_memory {
            say(memory_line(&memory))?;
        }
        if let Some(share) = self.foreign_cpu_share.filter(|share| *share > FOREIGN_SHARE_MAX) {
            say(format_args!("  others used {:.0} % of the processors meanwhile", share * 100.0))?;
        }
        if let Some(error) = &self.first_error {
            say(format_args!("  errors: {}, first: {error}", self.errors))?;
        }
        Ok(())
    }
}

/// Resident memory in words.
pub(crate) fn memory_line(memory: &Memory) -> String {
    format!(
        "  server memory: {} resident, {} of it anonymous, peak {}",
        mebibytes(memory.resident_bytes),
        mebibytes(memory.anonymous_bytes),
        mebibytes(memory.peak_bytes)
    )
}

/// A duration in microseconds with three digits.
pub(crate) fn micros(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 1e3 => (us, "us"),
        us if us < 1e6 => (us / 1e3, "ms"),
        us => (us / 1e6, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Prints one line to standard output.
pub(crate) fn say(line: impl Display) -> Result<(), Trouble> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Prints one line to standard error, where nobody may be listening.
pub(crate) fn complain(line: &impl Display) {
    writeln!(io::stderr(), "quorate-bench: {line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        let cases = [(1.234, "1.23 us"), (12.34, "12.3 us"), (999.0, "999 us"), (1500.0, "1.50 ms"), (2.5e6, "2.50 s")];
        for (us, text) in cases {
            assert_eq!(micros(us), text);
        }
    }
}
