//! The table of a comparison: medians over rounds, and how far the ratios of single rounds were apart.

use crate::{
    compare::machine::median,
    report::{Summary, micros},
};

/// What one server did in one workload, round after round.
type Rounds = Vec<Summary>;

/// All rows. Each holds the rounds of etcd and of Quorate.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<[Rounds; 2]>,
}

impl Table {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows: (0..rows).map(|_| [Vec::new(), Vec::new()]).collect() }
    }

    /// Adds what side 0 (etcd) or 1 (Quorate) did.
    pub(crate) fn add(&mut self, row: usize, side: usize, summary: Summary) {
        self.rows[row][side].push(summary);
    }

    /// The whole as Markdown. A throughput ratio above 1 and latency or CPU ratios below 1 are in Quorate's favour.
    pub(crate) fn markdown(&self) -> String {
        let mut lines = vec![
            "| work | clients | etcd ops/s | quorate ops/s | ratio (range) | p50 etcd / quorate | p99 etcd / quorate \
             | p99 ratio | server CPU us/op etcd / quorate | CPU ratio | client CPU us/op | others' CPU | errors |"
                .to_owned(),
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|".to_owned(),
        ];
        lines.extend(self.rows.iter().filter_map(row));
        lines.join("\n")
    }
}

fn row([etcd, quorate]: &[Rounds; 2]) -> Option<String> {
    let first = etcd.first()?;
    let of = |rounds: &Rounds, get: fn(&Summary) -> f64| median(&rounds.iter().map(get).collect::<Vec<_>>());
    let both = |get| (of(etcd, get), of(quorate, get));
    let rate = both(|summary| summary.operations_per_second);
    let p50 = both(|summary| summary.p50_us);
    let p99 = both(|summary| summary.p99_us);
    let server = both(|summary| summary.server_cpu_us.unwrap_or(0.0));
    let client = both(|summary| summary.client_cpu_us);
    let foreign = both(|summary| summary.foreign_cpu_share.unwrap_or(0.0) * 100.0);
    let errors: u64 = etcd.iter().chain(quorate).map(|summary| summary.errors).sum();
    let mut ratios: Vec<f64> = etcd
        .iter()
        .zip(quorate)
        .map(|(etcd, quorate)| quorate.operations_per_second / etcd.operations_per_second)
        .collect();
    ratios.sort_by(f64::total_cmp);
    let spread = match (ratios.first(), ratios.last()) {
        (Some(least), Some(most)) => format!("{least:.2}–{most:.2}"),
        _ => "none".to_owned(),
    };
    Some(format!(
        "| {} | {} | {:.1} | {:.1} | {:.2} ({spread}) | {} / {} | {} / {} | {:.2} | {:.1} / {:.1} | {:.2} | {:.1} / {:.1} | {:.0} / {:.0} % | {errors} |",
        first.work,
        first.clients,
        rate.0,
        rate.1,
        rate.1 / rate.0,
        micros(p50.0),
        micros(p50.1),
        micros(p99.0),
        micros(p99.1),
        p99.1 / p99.0,
        server.0,
        server.1,
        server.1 / server.0,
        client.0,
        client.1,
        foreign.0,
        foreign.1,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(operations_per_second: f64, p99_us: f64) -> Summary {
        Summary {
            work: "put".to_owned(),
            clients: 100,
            connections: 8,
            operations: 1,
            items: 1,
            errors: 0,
            first_error: None,
            seconds: 1.0,
            operations_per_second,
            p50_us: 10.0,
            p99_us,
            p999_us: p99_us,
            max_us: p99_us,
            client_cpu_us: 5.0,
            server_cpu_us: Some(20.0),
            server_memory: None,
            foreign_cpu_share: Some(0.03),
        }
    }

    #[test]
    fn a_row_shows_medians_their_ratio_and_the_spread_of_single_rounds() {
        let mut table = Table::new(1);
        for (etcd, quorate) in [(100.0, 400.0), (200.0, 500.0), (90.0, 90.0)] {
            table.add(0, 0, summary(etcd, 1000.0));
            table.add(0, 1, summary(quorate, 250.0));
        }
        let text = table.markdown();
        let row = text.lines().nth(2).expect("one row under the head");
        assert!(row.starts_with("| put | 100 | 100.0 | 400.0 | 4.00 (1.00–4.00) |"), "{row}");
        assert!(row.contains("| 1.00 ms / 250 us | 0.25 | 20.0 / 20.0 | 1.00 | 5.0 / 5.0 | 3 / 3 % | 0 |"), "{row}");
        let columns = |line: &str| line.matches('|').count();
        assert!(text.lines().all(|line| columns(line) == columns(row)));
    }
}
