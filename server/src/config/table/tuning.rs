//! How the member runs: features, compaction, checks, and the switches for emergencies.

use super::flag;
use crate::config::flag::{Effect, Flag, Kind};

const PACED: &str = "compaction goes in small steps between writes";

pub(super) const FLAGS: &[Flag] = &[
    flag(
        "config-file",
        Kind::Text,
        "",
        Effect::Now,
        "YAML or JSON file to read; every other flag and variable is then ignored.",
    ),
    flag("version", Kind::Bool, "false", Effect::Now, "Print the version and exit."),
    flag("feature-gates", Kind::Gates, "", Effect::Now, "Features to switch: Gate=true,Other=false."),
    flag(
        "auto-compaction-mode",
        Kind::Text,
        "periodic",
        Effect::NotYet("auto-compaction is not in this build"),
        "periodic or revision.",
    ),
    flag(
        "auto-compaction-retention",
        Kind::Text,
        "0",
        Effect::NotYet("auto-compaction is not in this build"),
        "What to keep: hours or a duration when periodic, revisions otherwise; 0 is off.",
    ),
    flag(
        "compaction-batch-limit",
        Kind::Int,
        "0",
        Effect::NoMeaning(PACED),
        "Keys to remove at once while compacting; 0 is 1000.",
    ),
    flag(
        "compaction-sleep-interval",
        Kind::Duration,
        "0s",
        Effect::NoMeaning(PACED),
        "Pause between two such batches; 0 is 10ms.",
    ),
    flag(
        "watch-progress-notify-interval",
        Kind::Duration,
        "0s",
        Effect::Now,
        "How often quiet watchers are told the revision; 0 is 10m.",
    ),
    flag(
        "enable-grpc-gateway",
        Kind::Bool,
        "true",
        Effect::NotYet("the JSON gateway is not in this build"),
        "Serve the JSON gateway under /v3/.",
    ),
    flag(
        "corrupt-check-time",
        Kind::Duration,
        "0s",
        Effect::NotYet("corruption checks across members are not in this build"),
        "How often the leader compares the data of the members; 0 is never.",
    ),
    flag(
        "compact-hash-check-time",
        Kind::Duration,
        "1m",
        Effect::NotYet("corruption checks across members are not in this build"),
        "How often the leader compares hashes taken at compactions.",
    ),
    flag(
        "downgrade-check-time",
        Kind::Duration,
        "5s",
        Effect::NotYet("downgrades are not in this build"),
        "How often a running downgrade is looked at.",
    ),
    flag(
        "backend-bbolt-freelist-type",
        Kind::Text,
        "map",
        Effect::NoMeaning("bbolt is not used here"),
        "map or array.",
    ),
    flag(
        "backend-batch-interval",
        Kind::Duration,
        "0s",
        Effect::NoMeaning("bbolt is not used here"),
        "Longest time before a commit of the store.",
    ),
    flag(
        "backend-batch-limit",
        Kind::Int,
        "0",
        Effect::NoMeaning("bbolt is not used here"),
        "Most operations before a commit of the store.",
    ),
    flag(
        "bootstrap-defrag-threshold-megabytes",
        Kind::Uint,
        "0",
        Effect::NoMeaning("the store needs no defragmentation"),
        "Defragment at start if so much would be freed; 0 is never.",
    ),
    flag(
        "memory-mlock",
        Kind::Bool,
        "false",
        Effect::NoMeaning("the store is not mapped into memory"),
        "Keep the store in memory.",
    ),
    flag(
        "unsafe-no-fsync",
        Kind::Bool,
        "false",
        Effect::Now,
        "Do not wait for the disk. Loses data when the machine fails; for tests only.",
    ),
    flag(
        "force-new-cluster",
        Kind::Bool,
        "false",
        Effect::NotYet("clusters have one member in this build, so there are no others to drop"),
        "Start as the only member of a new cluster from this member's own data.",
    ),
];
