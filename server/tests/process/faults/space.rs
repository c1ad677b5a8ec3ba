//! Full disks.
//!
//! Where this user may mount, a small tmpfs is filled until the member stops. Where not, a limit on the size of files
//! (`ulimit -f`) stands in for it at the start.

use crate::support::PATIENCE;
use crate::support::launch::Launch;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// Room for the log's first files and little else.
const SMALL: &str = "size=180m";
const LARGE: &str = "size=900m";
const VALUE_BYTES: usize = 400_000;

/// A mounted tmpfs, unmounted when dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    /// Nothing when this user may not mount.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        mount(&["-t", "tmpfs", "-o", SMALL, "tmpfs"], directory.path()).then_some(Self(directory))
    }

    fn grow(&self) {
        assert!(mount(&["-o", &format!("remount,{LARGE}")], self.0.path()), "a tmpfs can grow");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // What stays mounted goes with the machine.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).output();
    }
}

fn mount(args: &[&str], on: &Path) -> bool {
    Command::new("mount").args(args).arg(on).output().is_ok_and(|output| output.status.success())
}

#[test]
fn a_member_that_cannot_make_its_log_says_so() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let data_dir = parent.path().join("data");
    let sentence = super::refusal(Launch::ours(&data_dir).file_blocks_max(1_000));
    assert!(sentence.contains(&data_dir.display().to_string()), "{sentence}");
    // With room again it starts on what is there.
    Launch::ours(&data_dir).start().etcdctl_ok(&["put", "a", "1"]);
}

#[test]
fn a_full_disk_stops_the_member_and_loses_nothing_acknowledged() {
    let Some(tmpfs) = Tmpfs::mount() else {
        eprintln!("this user may not mount; a_member_that_cannot_make_its_log_says_so has to do");
        return;
    };
    let data_dir = tmpfs.0.path().join("data");
    let mut server = Launch::ours(&data_dir).flag("--quota-backend-bytes=8000000000").start();
    let value = "x".repeat(VALUE_BYTES);
    let mut acknowledged = 0;
    let end = Instant::now() + PATIENCE;
    loop {
        let put = crate::support::tool::etcdctl(&server.endpoint(), &["put", &format!("key{acknowledged:05}")], &value);
        if put.code != 0 {
            break;
        }
        acknowledged += 1;
        assert!(Instant::now() < end, "{acknowledged} puts of {VALUE_BYTES} bytes fit into {SMALL}");
    }
    let code = server.process().wait();
    let log = server.output().text();
    assert_eq!(code, 1, "{log}");
    let last = log.lines().rev().find(|line| line.contains("\"level\":\"fatal\"")).expect("a fatal line");
    assert!(last.to_lowercase().contains("no space left on device"), "{last}");
    assert!(acknowledged > 0, "nothing fitted");

    tmpfs.grow();
    let server = server.restart();
    let keys = server.etcdctl_ok(&["get", "key", "--prefix", "--keys-only"]);
    let kept = keys.lines().filter(|line| !line.is_empty()).count();
    // The one that failed may have been written all the same.
    assert!(kept == acknowledged || kept == acknowledged + 1, "{kept} of {acknowledged} keys are left");
    server.etcdctl_ok(&["put", "after", "all"]);
}
