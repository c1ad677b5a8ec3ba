//! Durations in Go's notation: `1h0m0s`, `100ms`, `1.5h`, `1µs`.
//!
//! Flags, environment and log lines all use this notation, and scripts compare the printed form, so parsing and
//! printing follow Go's `time.Duration` to the digit: signed nanoseconds in 64 bits, no days, no bare numbers but `0`.

use std::fmt;
use std::time::Duration;

const NS: u64 = 1;
const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Signed nanoseconds, read and printed as Go does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(i64);

impl GoDuration {
    /// A duration of so many nanoseconds.
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds, which may be negative.
    pub fn as_nanos(self) -> i64 {
        self.0
    }

    /// The duration as the standard library knows it; negative ones become zero.
    ///
    /// Every duration flag reads zero as "off" or "default", and etcd treats a negative value the same way.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Reads Go's notation. `None` means it is not a duration, or one beyond 64 bits of nanoseconds.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let (amount, after) = next_amount(rest)?;
            total = total.checked_add(amount)?;
            rest = after;
        }
        let limit = i64::MAX as u128 + u128::from(negative);
        if total > limit {
            return None;
        }
        let total = i128::try_from(total).ok()?;
        i64::try_from(if negative { -total } else { total }).ok().map(Self)
    }
}

/// Reads one `<number><unit>` and returns its nanoseconds and what follows.
fn next_amount(text: &str) -> Option<(u128, &str)> {
    let (whole, text) = split_digits(text);
    let (fraction, text) = match text.strip_prefix('.') {
        Some(after) => split_digits(after),
        None => ("", text),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit_len = text.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(text.len());
    let (unit, rest) = text.split_at(unit_len);
    let unit = u128::from(match unit {
        "ns" => NS,
        // The micro sign and the Greek letter look the same and are both in use.
        "us" | "\u{b5}s" | "\u{3bc}s" => US,
        "ms" => MS,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    });
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // No unit has more than 13 digits of nanoseconds, so digits beyond 18 cannot change the result.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let amount = whole.checked_mul(unit)?.checked_add(fraction * unit / scale)?;
    Some((amount, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if nanos == 0 {
            return out.write_str("0s");
        }
        if self.0 < 0 {
            out.write_str("-")?;
        }
        match nanos {
            ..US => write!(out, "{nanos}ns"),
            US..MS => write!(out, "{}µs", decimal(nanos, US)),
            MS..SECOND => write!(out, "{}ms", decimal(nanos, MS)),
            SECOND..MINUTE => write!(out, "{}s", decimal(nanos, SECOND)),
            MINUTE..HOUR => write!(out, "{}m{}s", nanos / MINUTE, decimal(nanos % MINUTE, SECOND)),
            HOUR.. => write!(out, "{}h{}m{}s", nanos / HOUR, nanos % HOUR / MINUTE, decimal(nanos % MINUTE, SECOND)),
        }
    }
}

/// `nanos / unit` as a decimal without trailing zeros.
fn decimal(nanos: u64, unit: u64) -> String {
    let (whole, fraction) = (nanos / unit, nanos % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{fraction:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_read_prints_as_go_prints_it() {
        for (text, printed) in [
            ("0", "0s"),
            ("0s", "0s"),
            ("5s", "5s"),
            ("1h", "1h0m0s"),
            ("1h0m0s", "1h0m0s"),
            ("1.5h", "1h30m0s"),
            ("90m", "1h30m0s"),
            ("2h45m12.5s", "2h45m12.5s"),
            ("61s", "1m1s"),
            ("100ms", "100ms"),
            ("1500ms", "1.5s"),
            ("1us", "1µs"),
            ("1µs", "1µs"),
            ("1\u{3bc}s", "1µs"),
            ("1500ns", "1.5µs"),
            ("7ns", "7ns"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("-1.5h", "-1h30m0s"),
            ("+3ms", "3ms"),
            ("0.000000001s", "1ns"),
            ("9223372036854775807ns", "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ] {
            let read = GoDuration::parse(text).map(|duration| duration.to_string());
            assert_eq!(read.as_deref(), Some(printed), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "",
            "5",
            "+",
            "-",
            "s",
            ".s",
            "1d",
            "1 s",
            "1h ",
            "3S",
            "1..5s",
            "9223372036854775808ns",
            "3000000h",
            "1e3s",
        ] {
            assert_eq!(GoDuration::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_survives_printing_and_reading(nanos in any::<i64>()) {
            let duration = GoDuration::from_nanos(nanos);
            prop_assert_eq!(GoDuration::parse(&duration.to_string()), Some(duration));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,12}") {
            let _ = GoDuration::parse(&text);
        }
    }
}
