//! Where and how to log: the words of `--log-level`, `--log-format` and `--log-outputs`.

use std::fmt;
use std::path::PathBuf;

/// Where and how to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The least level that is written.
    pub level: LogLevel,
    /// The shape of a line.
    pub format: LogFormat,
    /// Where lines go; each line goes to all.
    pub outputs: Vec<LogOutput>,
}

/// How grave an event is, with etcd's names, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For looking into this program.
    Debug,
    /// What a running member does.
    Info,
    /// What somebody should look at one day.
    Warn,
    /// What failed.
    Error,
    /// Accepted as a choice; nothing here logs at it.
    Panic,
    /// Why the process ends.
    Fatal,
}

impl LogLevel {
    /// Reads a level in lower or upper case; nothing is info.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "debug" | "DEBUG" => Self::Debug,
            "info" | "INFO" | "" => Self::Info,
            "warn" | "WARN" => Self::Warn,
            "error" | "ERROR" => Self::Error,
            "panic" | "PANIC" => Self::Panic,
            "fatal" | "FATAL" => Self::Fatal,
            _ => return None,
        })
    }

    /// The level as lines show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Fatal => "fatal",
        }
    }
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Tab-separated text with the fields as JSON at the end.
    Console,
}

impl LogFormat {
    /// Reads `json` or `console`; nothing is JSON.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "json" | "" => Some(Self::Json),
            "console" => Some(Self::Console),
            _ => None,
        }
    }
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error; also what `default` means.
    Stderr,
    /// Standard output.
    Stdout,
    /// The journal of systemd. Written to standard error, which systemd forwards.
    Journal,
    /// A file, which is appended to.
    File(PathBuf),
}

impl LogOutput {
    /// Reads one word of `--log-outputs`.
    pub fn parse(text: &str) -> Self {
        match text {
            "default" | "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            "systemd/journal" => Self::Journal,
            path => Self::File(PathBuf::from(path)),
        }
    }
}

impl fmt::Display for LogOutput {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => out.write_str("stderr"),
            Self::Stdout => out.write_str("stdout"),
            Self::Journal => out.write_str("systemd/journal"),
            Self::File(path) => write!(out, "{}", path.display()),
        }
    }
}
