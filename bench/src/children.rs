//! Servers that this program starts, and their certain end.
//!
//! Rule: no child outlives this process, whether it finishes, fails or is interrupted. A child's id is on the list from
//! the moment it exists until just before it is reaped, so that no foreign process is ever signalled.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{error::Trouble, report};

static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// The directory that goes with the children. A process has one comparison, so one is enough.
static SCRATCH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Removes `directory` and everything in it, should this process be interrupted.
pub(crate) fn remove_on_signal(directory: &Path) {
    *SCRATCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(directory.to_path_buf());
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process that is killed when this value is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    ended: bool,
}

impl Running {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Trouble> {
        // The list is held while the child is made: a signal in between waits for its id.
        let mut list = running();
        let child = command
            .spawn()
            .map_err(|error| Trouble::Cannot(format!("cannot start {}: {error}", command.get_program().display())))?;
        list.extend(pid(&child));
        Ok(Self { child, ended: false })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        // Not reaped here: the id stays ours until `kill`.
        self.ended || self.state_is_zombie()
    }

    /// Ends it at once, as a power cut would for a process, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        let mut list = running();
        // Both fail only when it is gone already.
        self.child.kill().ok();
        list.retain(|listed| Some(*listed) != pid(&self.child));
        self.child.wait().ok();
    }

    fn state_is_zombie(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.id()))
            .ok()
            .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().starts_with('Z')))
            .unwrap_or(true)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// From now on, an interrupt or a request to end kills every child, then this process.
pub(crate) fn end_on_signals() {
    let wait = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async {
            let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok()?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted.ok(),
                _ = end.recv() => Some(()),
            }
        })
    };
    thread::spawn(move || {
        if wait().is_some() {
            // Kept locked until the exit: nothing is started any more.
            let list = running();
            for pid in &*list {
                kill_process(*pid, Signal::KILL).ok();
            }
            if let Some(directory) = &*SCRATCH.lock().unwrap_or_else(PoisonError::into_inner) {
                fs::remove_dir_all(directory).ok();
            }
            report::complain(&"interrupted");
            std::process::exit(130);
        }
    });
}
