//! Files for the next segments, prepared before they are needed, and the second life of purged ones.
//!
//! Rule: a retired segment is handed out again only after the purge marker that freed it and its change of name are
//! both durable, and only if nobody still reads it. Preparing may fail without harm: the log then makes its next file
//! when it needs it, and stops only if that fails.
//!
//! One helper thread does the slow work (zero-filling, renaming, syncing the directory). Bounds: at most
//! `spare_segments` ready files; the retired ones are at most the segments the log had. In a stepped log there is no
//! thread: retiring happens inside the step, and nothing is prepared ahead.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::error::WalError;
use super::segment::{Segment, Spare, fill_with_zeros, make_spare, spare_name};
use crate::file::FileSystem;

pub(crate) struct Spares {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    /// Only files of exactly this length are kept.
    segment_bytes: u64,
    ready_max: usize,
    shelf: Mutex<Shelf>,
    changed: Condvar,
}

#[derive(Default)]
struct Shelf {
    ready: Vec<Spare>,
    retired: VecDeque<Arc<Segment>>,
    made: u64,
    /// After a failure nothing new is made until a spare was asked for: a full disk must not be hammered.
    resting: bool,
    threaded: bool,
    stopping: bool,
}

enum Chore {
    Recycle(Arc<Segment>),
    Make(u64),
}

impl Spares {
    pub(crate) fn new(fs: Arc<dyn FileSystem>, dir: PathBuf, segment_bytes: u64, ready_max: usize) -> Arc<Spares> {
        Arc::new(Spares { fs, dir, segment_bytes, ready_max, shelf: Mutex::default(), changed: Condvar::new() })
    }

    /// Starts the helper thread. It ends after [`Spares::stop`].
    pub(crate) fn start(self: &Arc<Spares>) -> Result<JoinHandle<()>, WalError> {
        self.shelf.lock().threaded = true;
        let spares = self.clone();
        Builder::new()
            .name("wal-spares".to_string())
            .spawn(move || {
                while let Some(chore) = spares.next_chore() {
                    spares.handle(chore);
                }
            })
            .map_err(|error| WalError::io("start the helper thread of", &self.dir, error))
    }

    pub(crate) fn stop(&self) {
        self.shelf.lock().stopping = true;
        self.changed.notify_all();
    }

    /// A prepared file of at least `bytes`, if there is one.
    pub(crate) fn take(&self, bytes: u64) -> Option<Spare> {
        let mut shelf = self.shelf.lock();
        shelf.resting = false;
        let spare = if bytes <= self.segment_bytes { shelf.ready.pop() } else { None };
        self.changed.notify_all();
        spare
    }

    /// Makes a file on the spot. `number` is the id of the segment it is for.
    pub(crate) fn make_now(&self, number: u64, bytes: u64) -> Result<Spare, WalError> {
        let path = self.dir.join(spare_name("now", number));
        make_spare(&*self.fs, path, bytes.max(self.segment_bytes))
    }

    /// Takes over segments that hold nothing needed any more. Their purge marker is durable.
    pub(crate) fn retire(&self, segments: Vec<Arc<Segment>>) {
        if segments.is_empty() {
            return;
        }
        let mut shelf = self.shelf.lock();
        if shelf.threaded {
            shelf.retired.extend(segments);
            self.changed.notify_all();
            return;
        }
        drop(shelf);
        for segment in segments {
            self.handle(Chore::Recycle(segment));
        }
    }

    /// Ready files, for metrics.
    pub(crate) fn ready(&self) -> usize {
        self.shelf.lock().ready.len()
    }

    fn next_chore(&self) -> Option<Chore> {
        let mut shelf = self.shelf.lock();
        loop {
            if shelf.stopping {
                return None;
            }
            if let Some(segment) = shelf.retired.pop_front() {
                return Some(Chore::Recycle(segment));
            }
            if shelf.ready.len() < self.ready_max && !shelf.resting {
                shelf.made += 1;
                return Some(Chore::Make(shelf.made));
            }
            self.changed.wait(&mut shelf);
        }
    }

    fn handle(&self, chore: Chore) {
        let outcome = match chore {
            Chore::Recycle(segment) => self.recycle(segment),
            Chore::Make(number) => self.make_ahead(number),
        };
        if let Err(error) = outcome {
            // What is left lying under a spare's name is swept at the next start.
            tracing::warn!(%error, "could not prepare a log file ahead of time; the next one is made when it is needed");
            self.shelf.lock().resting = true;
        }
    }

    fn recycle(&self, segment: Arc<Segment>) -> Result<(), WalError> {
        let keep = segment.bytes == self.segment_bytes && self.ready() < self.ready_max;
        match Arc::try_unwrap(segment) {
            Ok(segment) if keep => {
                let path = self.dir.join(spare_name("old", segment.id));
                self.fs
                    .rename(&segment.path, &path)
                    .and_then(|()| self.fs.sync_dir(&self.dir))
                    .map_err(|error| WalError::io("recycle", &segment.path, error))?;
                self.shelf.lock().ready.push(Spare { path, file: segment.file, bytes: segment.bytes });
                Ok(())
            }
            // Too many, the wrong length, or still being read: the reader keeps its handle and the bytes under it.
            Ok(Segment { path, .. }) => self.remove(&path),
            Err(shared) => self.remove(&shared.path),
        }
    }

    fn remove(&self, path: &std::path::Path) -> Result<(), WalError> {
        self.fs.remove(path).map_err(|error| WalError::io("remove", path, error))
    }

    fn make_ahead(&self, number: u64) -> Result<(), WalError> {
        let path = self.dir.join(spare_name("new", number));
        let made = make_spare(&*self.fs, path.clone(), self.segment_bytes).and_then(|spare| {
            // A segment that retires meanwhile is not better: its second life would cost a directory sync as well.
            let filled = fill_with_zeros(&spare, || !self.shelf.lock().stopping)?;
            Ok(filled.then_some(spare))
        });
        match made {
            Ok(Some(spare)) => {
                self.fs.sync_dir(&self.dir).map_err(|error| WalError::io("sync the directory", &self.dir, error))?;
                self.shelf.lock().ready.push(spare);
                Ok(())
            }
            Ok(None) => self.remove(&path),
            Err(error) => {
                // Give the space back before anything else: the log itself may need it.
                self.remove(&path).ok();
                Err(error)
            }
        }
    }
}
