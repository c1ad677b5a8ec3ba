//! Whatever stands in the files, opening neither panics nor finds a record that was not written.

use proptest::prelude::*;
use quorate_disk::file::{FileSystem, SimDisk};
use quorate_disk::wal::{LogRecord, Recovered, Wal};

use crate::support::*;

/// A log of several segments with a purge behind it, and everything ever written to it.
fn written() -> (SimDisk, Vec<LogRecord>) {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    let mut all = Vec::new();
    for index in 0..90 {
        append(&wal, records(index, index + 1));
    }
    all.extend(records(0, 90));
    wal.purge_through(30, 1, ignore());
    wal.truncate_from(80, ignore());
    for index in 80..90 {
        let other = record(index, 2, &format!("second life of {index}"));
        append(&wal, vec![other.clone()]);
        all.push(other);
    }
    wal.close();
    (disk, all)
}

fn only_what_was_written(opened: &(Wal, Recovered), all: &[LogRecord]) {
    // Reading may refuse, but it may not invent.
    let found = opened.0.read(0, u64::MAX, usize::MAX).unwrap_or_default();
    for pair in found.windows(2) {
        assert_eq!(pair[0].index + 1, pair[1].index);
    }
    for record in &found {
        assert!(all.contains(record), "{record:?} was never written");
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u32),
    Zero(prop::sample::Index, usize),
    Noise(prop::sample::Index, Vec<u8>),
    /// Copies a piece to another place, perhaps in another file.
    Copy(prop::sample::Index, prop::sample::Index, usize),
    Shorten(prop::sample::Index),
    Remove,
    RenameTo(u64),
}

fn damages() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        (place(), 0..8u32).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (place(), 1..3000usize).prop_map(|(at, length)| Damage::Zero(at, length)),
        (place(), prop::collection::vec(any::<u8>(), 1..600)).prop_map(|(at, noise)| Damage::Noise(at, noise)),
        (place(), place(), 1..1000usize).prop_map(|(from, to, length)| Damage::Copy(from, to, length)),
        place().prop_map(Damage::Shorten),
        Just(Damage::Remove),
        (0..12u64).prop_map(Damage::RenameTo),
    ]
}

fn apply(disk: &SimDisk, name: &str, other: &str, damage: &Damage) {
    let Ok(file) = disk.open(&dir().join(name)) else {
        return;
    };
    let bytes = contents(disk, name);
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Flip(at, bit) => flip_bit(disk, name, at.index(bytes.len()) as u64, *bit),
        Damage::Zero(at, length) => {
            let at = at.index(bytes.len());
            overwrite(disk, name, at as u64, &vec![0; (*length).min(bytes.len() - at)]);
        }
        Damage::Noise(at, noise) => overwrite(disk, name, at.index(bytes.len()) as u64, noise),
        Damage::Copy(from, to, length) => {
            let Ok(target) = disk.open(&dir().join(other)) else {
                return;
            };
            // Aligned places are the ones that could be taken for frames.
            let from = from.index(bytes.len()) / 8 * 8;
            let piece = &bytes[from..(from + length).min(bytes.len())];
            let to = to.index(target.len().expect("length") as usize + 1) / 8 * 8;
            overwrite(disk, other, to as u64, piece);
        }
        Damage::Shorten(to) => file.set_len(to.index(bytes.len()) as u64).expect("shorten"),
        Damage::Remove => disk.remove(&dir().join(name)).expect("remove"),
        Damage::RenameTo(id) => disk.rename(&dir().join(name), &dir().join(format!("{id:016x}.wal"))).expect("rename"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_damaged_log_never_yields_what_was_not_written(
        damages in prop::collection::vec((damages(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..5),
    ) {
        let (disk, all) = written();
        let names = segments(&disk);
        for (damage, name, other) in &damages {
            apply(&disk, &names[name.index(names.len())], &names[other.index(names.len())], damage);
        }
        if let Ok(opened) = try_open(&disk) {
            only_what_was_written(&opened, &all);
            append_behind(&opened);
        }
    }

    #[test]
    fn arbitrary_bytes_as_a_segment_never_yield_a_record(
        noise in prop::collection::vec(any::<u8>(), 0..5000), keep_header: bool, id in 1..4u64,
    ) {
        let disk = SimDisk::new();
        let (wal, _) = open(&disk);
        wal.close();
        let name = &segments(&disk)[0];
        let head = contents(&disk, name)[..64].to_vec();
        let file = disk.create(&dir().join(format!("{id:016x}.wal"))).expect("create");
        file.write_at(0, &noise).expect("write");
        if keep_header {
            file.write_at(0, &head).expect("write");
        }
        if let Ok(opened) = try_open(&disk) {
            only_what_was_written(&opened, &[]);
        }
    }
}

/// A log that opens must also work.
fn append_behind(opened: &(Wal, Recovered)) {
    let (wal, recovered) = opened;
    let next = match (recovered.last, recovered.purged) {
        (Some((index, _)), _) | (None, Some((index, _))) => index + 1,
        (None, None) => recovered.first_index,
    };
    append(wal, records(next, next + 1));
}
