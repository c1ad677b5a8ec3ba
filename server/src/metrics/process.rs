//! The process as the kernel sees it: CPU, memory, file descriptors, network (§8.4).
//!
//! Read from `/proc` once per scrape. A value that cannot be read keeps its last one; a scrape never fails for it.
//! Prometheus' own collector is not used: it counts CPU in whole seconds and knows neither the address space limit
//! nor the network, which etcd shows.
//! Left out: all `go_*` metrics. There is no Go runtime to describe.

use std::fs;
use std::time::Duration;

use prometheus::{Counter, Gauge, IntCounter, IntGauge};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::register::Register;
use super::sample::gauge_value;

#[derive(Debug)]
pub(super) struct ProcessMetrics {
    cpu_seconds: Counter,
    open_fds: IntGauge,
    max_fds: IntGauge,
    fds_used: IntGauge,
    fds_limit: IntGauge,
    resident: IntGauge,
    virtual_size: IntGauge,
    virtual_max: Gauge,
    start: Gauge,
    received: IntCounter,
    transmitted: IntCounter,
}

impl ProcessMetrics {
    pub(super) fn new(r: &Register<'_>) -> Self {
        let received = "Bytes this host received over IP.";
        let transmitted = "Bytes this host sent over IP.";
        let metrics = Self {
            cpu_seconds: r.float_counter("process_cpu_seconds_total", "Seconds of CPU used."),
            open_fds: r.gauge("process_open_fds", "Open file descriptors."),
            max_fds: r.gauge("process_max_fds", "Limit of open file descriptors."),
            fds_used: r.gauge("os_fd_used", "Open file descriptors."),
            fds_limit: r.gauge("os_fd_limit", "Limit of open file descriptors."),
            resident: r.gauge("process_resident_memory_bytes", "Bytes of memory in RAM."),
            virtual_size: r.gauge("process_virtual_memory_bytes", "Bytes of address space."),
            virtual_max: r.float_gauge("process_virtual_memory_max_bytes", "Limit of bytes of address space."),
            start: r.float_gauge("process_start_time_seconds", "Unix time of the start in seconds."),
            received: r.counter("process_network_receive_bytes_total", received),
            transmitted: r.counter("process_network_transmit_bytes_total", transmitted),
        };
        if let Some(seconds) = start_unix_seconds() {
            metrics.start.set(seconds);
        }
        metrics
    }

    pub(super) fn refresh(&self) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = Duration::try_from(cpu).unwrap_or_default().as_secs_f64();
        self.cpu_seconds.inc_by((cpu - self.cpu_seconds.get()).max(0.0));

        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // The directory being listed is itself one of them.
            let open = gauge_value(entries.count().saturating_sub(1) as u64);
            self.open_fds.set(open);
            self.fds_used.set(open);
        }
        let limit = fd_limit().map_or(i64::MAX, gauge_value);
        self.max_fds.set(limit);
        self.fds_limit.set(limit);
        // What Prometheus' Go client shows for "unlimited" is the largest 64-bit number.
        self.virtual_max.set(getrlimit(Resource::As).current.unwrap_or(u64::MAX) as f64);

        if let Some((virtual_bytes, resident_bytes)) = memory_bytes() {
            self.virtual_size.set(gauge_value(virtual_bytes));
            self.resident.set(gauge_value(resident_bytes));
        }
        if let Some((received, transmitted)) = network_bytes() {
            self.received.inc_by(received.saturating_sub(self.received.get()));
            self.transmitted.inc_by(transmitted.saturating_sub(self.transmitted.get()));
        }
    }
}

/// The limit of open files of this process, `None` if unlimited.
pub(crate) fn fd_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Bytes of address space, and bytes of it in RAM.
pub(crate) fn memory_bytes() -> Option<(u64, u64)> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = pages.split_ascii_whitespace().map(|n| n.parse::<u64>().ok());
    let page_bytes = rustix::param::page_size() as u64;
    Some((pages.next()?? * page_bytes, pages.next()?? * page_bytes))
}

/// Bytes in and out over IP in this network namespace, as Prometheus' Go client counts them.
fn network_bytes() -> Option<(u64, u64)> {
    parse_network(&fs::read_to_string("/proc/self/net/netstat").ok()?)
}

/// A table of pairs of lines: names, then values, both after the name of the protocol.
fn parse_network(table: &str) -> Option<(u64, u64)> {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let value = |wanted: &str| {
        let position = names.split_ascii_whitespace().position(|name| name == wanted)?;
        values.split_ascii_whitespace().nth(position)?.parse().ok()
    };
    Some((value("InOctets")?, value("OutOctets")?))
}

/// Unix time at which the kernel started this process: boot time plus ticks since.
fn start_unix_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses and may hold anything; the start time is the 20th after it.
    let ticks: f64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + ticks / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_bytes_are_found_by_name_and_not_by_position() {
        let table = "TcpExt: SyncookiesSent InOctets\nTcpExt: 1 2\nIpExt: InNoRoutes InOctets OutOctets InCsum\nIpExt: 0 77 88 9\n";
        assert_eq!(parse_network(table), Some((77, 88)));
        assert_eq!(parse_network("IpExt: InOctets\nIpExt: 5\n"), None, "one column is missing");
        assert_eq!(parse_network(""), None);
    }

    #[test]
    fn this_process_started_in_the_past_and_uses_memory() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let start = start_unix_seconds().expect("/proc is mounted");
        assert!(start <= now.as_secs_f64() + 1.0 && start > now.as_secs_f64() - 86_400.0, "{start}");
        let (virtual_bytes, resident_bytes) = memory_bytes().expect("/proc is mounted");
        assert!(virtual_bytes >= resident_bytes && resident_bytes > 0);
    }
}
