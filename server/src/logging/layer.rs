//! The `tracing` layer that turns events into lines.

use time::OffsetDateTime;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::config::{LogFormat, LogLevel};
use super::fields::Fields;
use super::line::{self, Head};
use super::sink::LogSink;

/// An error event with this target is written at level fatal: `tracing::error!(target: FATAL, "…")`.
///
/// `tracing` has no such level. Use it for the one line that says why the process ends.
pub const FATAL: &str = "quorate::fatal";

/// Writes events as log lines.
///
/// Our own events are written from the chosen level on. Those of libraries are written from warn on, or from info on
/// when the level is debug: at debug the HTTP/2 library alone writes several lines per request.
#[derive(Debug)]
pub struct Lines {
    level: LogLevel,
    format: LogFormat,
    sink: LogSink,
}

impl Lines {
    /// A layer that writes events of at least this level to the sink.
    pub fn new(level: LogLevel, format: LogFormat, sink: LogSink) -> Self {
        Self { level, format, sink }
    }
}

fn level_of(metadata: &Metadata<'_>) -> LogLevel {
    match *metadata.level() {
        Level::ERROR if metadata.target() == FATAL => LogLevel::Fatal,
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG | Level::TRACE => LogLevel::Debug,
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_ours = metadata.target().starts_with("quorate");
        let least = match self.level {
            level if is_ours => level,
            LogLevel::Debug => LogLevel::Info,
            level => level.max(LogLevel::Warn),
        };
        // Trace is below everything etcd has a name for.
        *metadata.level() != Level::TRACE && level_of(metadata) >= least
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let head = Head {
            level: level_of(metadata),
            time: OffsetDateTime::now_utc(),
            file: metadata.file(),
            line: metadata.line(),
        };
        self.sink.push(line::write(self.format, &head, &fields));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::{INLINE_FIELDS, LogOutput};
    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    /// Runs `code` with a log at this level and returns the lines it wrote.
    fn lines(level: LogLevel, code: impl FnOnce()) -> Vec<Value> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("log");
        let (sink, guard) = LogSink::open(&[LogOutput::File(path.clone())]).expect("a writable file");
        let layer = Lines::new(level, LogFormat::Json, sink);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), code);
        drop(guard);
        let text = std::fs::read_to_string(&path).expect("the log was written");
        text.lines().map(|line| serde_json::from_str(line).expect("every line is a JSON object")).collect()
    }

    fn log_at_all_levels() {
        tracing::debug!("d");
        tracing::info!("i");
        tracing::warn!("w");
        tracing::error!("e");
        tracing::error!(target: FATAL, "f");
        tracing::debug!(target: "h2", "hd");
        tracing::info!(target: "h2", "hi");
        tracing::warn!(target: "h2", "hw");
    }

    #[test]
    fn the_level_decides_what_is_written_and_libraries_are_held_back() {
        for (level, expected) in [
            (LogLevel::Debug, "d i w e f hi hw"),
            (LogLevel::Info, "i w e f hw"),
            (LogLevel::Warn, "w e f hw"),
            (LogLevel::Error, "e f"),
            (LogLevel::Panic, "f"),
            (LogLevel::Fatal, "f"),
        ] {
            let lines = lines(level, log_at_all_levels);
            let written: Vec<&str> = lines.iter().filter_map(|line| line["msg"].as_str()).collect();
            assert_eq!(written.join(" "), expected, "{}", level.as_str());
        }
    }

    #[test]
    fn a_line_has_level_time_caller_message_and_typed_fields() {
        let error = std::io::Error::other("disk");
        let lines = lines(LogLevel::Info, || {
            tracing::error!(target: FATAL, took_ms = 5u64, "member-id" = "8e9e", delta = -1i64, ok = true, ratio = 0.5,
                error = &error as &(dyn std::error::Error + 'static), shown = %"x", "stopping {}", "now");
            tracing::info!(
                { INLINE_FIELDS } = r#"{"listen-client-urls":["http://a:1"],"snapshot-catchup-entries":1000}"#,
                "all"
            );
            tracing::info!({ INLINE_FIELDS } = "not json", "odd");
        });
        let first = &lines[0];
        assert_eq!(first["level"], "fatal");
        assert_eq!(first["msg"], "stopping now");
        let caller = first["caller"].as_str().expect("a caller");
        assert!(caller.starts_with("logging/layer.rs:"), "{caller}");
        let ts = first["ts"].as_str().expect("a time");
        let shape: String = ts.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "9999-99-99T99:99:99.999999Z");
        assert_eq!(first["member-id"], "8e9e");
        assert_eq!(first["took_ms"], 5);
        assert_eq!(first["delta"], -1);
        assert_eq!(first["ok"], true);
        assert_eq!(first["ratio"], 0.5);
        assert_eq!(first["error"], "disk");
        assert_eq!(first["shown"], "x");
        assert_eq!(lines[1]["listen-client-urls"][0], "http://a:1");
        assert_eq!(lines[1]["snapshot-catchup-entries"], 1000);
        assert_eq!(lines[2]["fields.json"], "not json");
    }
}
