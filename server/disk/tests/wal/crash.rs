//! The power fails before every single operation on the disk, and what was acknowledged is still there.

use quorate_disk::file::SimDisk;

use crate::model::{Act, Pair};

/// Everything the log does: batches, truncation, purging with recycling, large batches, reopening.
fn script() -> Vec<Act> {
    let mut script = vec![Act::Vote, Act::Step];
    for round in 0..8 {
        script.extend([
            Act::Append(3, 120),
            Act::Append(1, 900),
            Act::Step,
            Act::Committed,
            Act::Append(4, 60),
            Act::Vote,
            Act::Step,
            Act::Truncate(3),
            Act::Append(2, 200),
            Act::Append(6, 400),
        ]);
        match round {
            2 => script.extend([Act::Reopen, Act::Append(1, 9000)]),
            3 | 5 | 6 => script.extend([Act::PurgeTo(6), Act::Step]),
            4 => script.push(Act::Append(2, 3000)),
            _ => {}
        }
    }
    script.extend([Act::PurgeBeyond(3), Act::Append(2, 100), Act::Step, Act::Reopen]);
    script
}

/// How many operations the script needs when nothing fails.
fn operations() -> u64 {
    let disk = SimDisk::new();
    assert!(Pair::new(&disk).run(&script()));
    disk.operations()
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    let script = script();
    let total = operations();
    assert!(total > 150, "the script does little: {total}");
    for cut in 0..total {
        let disk = SimDisk::new();
        disk.cut_power_at(cut);
        let mut pair = Pair::new(&disk);
        // Only tidying may fail unnoticed, and here it comes last.
        let ended = pair.run(&script);
        assert!(!ended || cut + 4 >= total, "the cut at {cut} of {total} was not noticed");
        for seed in 0..6 {
            let mut pair = pair.fork();
            pair.disk().crash(cut * 1000 + seed);
            pair.recover();
            pair.live_on();
        }
    }
}

#[test]
fn a_second_power_cut_during_recovery_loses_nothing_either() {
    let script = script();
    for cut in (0..operations()).step_by(5) {
        let disk = SimDisk::new();
        disk.cut_power_at(cut);
        let mut pair = Pair::new(&disk);
        pair.run(&script);
        pair.disk().crash(cut);
        let again = pair.fork();
        crate::support::open(again.disk());
        let needed = again.disk().operations() - pair.disk().operations();
        for second in 0..needed {
            let mut pair = pair.fork();
            let disk = pair.disk().clone();
            disk.cut_power_at(disk.operations() + second);
            crate::support::try_open(&disk).map(|_| ()).ok();
            disk.crash(cut * 1000 + second);
            pair.recover();
            pair.live_on();
        }
    }
}

#[test]
fn what_a_killed_process_left_is_durable_once_it_was_found() {
    let script = script();
    for cut in 0..operations() {
        let disk = SimDisk::new();
        disk.cut_power_at(cut);
        let mut pair = Pair::new(&disk);
        pair.run(&script);
        // The system still has every byte that was written, synced or not, and the new process sees it.
        disk.kill_process();
        pair.recover();
        for seed in 0..6 {
            let mut pair = pair.fork();
            pair.disk().crash(cut * 1000 + seed);
            pair.recover();
            pair.live_on();
        }
    }
}
