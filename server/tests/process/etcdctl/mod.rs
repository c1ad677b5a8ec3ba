//! The real etcdctl, in scripts.
//!
//! Rule: what a script expects is what etcd's contract says, not what this server happens to print. The same scripts run on
//! the original (`QUORATE_TEST_SERVER=/usr/bin/etcd`); where the original that distributions ship (3.4) differs from the
//! contract (3.7.1), `differences.txt` holds what it prints and the section that says so.
//!
//! `UPDATE_SCRIPTS=1` writes what was printed into the scripts where it differs. Commit only what you can explain.

mod pattern;
mod run;
mod script;

use crate::support::launch::is_original;
use pattern::matches;
use run::Run;
use script::Block;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/etcdctl")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// What the original prints instead, by the first line of the block's commands: `script.txt: commands`.
fn differences(name: &str) -> Vec<Block> {
    if !is_original() {
        return Vec::new();
    }
    let all = script::parse(&read(&directory().join("differences.txt")));
    all.into_iter().filter(|block| block.steps[0].line == format!("{name}.txt")).collect()
}

fn run_script(name: &str) {
    let path = directory().join("scripts").join(format!("{name}.txt"));
    let mut blocks = script::parse(&read(&path));
    let differences = differences(name);
    let mut run = Run::default();
    let mut failures = String::new();
    for block in &mut blocks {
        let (printed, fits) = run.block(block);
        let known = differences.iter().find(|known| known.steps[1..] == block.steps[..]);
        let allowed = known.is_some_and(|known| matches(&known.expected, &printed, &mut pattern::Names::new()));
        if fits || allowed {
            continue;
        }
        let expected = std::mem::replace(&mut block.expected, printed);
        failures += &format!(
            "\n{}\n--- expected\n{}\n--- printed\n{}\n",
            block.head.join("\n"),
            expected.join("\n"),
            block.expected.join("\n")
        );
    }
    if failures.is_empty() {
        return;
    }
    if std::env::var_os("UPDATE_SCRIPTS").is_some() {
        std::fs::write(&path, script::print(&blocks)).expect("the script can be written");
        return;
    }
    panic!("{}:\n{failures}", path.display());
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            run_script(stringify!($name));
        })*
    };
}

scripts! {
    alarm,
    check,
    compaction,
    del,
    elect,
    endpoint,
    get,
    lease,
    lease_expiry,
    lease_keep_alive,
    lock,
    maintenance,
    member,
    mirror,
    put,
    restart,
    txn,
    watch,
    watch_compacted,
    watch_now,
    watch_progress,
}

#[test]
fn every_script_is_run() {
    let mut found: Vec<String> = std::fs::read_dir(directory().join("scripts"))
        .expect("the directory is there")
        .map(|entry| entry.expect("readable").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    found.sort_unstable();
    assert_eq!(found, SCRIPTS, "the list above names every file of scripts/ once, sorted");
}
