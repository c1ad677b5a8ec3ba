//! Damage to the log and to the tables.

use super::{Ending, Written, content, files_ending};
use std::fs;
use std::path::{Path, PathBuf};

/// Keys written before the damage.
const KEYS: usize = 40;
/// The log's format (docs/data-format.md): a header, then frames whose payload length stands at 4.
const HEADER_BYTES: usize = 64;
const FRAME_BYTES: usize = 40;

/// The newest log file that holds frames, its bytes, and where its frames start.
fn newest_log(written: &Written) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let mut files: Vec<PathBuf> = files_ending(&written.path("wal"), "");
    files.retain(|path| path.is_file());
    for file in files.into_iter().rev() {
        let bytes = fs::read(&file).expect("readable");
        let frames = frames(&bytes);
        if bytes.starts_with(b"QRWALSEG") && !frames.is_empty() {
            return (file, bytes, frames);
        }
    }
    panic!("{} has no log file with frames", written.path("wal").display());
}

fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = HEADER_BYTES;
    while let Some(frame) = bytes.get(at..at + FRAME_BYTES) {
        let length = u32::from_le_bytes(frame[4..8].try_into().expect("four bytes")) as usize;
        if frame[8] == 0 {
            break;
        }
        starts.push(at);
        at += (FRAME_BYTES + length).next_multiple_of(8);
    }
    starts
}

fn overwrite(file: &Path, bytes: &[u8], at: usize, garbage: &[u8]) {
    let mut bytes = bytes.to_vec();
    bytes[at..at + garbage.len()].copy_from_slice(garbage);
    fs::write(file, bytes).expect("written");
}

fn all_keys(first: usize, count: usize) -> String {
    let mut keys: Vec<String> = (first..first + count).map(|number| format!("key{number}\nvalue{number}\n")).collect();
    keys.sort();
    keys.concat()
}

#[test]
fn what_a_crash_leaves_behind_the_last_record_is_cut_and_nothing_is_lost() {
    let written = Written::keys(KEYS, Ending::Kill);
    let (file, bytes, starts) = newest_log(&written);
    let last = starts[starts.len() - 1];
    let length = u32::from_le_bytes(bytes[last + 4..last + 8].try_into().expect("four bytes")) as usize;
    let end = last + (FRAME_BYTES + length).next_multiple_of(8);
    // Half of a frame that was being written.
    let torn: Vec<u8> = bytes[last..last + FRAME_BYTES].iter().map(|byte| byte ^ 0x5a).collect();
    overwrite(&file, &bytes, end, &torn);
    let server = written.launch().start();
    assert_eq!(server.etcdctl_ok(&["get", "key", "--prefix"]), all_keys(0, KEYS));
    server.etcdctl_ok(&["put", "after", "all"]);
    // And once more: the cut is durable.
    let server = server.restart();
    assert_eq!(server.etcdctl_ok(&["get", "after"]), "after\nall\n");
}

#[test]
fn damage_in_the_last_record_costs_that_batch_at_most() {
    let written = Written::keys(KEYS, Ending::Kill);
    let (file, bytes, starts) = newest_log(&written);
    overwrite(&file, &bytes, starts[starts.len() - 1] + 20, &[0xee; 8]);
    let server = written.launch().start();
    let kept = server.etcdctl_ok(&["get", "key", "--prefix", "--keys-only"]);
    let kept = kept.lines().filter(|line| !line.is_empty()).count();
    assert!(kept + 1 >= KEYS, "{kept} keys of {KEYS} are left");
    server.etcdctl_ok(&["put", "after", "all"]);
}

#[test]
fn a_damaged_record_before_the_end_is_named_and_nothing_is_touched() {
    let written = Written::keys(KEYS, Ending::Kill);
    let (file, bytes, starts) = newest_log(&written);
    let middle = starts[starts.len() / 2];
    overwrite(&file, &bytes, middle + FRAME_BYTES, &[0xee; 4]);
    let before = content(&written.path("wal"));
    let sentence = written.refusal();
    assert!(sentence.contains("the log is damaged at"), "{sentence}");
    assert!(sentence.contains(&file.display().to_string()), "{sentence}");
    assert!(sentence.contains(&format!("offset {middle}")), "{sentence}");
    assert!(sentence.contains("Restore this member"), "{sentence}");
    assert_eq!(content(&written.path("wal")), before);
    // The same again: nothing was repaired behind the operator's back.
    assert!(written.refusal().contains("the log is damaged at"));
}

#[test]
fn a_log_file_that_was_cut_in_the_middle_is_damage() {
    let written = Written::keys(KEYS, Ending::Kill);
    let (file, bytes, _) = newest_log(&written);
    fs::write(&file, &bytes[..HEADER_BYTES / 2]).expect("written");
    let sentence = written.refusal();
    assert!(sentence.contains(&file.display().to_string()), "{sentence}");
}

#[test]
fn a_damaged_table_is_refused_before_it_is_served() {
    let written = Written::keys(KEYS, Ending::Terminate);
    let tables = files_ending(&written.path("store"), ".sst");
    assert!(!tables.is_empty(), "a clean stop flushes the tables");
    for table in &tables {
        let bytes = fs::read(table).expect("readable");
        // All of the data; the footer stays, so that it still looks like a table.
        let garbage = vec![0xee; bytes.len().saturating_sub(1_000).max(bytes.len() / 4)];
        overwrite(table, &bytes, 0, &garbage);
    }
    let sentence = written.refusal();
    assert!(sentence.contains(&written.path("store").display().to_string()), "{sentence}");
}

#[test]
fn a_damaged_or_missing_manifest_is_refused() {
    let written = Written::keys(KEYS, Ending::Terminate);
    let store = written.path("store");
    let manifest = fs::read_dir(&store)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("MANIFEST-")))
        .expect("a store has a manifest");
    let bytes = fs::read(&manifest).expect("readable");
    overwrite(&manifest, &bytes, 8, &vec![0xee; bytes.len() / 2]);
    let sentence = written.refusal();
    assert!(sentence.contains(&store.display().to_string()), "{sentence}");
    fs::remove_file(&manifest).expect("removed");
    let sentence = written.refusal();
    assert!(sentence.contains(&store.display().to_string()), "{sentence}");
    fs::write(&manifest, bytes).expect("written");
    assert_eq!(written.launch().start().etcdctl_ok(&["get", "key", "--prefix"]), all_keys(0, KEYS));
}
