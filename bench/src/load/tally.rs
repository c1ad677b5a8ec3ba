//! Latencies, items and errors of many operations.

use std::time::Duration;

use hdrhistogram::Histogram;
use quorate_client::ClientError;

/// Latencies above this are counted as this.
const LATENCY_MAX: Duration = Duration::from_secs(600);

/// What was done in a phase.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Nanoseconds per operation that succeeded, to three digits.
    pub(crate) latency: Histogram<u64>,
    /// Keys or events that the operations moved.
    pub(crate) items: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<ClientError>,
}

impl Default for Tally {
    fn default() -> Self {
        let max = u64::try_from(LATENCY_MAX.as_nanos()).expect("ten minutes");
        let latency = Histogram::new_with_bounds(1, max, 3).expect("constant bounds");
        Self { latency, items: 0, errors: 0, first_error: None }
    }
}

impl Tally {
    /// Counts one operation.
    pub(crate) fn note(&mut self, latency: Duration, result: Result<u64, ClientError>) {
        match result {
            Ok(items) => {
                self.latency.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
                self.items += items;
            }
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }

    /// Adds what another thread counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.latency.add(&other.latency).expect("all tallies have the same bounds");
        self.items += other.items;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error.clone_from(&other.first_error);
        }
    }

    /// The latency that a share of operations did not exceed, in microseconds.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        self.latency.value_at_quantile(share) as f64 / 1000.0
    }

    /// The longest latency, in microseconds.
    pub(crate) fn max_us(&self) -> f64 {
        self.latency.max() as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_all_threads_together() {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        for millis in 1..=50 {
            one.note(Duration::from_millis(millis), Ok(1));
            other.note(Duration::from_millis(50 + millis), Ok(1));
        }
        other.note(Duration::ZERO, Err(ClientError::StreamEnded));
        one.merge(&other);
        assert_eq!((one.latency.len(), one.items, one.errors), (100, 100, 1));
        assert!((one.quantile_us(0.50) / 50_000.0 - 1.0).abs() < 0.001);
        assert!((one.quantile_us(0.99) / 99_000.0 - 1.0).abs() < 0.001);
        assert!((one.max_us() / 100_000.0 - 1.0).abs() < 0.001);
    }

    #[test]
    fn a_latency_beyond_the_scale_is_kept_as_the_largest() {
        let mut tally = Tally::default();
        tally.note(Duration::from_secs(3600), Ok(1));
        assert_eq!(tally.latency.len(), 1);
        assert!(tally.max_us() >= 599e6);
    }
}
