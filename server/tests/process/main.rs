//! Suites that drive the real binary as its users do: other processes, sockets, signals and files.
//!
//! * [`etcdctl`]: the real etcdctl, in scripts that can be read aloud.
//! * [`crash`]: `kill -9` under load, again and again, on one data directory.
//! * [`faults`]: what an operator meets: damage, full disks, taken ports, signals, wrong directories.
//! * [`input`]: requests no honest client sends.
//!
//! All of it is one test binary, so that it is linked once. `QUORATE_TEST_SERVER=/usr/bin/etcd` runs `etcdctl`, `crash` and
//! `input` against the original: the same corpus, so that what we believe of etcd is checked too. `faults` is about our own
//! files and always runs ours.

mod crash;
mod etcdctl;
mod faults;
mod input;
mod support;
