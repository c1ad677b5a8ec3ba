//! A server process while it runs.

use super::PATIENCE;
use super::launch::Launch;
use super::output::Output;
use super::tool::{self, Answer};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// A child process with its output. Killed when dropped; when the test fails, what it printed is shown.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: Output,
    ended: Option<i32>,
}

impl Process {
    pub(crate) fn new(child: Child, output: Output) -> Self {
        Self { child, output, ended: None }
    }

    /// What it printed.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids fit");
        let id = Pid::from_raw(id).expect("process ids are not zero");
        // It may have ended in this moment; the exit code tells.
        let _ = kill_process(id, signal);
    }

    /// Ends it as a power cut ends a process: at once, without a chance to do anything.
    pub(crate) fn kill(&mut self) {
        if self.ended.is_none() {
            // It may have ended in this moment; the exit code tells.
            let _ = self.child.kill();
            self.wait();
        }
    }

    /// True while the process has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.ended.is_none() && self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits for the end and returns the exit code as a shell shows it.
    pub(crate) fn wait(&mut self) -> i32 {
        if let Some(code) = self.ended {
            return code;
        }
        // The pipes close when the process ends, so waiting for them first gives the wait its bound.
        self.output.wait_closed(PATIENCE);
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().expect("the child is ours") {
                Some(status) => break status,
                // Its pipes are closed, so it is ending; the kernel offers no wait with a bound.
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
                None => panic!("process {} did not end; it said:\n{}", self.child.id(), self.output.text()),
            }
        };
        let code = shell_code(status);
        self.ended = Some(code);
        code
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Nobody is left to tell about a failure.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- process {} printed:\n{}\n---", self.child.id(), self.output.text());
        }
    }
}

fn shell_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("a process ends by code or by signal")
}

/// A server that was ready to serve when it was handed out.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    launch: Launch,
}

impl Server {
    pub(crate) fn new(process: Process, launch: Launch) -> Self {
        Self { process, launch }
    }

    /// `host:port` for clients.
    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.launch.client_port())
    }

    /// The process.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it logged since its last start.
    pub(crate) fn output(&self) -> &Output {
        self.process.output()
    }

    /// Ends it with SIGTERM and returns the exit code.
    pub(crate) fn terminate(&mut self) -> i32 {
        self.process.signal(Signal::TERM);
        self.process.wait()
    }

    /// Starts it again on the same directory and ports; it must not run any more, or is killed.
    pub(crate) fn restart(self) -> Self {
        self.restart_with::<String>(&[])
    }

    /// As [`Server::restart`], with further flags.
    pub(crate) fn restart_with<S: AsRef<str>>(self, flags: &[S]) -> Self {
        self.stopped().flags(flags.iter().map(AsRef::as_ref)).start()
    }

    /// Kills it if it runs, and returns how it was started.
    pub(crate) fn stopped(self) -> Launch {
        let Self { mut process, launch } = self;
        process.kill();
        launch
    }

    /// Runs etcdctl against it.
    pub(crate) fn etcdctl(&self, args: &[&str]) -> Answer {
        tool::etcdctl(&self.endpoint(), args, "")
    }

    /// Runs etcdctl against it and returns what it printed; anything but success fails the test.
    pub(crate) fn etcdctl_ok(&self, args: &[&str]) -> String {
        let answer = self.etcdctl(args);
        assert_eq!(answer.code, 0, "etcdctl {args:?} failed: {}", answer.stderr);
        answer.stdout
    }
}
