//! A disk in memory that can lose power.
//!
//! Rule: it is never kinder than a real disk. What was not synced survives a crash only as the seed decides, sector
//! by sector; a failed sync loses the bytes it should have saved *and* forgets that they were dirty, as Linux does,
//! so that a log that tries again is caught.
//!
//! ```text
//! write_at ─▶ written ──sync_data──▶ synced          create, rename, remove ─▶ names ──sync_dir──▶ durable names
//! crash(seed): each unsynced sector survives or not, the last may be torn; a seeded prefix of the unsynced names survives
//! ```
//!
//! Left out: time (a simulator sleeps around the calls) and damage to synced bytes (tests open a file and write into it).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{FileSystem, LogFile};

/// The unit that a power cut keeps or loses as a whole.
const SECTOR_BYTES: usize = 512;
/// The operating system's number for "no space left on device".
const ENOSPC: i32 = 28;
/// The operating system's number for an input/output error.
const EIO: i32 = 5;

/// A simulated disk. Clones share it; [`SimDisk::fork`] copies it.
#[derive(Clone, Default)]
pub struct SimDisk {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Clone, Default)]
struct Disk {
    files: BTreeMap<u64, Contents>,
    next_file: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Name changes since the last `sync_dir` of their directory, oldest first.
    journal: Vec<NameChange>,
    /// Handles opened before the last crash or kill are dead.
    boots: u64,
    operations: u64,
    writes: u64,
    syncs: u64,
    cut_at_operation: Option<u64>,
    fail_write: Option<u64>,
    fail_sync: Option<u64>,
    space_bytes: Option<u64>,
}

#[derive(Clone, Default)]
struct Contents {
    written: Vec<u8>,
    synced: Vec<u8>,
    /// Sectors of `written` that the next sync must save.
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            NameChange::Create(path, _) | NameChange::Rename(path, _) | NameChange::Remove(path) => path.parent(),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            NameChange::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl SimDisk {
    /// An empty disk without faults.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// Cuts the power and turns it on again. `seed` decides which unsynced sectors and names survive; the same seed
    /// on the same disk always decides the same. Handles opened before are dead, planned faults are forgotten.
    pub fn crash(&self, seed: u64) {
        let mut disk = self.disk.lock();
        let mut dice = Dice(seed);
        let mut kept: BTreeMap<PathBuf, usize> = BTreeMap::new();
        for change in &disk.journal {
            let dir = change.dir().unwrap_or(Path::new("")).to_path_buf();
            *kept.entry(dir).or_default() += 1;
        }
        for count in kept.values_mut() {
            *count = dice.below(*count as u64 + 1) as usize;
        }
        for change in std::mem::take(&mut disk.journal) {
            let dir = change.dir().unwrap_or(Path::new("")).to_path_buf();
            let left = kept.get_mut(&dir).expect("every directory was counted");
            if *left > 0 {
                *left -= 1;
                change.apply(&mut disk.durable_names);
            }
        }
        disk.names = disk.durable_names.clone();
        let named: BTreeSet<u64> = disk.names.values().copied().collect();
        disk.files.retain(|file, _| named.contains(file));
        for contents in disk.files.values_mut() {
            contents.lose_power(&mut dice);
        }
        disk.boot();
    }

    /// The process dies and the system lives: unsynced bytes and names stay, handles are dead, planned faults are
    /// forgotten.
    pub fn kill_process(&self) {
        self.disk.lock().boot();
    }

    /// A copy of this disk as it is now, unsynced bytes and planned faults included. Handles belong to the original.
    pub fn fork(&self) -> SimDisk {
        SimDisk { disk: Arc::new(Mutex::new(self.disk.lock().clone())) }
    }

    /// From the `n`-th changing operation on (counted from 0 over the disk's life, see [`SimDisk::operations`]) nothing
    /// works until [`SimDisk::crash`]. If the `n`-th is a write, its bytes are in flight and may survive.
    pub fn cut_power_at(&self, n: u64) {
        self.disk.lock().cut_at_operation = Some(n);
    }

    /// The `n`-th write from now (0 is the next) fails half done.
    pub fn fail_write(&self, n: u64) {
        let mut disk = self.disk.lock();
        disk.fail_write = Some(disk.writes + n);
    }

    /// The `n`-th `sync_data` from now (0 is the next) fails, and the bytes it should have saved are lost.
    pub fn fail_sync(&self, n: u64) {
        let mut disk = self.disk.lock();
        disk.fail_sync = Some(disk.syncs + n);
    }

    /// Lets all files together hold `bytes`; what needs more fails with "no space left on device". `None` lifts it.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.disk.lock().space_bytes = bytes;
    }

