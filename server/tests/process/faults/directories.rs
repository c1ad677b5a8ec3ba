//! Directories that are taken, incomplete, or not ours.

use super::{Ending, Written, content, refusal};
use crate::support::launch::{Home, Launch};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn a_second_process_on_a_directory_is_refused_and_the_first_serves_on() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let data_dir = parent.path().join("data");
    let mut server = Launch::ours(&data_dir).start();
    let sentence = refusal(Launch::ours(&data_dir));
    let holder = format!("is in use by process {}", server.process().id());
    assert!(sentence.contains(&holder), "{sentence}");
    server.etcdctl_ok(&["put", "a", "1"]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let sentence = refusal(Launch::ours(&parent.path().join("data")).ports(port, crate::support::ports::free_port()));
    assert!(sentence.contains(&format!("cannot listen on http://127.0.0.1:{port}")), "{sentence}");
    drop(taken);
    Launch::ours(&parent.path().join("data")).start().etcdctl_ok(&["put", "a", "1"]);
}

#[test]
fn without_its_identity_a_member_does_not_start() {
    let written = Written::keys(1, Ending::Terminate);
    let identity = written.path("identity.json");
    let text = fs::read(&identity).expect("readable");
    fs::remove_file(&identity).expect("removed");
    let sentence = written.refusal();
    assert!(sentence.contains("no identity.json"), "{sentence}");
    fs::write(&identity, &text[..text.len() / 2]).expect("written");
    let sentence = written.refusal();
    assert!(sentence.contains("identity.json is damaged"), "{sentence}");
    fs::write(&identity, text).expect("written");
    assert_eq!(written.launch().start().etcdctl_ok(&["get", "key0"]), "key0\nvalue0\n");
}

#[test]
fn without_its_log_a_member_does_not_start() {
    let written = Written::keys(3, Ending::Terminate);
    let (log, aside) = (written.path("wal"), written.path("../wal-aside"));
    fs::rename(&log, &aside).expect("moved");
    let sentence = written.refusal();
    assert!(sentence.contains("is missing"), "{sentence}");
    // A member that comes back with an empty log where its log should be would vote twice.
    let sentence = written.refusal();
    assert!(sentence.contains("is missing"), "the second start was not refused: {sentence}");
    if log.exists() {
        fs::remove_dir_all(&log).expect("removed");
    }
    fs::rename(&aside, &log).expect("moved back");
    assert_eq!(written.launch().start().etcdctl_ok(&["get", "key2"]), "key2\nvalue2\n");
}

#[test]
fn without_its_store_a_member_does_not_start_empty() {
    let written = Written::keys(3, Ending::Terminate);
    let (store, aside) = (written.path("store"), written.path("../store-aside"));
    fs::rename(&store, &aside).expect("moved");
    let sentence = written.refusal();
    assert!(sentence.contains("store"), "{sentence}");
    if store.exists() {
        fs::remove_dir_all(&store).expect("removed");
    }
    fs::rename(&aside, &store).expect("moved back");
    assert_eq!(written.launch().start().etcdctl_ok(&["get", "key2"]), "key2\nvalue2\n");
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn an_etcd_directory_is_refused_and_left_as_it_is() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let data_dir = parent.path().join("data");
    if is_there("etcd") {
        let mut server = Launch::of(PathBuf::from("etcd"), Home::Given(data_dir.clone())).start();
        server.etcdctl_ok(&["put", "precious", "data"]);
        server.terminate();
    } else {
        // The layout is what is recognised.
        for directory in ["member/snap", "member/wal"] {
            fs::create_dir_all(data_dir.join(directory)).expect("made");
        }
        fs::write(data_dir.join("member/snap/db"), "pages").expect("written");
    }
    let before = content(&data_dir);
    let sentence = refusal(Launch::ours(&data_dir));
    assert!(sentence.contains("holds the data of an etcd member"), "{sentence}");
    assert_eq!(content(&data_dir), before);
}

#[test]
fn a_directory_that_cannot_be_made_or_written_is_named() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let file = parent.path().join("file");
    fs::write(&file, "not a directory").expect("written");
    // Neither a file nor the kernel's own tree can hold a directory, whoever asks, root included.
    for data_dir in [file.join("data"), PathBuf::from("/proc/quorate-data")] {
        let sentence = refusal(Launch::ours(&data_dir));
        assert!(sentence.contains(&data_dir.display().to_string()), "{sentence}");
    }
}

#[test]
fn a_directory_with_other_things_in_it_is_refused() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    fs::write(parent.path().join("thesis.txt"), "years of work").expect("written");
    let sentence = refusal(Launch::ours(parent.path()));
    assert!(sentence.contains("thesis.txt"), "{sentence}");
}
