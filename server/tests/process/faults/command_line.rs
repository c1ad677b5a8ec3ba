//! Flags and names.

use crate::support::launch::quorate;
use std::process::Command;

fn run(program: &std::path::Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(program).args(args).env_clear().output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_binary_answers_as_etcd_when_it_is_called_so() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let etcd = directory.path().join("etcd");
    std::os::unix::fs::symlink(quorate(), &etcd).expect("a link can be made");
    let (code, stdout, stderr) = run(&etcd, &["--version"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    // Scripts take the third word of the first line; there are four (contract §6.1).
    assert!(stdout.starts_with("etcd Version: 3.7.1\n"), "{stdout}");
    assert_eq!(stdout.lines().count(), 4, "{stdout}");
    let (code, stdout, stderr) = run(&quorate(), &["--version"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("quorate Version: "), "{stdout}");
    assert!(stdout.contains("etcd compatibility: 3.7.1\n"), "{stdout}");
}

#[test]
fn an_unknown_flag_is_named_with_the_nearest_known_one() {
    let (code, _, stderr) = run(&quorate(), &["--dta-dir=/tmp/x"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("flag provided but not defined: -dta-dir"), "{stderr}");
    assert!(stderr.contains("did you mean --data-dir?"), "{stderr}");
}

#[test]
fn a_value_that_is_none_is_refused_before_anything_is_touched() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data_dir = format!("--data-dir={}", directory.path().join("data").display());
    for flag in ["--election-timeout=soon", "--listen-client-urls=nonsense", "--snapshot-count=-1"] {
        let (code, _, stderr) = run(&quorate(), &[&data_dir, flag]);
        assert_ne!(code, 0, "{flag}");
        assert!(!stderr.is_empty(), "{flag} is refused without a word");
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 0);
}
