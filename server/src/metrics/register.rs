//! Creates metrics and enters them into the registry, in one line each.
//!
//! Rule: a metric that is created here is registered here, so that none can be counted and never shown.
//! Buckets are written as the contract writes them: first upper bound, factor, number of bounds (§8.2).

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, exponential_buckets,
};

/// First upper bound, factor between bounds, number of bounds.
pub(super) type Buckets = (f64, f64, usize);

/// The buckets of most durations in seconds: 1 ms to 8.2 s.
pub(super) const SECONDS: Buckets = (0.001, 2.0, 14);

/// Why creating a metric cannot fail: names, labels and buckets are literals in this module, and a test renders all.
const LITERAL: &str = "metric names, labels and buckets are valid and registered once";

/// Creates metrics in one registry.
pub(super) struct Register<'a>(pub(super) &'a Registry);

impl Register<'_> {
    fn add<C: Collector + Clone + 'static>(&self, metric: C) -> C {
        self.0.register(Box::new(metric.clone())).expect(LITERAL);
        metric
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help).expect(LITERAL))
    }

    pub(super) fn float_counter(&self, name: &str, help: &str) -> Counter {
        self.add(Counter::new(name, help).expect(LITERAL))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help).expect(LITERAL))
    }

    pub(super) fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.add(Gauge::new(name, help).expect(LITERAL))
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: Buckets) -> Histogram {
        self.add(Histogram::with_opts(options(name, help, buckets)).expect(LITERAL))
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels).expect(LITERAL))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels).expect(LITERAL))
    }

    pub(super) fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: Buckets) -> HistogramVec {
        self.add(HistogramVec::new(options(name, help, buckets), labels).expect(LITERAL))
    }

    /// With the buckets Prometheus clients use when none are given: 5 ms to 10 s.
    pub(super) fn histograms_default(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        self.add(HistogramVec::new(HistogramOpts::new(name, help), labels).expect(LITERAL))
    }
}

fn options(name: &str, help: &str, (start, factor, count): Buckets) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(exponential_buckets(start, factor, count).expect(LITERAL))
}
