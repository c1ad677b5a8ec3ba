//! Where a comparison ran: numbers mean nothing without it.

use std::{fs, path::Path, thread, time::Duration};

use crate::{compare::server::Binary, disk, error::Trouble, report::micros};

/// How long the disk is measured before each round.
const DISK_TIME: Duration = Duration::from_secs(1);

/// Medians of p50 and p99 of a sync, over the looks taken.
#[derive(Debug, Default)]
pub(crate) struct DiskLooks {
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
}

impl DiskLooks {
    /// Measures the disk once more, while no server runs.
    pub(crate) fn look(&mut self, directory: &Path) -> Result<(), Trouble> {
        let syncs = disk::syncs(directory, DISK_TIME)?;
        self.p50_us.push(syncs.p50_us);
        self.p99_us.push(syncs.p99_us);
        Ok(())
    }

    fn describe(&self) -> String {
        format!(
            "fdatasync of 4 KiB: p50 {}, p99 {} (medians of {} looks)",
            micros(median(&self.p50_us)),
            micros(median(&self.p99_us)),
            self.p50_us.len()
        )
    }
}

/// Machine, disk, programs and their versions, as lines of Markdown.
pub(crate) fn describe(disk: &DiskLooks, sides: &[Binary; 2], versions: &[String; 2]) -> String {
    let mut lines = vec![format!("- machine: {}, {}", processor(), kernel()), format!("- disk: {}", disk.describe())];
    for (binary, version) in sides.iter().zip(versions) {
        lines.push(format!("- {}: reports version {version}; {}", binary.name, binary.describe()));
    }
    lines.push(
        "- durability: both acknowledge a write after their log is synced; no flag that weakens this is accepted"
            .to_owned(),
    );
    lines.join("\n")
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}", model.trim_start_matches([' ', '\t', ':']))
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

/// The middle value, or the mean of the two in the middle. 0 for nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_order_and_outliers() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[9.0, 1.0, 1000.0]), 9.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 1000.0]), 3.0);
    }
}