    /// How many changing operations (write, sync, set_len, allocate, create, rename, remove, sync_dir) were asked for.
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// How many `sync_data` calls were made.
    pub fn syncs(&self) -> u64 {
        self.disk.lock().syncs
    }

    /// How many `write_at` calls were made.
    pub fn writes(&self) -> u64 {
        self.disk.lock().writes
    }

    /// The bytes that all named files hold together.
    pub fn used_bytes(&self) -> u64 {
        self.disk.lock().used_bytes()
    }
}

impl Disk {
    fn used_bytes(&self) -> u64 {
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        named.iter().filter_map(|file| self.files.get(file)).map(|contents| contents.written.len() as u64).sum()
    }

    fn boot(&mut self) {
        self.boots += 1;
        self.cut_at_operation = None;
        self.fail_write = None;
        self.fail_sync = None;
    }

    /// Counts one changing operation; an error if the power is off from here on.
    fn operate(&mut self) -> io::Result<()> {
        let n = self.operations;
        self.operations += 1;
        match self.cut_at_operation {
            Some(cut) if n >= cut => Err(power_is_off()),
            _ => Ok(()),
        }
    }

    fn contents(&mut self, file: u64, boot: u64) -> io::Result<&mut Contents> {
        if boot != self.boots {
            return Err(power_is_off());
        }
        self.files.get_mut(&file).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Refuses to grow `file` to `bytes` when the disk would overflow.
    fn need_space(&mut self, file: u64, boot: u64, bytes: u64) -> io::Result<()> {
        let have = self.contents(file, boot)?.written.len() as u64;
        let grown = self.used_bytes() + bytes.saturating_sub(have);
        match self.space_bytes {
            Some(limit) if bytes > have && grown > limit => Err(io::Error::from_raw_os_error(ENOSPC)),
            _ => Ok(()),
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.journal.push(change);
    }

    fn file_at(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Contents {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.written.len() < end {
            self.written.resize(end, 0);
        }
        self.written[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES);
    }

    fn resize(&mut self, bytes: usize) {
        self.written.resize(bytes, 0);
        self.dirty.retain(|sector| sector * SECTOR_BYTES < self.written.len());
    }

    fn sync(&mut self) {
        self.synced.resize(self.written.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let (from, to) = self.sector(sector);
            self.synced[from..to].copy_from_slice(&self.written[from..to]);
        }
    }

    fn sector(&self, sector: usize) -> (usize, usize) {
        let from = sector * SECTOR_BYTES;
        (from, (from + SECTOR_BYTES).min(self.written.len()))
    }

    fn lose_power(&mut self, dice: &mut Dice) {
        let mut after = self.synced.clone();
        // How much survives differs from crash to crash: nothing, a quarter, half, three quarters, everything.
        let quarters = dice.below(5);
        if self.written.len() != after.len() && dice.below(2) == 1 {
            after.resize(self.written.len(), 0);
        }
        let last = self.dirty.last().copied();
        for &sector in &self.dirty {
            if dice.below(4) >= quarters {
                continue;
            }
            let (from, mut to) = self.sector(sector);
            if Some(sector) == last && dice.below(2) == 1 {
                to = from + dice.below((to - from) as u64 + 1) as usize;
            }
            if after.len() < to {
                after.resize(to, 0);
            }
            after[from..to].copy_from_slice(&self.written[from..to]);
        }
        self.dirty.clear();
        self.synced = after.clone();
        self.written = after;
    }
}

impl FileSystem for SimDisk {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        // Directories exist by being named in a path; the log's own directory is made once, long before it matters.
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let mut disk = self.disk.lock();
        disk.operate()?;
        let file = disk.next_file;
        disk.next_file += 1;
        disk.files.insert(file, Contents::default());
        disk.change_name(NameChange::Create(path.to_path_buf(), file));
        Ok(Box::new(self.handle(file, disk.boots)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let disk = self.disk.lock();
        let file = disk.file_at(path)?;
        Ok(Box::new(self.handle(file, disk.boots)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operate()?;
        disk.file_at(from)?;
        disk.change_name(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operate()?;
        disk.file_at(path)?;
        disk.change_name(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk.lock();
        Ok(disk
            .names
            .keys()
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_string()))
            .collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operate()?;
        for change in std::mem::take(&mut disk.journal) {
            if change.dir() == Some(dir) {
                change.apply(&mut disk.durable_names);
            } else {
                disk.journal.push(change);
            }
        }
        Ok(())
    }
}

impl SimDisk {
    fn handle(&self, file: u64, boot: u64) -> SimFile {
        SimFile { disk: self.disk.clone(), file, boot }
    }
}

struct SimFile {
    disk: Arc<Mutex<Disk>>,
    file: u64,
    boot: u64,
}

impl LogFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let powered = disk.operate();
        let n = disk.writes;
        disk.writes += 1;
        if powered.is_err() && disk.cut_at_operation != Some(disk.operations - 1) {
            return powered;
        }
        disk.need_space(self.file, self.boot, offset + bytes.len() as u64)?;
        let fails = disk.fail_write == Some(n);
        let done = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        disk.contents(self.file, self.boot)?.write(offset as usize, done);
        if fails {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        powered
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let contents = disk.contents(self.file, self.boot)?;
        let from = offset as usize;
        let bytes = contents
            .written
            .get(from..from + buf.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operate()?;
        let n = disk.syncs;
        disk.syncs += 1;
        let fails = disk.fail_sync == Some(n);
        let contents = disk.contents(self.file, self.boot)?;
        if fails {
            // The kernel marks the pages clean although they never reached the disk.
            contents.dirty.clear();
            return Err(io::Error::from_raw_os_error(EIO));
        }
        contents.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        Ok(disk.contents(self.file, self.boot)?.written.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operate()?;
        disk.need_space(self.file, self.boot, bytes)?;
        disk.contents(self.file, self.boot)?.resize(bytes as usize);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.operate()?;
        disk.need_space(self.file, self.boot, bytes)?;
        let contents = disk.contents(self.file, self.boot)?;
        if (contents.written.len() as u64) < bytes {
            contents.resize(bytes as usize);
        }
        Ok(())
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

/// SplitMix64: a seeded source that needs no crate and never changes between versions.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIR: &str = "/d";

    fn read_all(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(Path::new(path)).ok()?;
        let mut buf = vec![0; file.len().expect("length") as usize];
        file.read_at(0, &mut buf).expect("read");
        Some(buf)
    }

    #[test]
    fn synced_bytes_survive_every_crash_and_unsynced_ones_only_some() {
        let disk = SimDisk::new();
        let file = disk.create(Path::new("/d/f")).expect("create");
        file.write_at(0, &[1; 1024]).expect("write");
        file.sync_data().expect("sync");
        disk.sync_dir(Path::new(DIR)).expect("sync the directory");
        file.write_at(1024, &[2; 2048]).expect("write");
        let (mut lost, mut kept, mut torn) = (0, 0, 0);
        for seed in 0..200 {
            let after = disk.fork();
            after.crash(seed);
            let bytes = read_all(&after, "/d/f").expect("the name is durable");
            assert!(bytes[..1024].iter().all(|b| *b == 1));
            let twos = bytes[1024..].iter().filter(|b| **b == 2).count();
            lost += usize::from(twos == 0);
            kept += usize::from(twos == 2048);
            torn += usize::from(twos % SECTOR_BYTES != 0);
        }
        assert!(lost > 0 && kept > 0 && torn > 0, "{lost} lost, {kept} kept, {torn} torn");
    }

    #[test]
    fn names_survive_as_a_prefix_and_only_for_certain_after_sync_dir() {
        let disk = SimDisk::new();
        disk.create(Path::new("/d/a")).expect("create");
        disk.sync_dir(Path::new(DIR)).expect("sync the directory");
        disk.rename(Path::new("/d/a"), Path::new("/d/b")).expect("rename");
        disk.create(Path::new("/d/c")).expect("create");
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            let after = disk.fork();
            after.crash(seed);
            seen.insert(after.list(Path::new(DIR)).expect("list").join(","));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a", "b", "b,c"]);
    }

    #[test]
    fn a_failed_sync_forgets_that_the_bytes_were_dirty() {
        let disk = SimDisk::new();
        let file = disk.create(Path::new("/d/f")).expect("create");
        file.allocate(4).expect("allocate");
        disk.sync_dir(Path::new(DIR)).expect("sync the directory");
        file.sync_data().expect("sync");
        file.write_at(0, b"gone").expect("write");
        disk.fail_sync(0);
        assert!(file.sync_data().is_err());
        file.sync_data().expect("a second try says all is well");
        for seed in 0..20 {
            let after = disk.fork();
            after.crash(seed);
            assert_eq!(read_all(&after, "/d/f").expect("named"), [0; 4]);
        }
    }

    #[test]
    fn a_full_disk_and_a_cut_power_say_so() {
        let disk = SimDisk::new();
        let file = disk.create(Path::new("/d/f")).expect("create");
        disk.limit_space(Some(10));
        assert_eq!(file.allocate(11).expect_err("too much").kind(), io::ErrorKind::StorageFull);
        file.write_at(0, &[7; 10]).expect("it fits");
        disk.cut_power_at(disk.operations());
        assert!(file.sync_data().is_err());
        assert!(file.write_at(0, b"x").is_err());
        disk.crash(1);
        assert!(file.len().is_err(), "handles die with the power");
    }
}
