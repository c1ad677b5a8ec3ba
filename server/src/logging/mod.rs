//! Log lines as etcd's operators know them: one JSON object per line, or tab-separated text for people.
//!
//! ```text
//! {"level":"info","ts":"2026-11-22T18:00:00.123456Z","caller":"config/describe.rs:31","msg":"…","name":"n1",…}
//! ```
//!
//! The code logs through `tracing`; [`Lines`] is the layer that writes events in this shape. Lines go through a bounded
//! queue to one thread that owns the outputs, so that a full disk or a terminal that is not read slows nothing down:
//! when the queue is full, lines are dropped, counted, and the count is logged.
//!
//! The rule: whoever ends the process drops the [`LogGuard`] or calls [`LogGuard::flush`] first, or the last lines,
//! which say why, are lost.
//!
//! Left out: spans (their fields are not added to events) and local time (times are UTC, which etcd prints as `Z`).

mod config;
mod fields;
mod layer;
mod line;
mod sink;

use tracing_subscriber::layer::SubscriberExt;

pub use config::{LogConfig, LogFormat, LogLevel, LogOutput};
pub use layer::{FATAL, Lines};
pub use line::INLINE_FIELDS;
pub use sink::{LogGuard, LogSink};

/// Opens the outputs and makes this the process's log. The error says which output could not be opened.
///
/// Dropping the guard writes what is queued and closes the outputs.
pub fn init(config: &LogConfig) -> Result<LogGuard, LogError> {
    let (sink, guard) = LogSink::open(&config.outputs)?;
    let lines = Lines::new(config.level, config.format, sink);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines))
        .map_err(|_| LogError::AlreadySet)?;
    Ok(guard)
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A log file cannot be opened.
    #[error("open log file {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("start the log writer: {0}")]
    Thread(std::io::Error),
    /// The process already has a log.
    #[error("this process already has a log: set it up once, before the member starts")]
    AlreadySet,
}
