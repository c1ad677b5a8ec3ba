//! Damage before the end stops the member; a torn end is cut, once and for all.

use quorate_disk::file::{FileSystem, SimDisk};
use quorate_disk::wal::{Wal, WalError};

use crate::support::*;

/// Entries 0..6, one batch each, all in one segment.
fn six_batches() -> (SimDisk, String) {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    for index in 0..6 {
        append(&wal, records(index, index + 1));
    }
    wal.close();
    let name = segments(&disk).pop().expect("a segment");
    (disk, name)
}

fn corrupt_at(disk: &SimDisk) -> (String, u64) {
    let before: Vec<_> = files(disk).iter().map(|name| contents(disk, name)).collect();
    let error = try_open(disk).map(|_| ()).expect_err("damaged");
    let after: Vec<_> = files(disk).iter().map(|name| contents(disk, name)).collect();
    assert!(before == after, "a refused log is not touched");
    let sentence = error.to_string();
    assert!(sentence.contains("do not delete the file"), "{sentence}");
    let WalError::Corrupt { file, offset, .. } = error else {
        panic!("not reported as damage: {sentence}");
    };
    (file.file_name().expect("a file").to_string_lossy().into_owned(), offset)
}

#[test]
fn any_flipped_bit_before_the_last_batch_is_damage() {
    let (disk, name) = six_batches();
    let last = find(&disk, &name, "entry 5") - 40;
    for offset in (0..last).step_by(7) {
        let disk = disk.fork();
        let bit = (offset % 8) as u32;
        flip_bit(&disk, &name, offset, bit);
        // Padding between frames is not part of the log.
        match try_open(&disk) {
            Ok((wal, recovered)) => {
                assert_eq!(recovered.last, Some((5, 1)), "offset {offset}");
                assert_eq!(read_all(&wal), records(0, 6), "offset {offset}");
                assert!(offset >= 64 && (offset - 64) % 152 >= 146, "offset {offset} is not padding");
            }
            Err(_) => {
                let (file, at) = corrupt_at(&disk);
                assert_eq!(file, name);
                assert!(at <= offset, "offset {offset} reported at {at}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_last_batch_is_a_torn_tail_and_stays_cut() {
    let (disk, name) = six_batches();
    let at = find(&disk, &name, "entry 5");
    flip_bit(&disk, &name, at, 3);
    let (wal, recovered) = open(&disk);
    assert_eq!(recovered.last, Some((4, 1)));
    assert_eq!(recovered.cut_bytes, 152);
    assert_eq!(read_all(&wal), records(0, 5));
    append(&wal, vec![record(5, 2, "instead")]);
    wal.close();
    if contents(&disk, &name).len() as u64 > at {
        flip_bit(&disk, &name, at, 3);
    }
    let (wal, recovered) = open(&disk);
    assert_eq!((recovered.last, recovered.cut_bytes), (Some((5, 2)), 0));
    assert_eq!(read_all(&wal)[5], record(5, 2, "instead"));
}

#[test]
fn the_whole_beginning_of_a_torn_batch_is_kept() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    append(&wal, records(0, 2));
    append(&wal, records(2, 7));
    let name = segments(&disk).pop().expect("a segment");
    let at = find(&disk, &name, "entry 4");
    flip_bit(&disk, &name, at, 0);
    let (wal, recovered) = open(&disk);
    assert_eq!(read_all(&wal), records(0, 4));
    assert_eq!(recovered.cut_bytes, 3 * 152, "entries 4, 5 and 6");
}

#[test]
fn damage_in_an_older_segment_is_found_wherever_it_is() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    for index in 0..100 {
        append(&wal, records(index, index + 1));
    }
    wal.close();
    let names = segments(&disk);
    assert!(names.len() > 3);
    for name in &names[..names.len() - 1] {
        let bytes = contents(&disk, name);
        let last = bytes.windows(6).rposition(|window| window == b"entry ").expect("an entry");
        for offset in [20, 64, 100, last] {
            let disk = disk.fork();
            flip_bit(&disk, name, offset as u64, 1);
            assert_eq!(corrupt_at(&disk).0, *name, "offset {offset}");
        }
    }
}

#[test]
fn a_sealed_segment_with_a_wiped_end_is_damage() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    for index in 0..60 {
        append(&wal, records(index, index + 1));
    }
    wal.close();
    let name = &segments(&disk)[1];
    let bytes = contents(&disk, name);
    let last = bytes.windows(6).rposition(|window| window == b"entry ").expect("an entry");
    overwrite(&disk, name, last as u64 - 40, &vec![0; bytes.len() - last + 40]);
    assert_eq!(corrupt_at(&disk), (name.clone(), last as u64 - 40));
}

#[test]
fn a_missing_or_swapped_segment_is_damage() {
    let disk = SimDisk::new();
    let (wal, _) = open(&disk);
    for index in 0..100 {
        append(&wal, records(index, index + 1));
    }
    wal.close();
    let names = segments(&disk);
    let gone = disk.fork();
    gone.remove(&dir().join(&names[1])).expect("remove");
    let error = try_open(&gone).map(|_| ()).expect_err("incomplete").to_string();
    assert!(error.contains(&names[1]) && error.contains("missing"), "{error}");
    disk.rename(&dir().join(&names[2]), &dir().join(&names[1])).expect("rename");
    assert!(matches!(try_open(&disk), Err(WalError::Corrupt { .. })));
}

#[test]
fn a_log_of_an_unknown_format_is_refused_by_its_version() {
    let (disk, name) = six_batches();
    let mut head = contents(&disk, &name)[..64].to_vec();
    head[8] = 9;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[..12]);
    hasher.update(&head[16..]);
    head[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    overwrite(&disk, &name, 0, &head);
    let error = try_open(&disk).map(|_| ()).expect_err("unknown").to_string();
    assert!(error.contains("format version 9"), "{error}");
    assert!(error.contains("Start the version that wrote it"), "{error}");
}

#[test]
fn a_record_that_rots_while_the_log_is_open_is_not_served() {
    let (disk, name) = six_batches();
    let (wal, _): (Wal, _) = open(&disk);
    assert_eq!(read_all(&wal), records(0, 6));
    flip_bit(&disk, &name, find(&disk, &name, "entry 3"), 0);
    assert!(matches!(wal.read(0, 6, usize::MAX), Err(WalError::Corrupt { .. })));
    assert_eq!(wal.read(0, 3, usize::MAX).expect("readable"), records(0, 3));
}
