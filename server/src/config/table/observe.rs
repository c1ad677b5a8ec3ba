//! What the member tells its operator.

use super::flag;
use crate::config::flag::{Effect, Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    flag("logger", Kind::Text, "zap", Effect::Now, "Kind of logger; only zap is known."),
    flag("log-outputs", Kind::Set, "default", Effect::Now, "Where to log: default, stderr, stdout, or paths of files."),
    flag("log-level", Kind::Text, "info", Effect::Now, "Least level to log: debug, info, warn, error, panic or fatal."),
    flag("log-format", Kind::Text, "json", Effect::Now, "json or console."),
    flag(
        "enable-log-rotation",
        Kind::Bool,
        "false",
        Effect::NotYet("log files are not rotated in this build"),
        "Rotate the one log file given in --log-outputs.",
    ),
    flag(
        "log-rotation-config-json",
        Kind::Text,
        r#"{"maxsize":100,"maxage":0,"maxbackups":0,"localtime":false,"compress":false}"#,
        Effect::NotYet("log files are not rotated in this build"),
        "Settings of the rotation, as JSON.",
    ),
    flag("metrics", Kind::Text, "basic", Effect::Now, "basic, or extensive to add histograms of handling times."),
    flag(
        "enable-pprof",
        Kind::Bool,
        "false",
        Effect::NotYet("profiles are not served in this build"),
        "Serve /debug/pprof on the client HTTP port.",
    ),
    flag(
        "warning-apply-duration",
        Kind::Duration,
        "100ms",
        Effect::Now,
        "An entry that takes longer to apply is logged.",
    ),
    flag(
        "warning-unary-request-duration",
        Kind::Duration,
        "300ms",
        Effect::Now,
        "A request that takes longer is logged.",
    ),
    flag(
        "enable-distributed-tracing",
        Kind::Bool,
        "false",
        Effect::NotYet("spans are not exported in this build"),
        "Export spans with OpenTelemetry.",
    ),
    flag(
        "distributed-tracing-address",
        Kind::Text,
        "localhost:4317",
        Effect::NotYet("spans are not exported in this build"),
        "Address of the collector.",
    ),
    flag(
        "distributed-tracing-service-name",
        Kind::Text,
        "etcd",
        Effect::NotYet("spans are not exported in this build"),
        "Service name of the spans.",
    ),
    flag(
        "distributed-tracing-instance-id",
        Kind::Text,
        "",
        Effect::NotYet("spans are not exported in this build"),
        "Instance ID of the spans.",
    ),
    flag(
        "distributed-tracing-sampling-rate",
        Kind::Int,
        "0",
        Effect::NotYet("spans are not exported in this build"),
        "Spans to export out of a million.",
    ),
];
