//! The corpus of scripts on disk: finding it, running it, writing new answers.
//!
//! Shared by the tests of core and, by `#[path]`, by those of other crates that run the same scripts on their engine.

use quorate_core::testing::{self, Disturbance, TestStore};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// All scripts below a directory, sorted by path.
pub(crate) fn scripts(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a directory can be listed").path();
        if path.is_dir() {
            found.extend(scripts(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Runs all scripts that the disturbance must leave alone, each on a new store. With `update` the answers are written to
/// the scripts instead of compared.
///
/// # Panics
/// With all differences, when there are any.
pub(crate) fn run(
    directory: &Path,
    disturbance: Disturbance,
    update: bool,
    new_store: impl Fn() -> Box<dyn TestStore>,
) {
    let mut complaints = String::new();
    let mut ran = 0;
    for path in scripts(directory) {
        let text = fs::read_to_string(&path).expect("a script can be read");
        if !disturbance.leaves_alone(&text) {
            continue;
        }
        ran += 1;
        let name = path.strip_prefix(directory).unwrap_or(&path).display();
        match testing::run(&text, new_store(), disturbance) {
            Err(error) => writeln!(complaints, "\n{name}: {error}").expect("text can be written"),
            Ok(now) if update => fs::write(&path, now).expect("a script can be written"),
            Ok(now) if now == text => {}
            Ok(now) => writeln!(complaints, "\n{name}:\n{}", difference(&text, &now)).expect("text can be written"),
        }
    }
    assert!(ran > 0, "no scripts below {}", directory.display());
    assert!(complaints.is_empty(), "{complaints}");
}

/// The lines that differ, each with its number.
fn difference(expected: &str, now: &str) -> String {
    let (mut expected, mut now) = (expected.lines(), now.lines());
    let mut shown = String::new();
    for number in 1.. {
        let (before, after) = (expected.next(), now.next());
        if before.is_none() && after.is_none() {
            break;
        }
        if before != after {
            for (sign, line) in [('-', before), ('+', after)] {
                if let Some(line) = line {
                    writeln!(shown, "{number:5} {sign} {line}").expect("text can be written");
                }
            }
        }
    }
    shown
}
