//! Programs that talk to a server: etcdctl in the foreground and in the background.

use super::PATIENCE;
use super::output::Output;
use super::server::Process;
use std::io::{ErrorKind, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// What a program that ended left behind.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error, without etcdctl's own log lines.
    pub(crate) stderr: String,
    /// The exit code as a shell shows it.
    pub(crate) code: i32,
}

/// Runs etcdctl to its end with `input` as standard input.
pub(crate) fn etcdctl(endpoint: &str, args: &[impl AsRef<str>], input: &str) -> Answer {
    let mut session = Session::start(endpoint, args);
    session.say(input);
    session.close_input();
    let code = session.process.wait();
    let text = |lines: Vec<String>| lines.into_iter().map(|line| line + "\n").collect();
    Answer { stdout: text(session.stdout.lines()), stderr: text(session.complaints()), code }
}

/// A running etcdctl.
#[derive(Debug)]
pub(crate) struct Session {
    /// The process; its output is both streams.
    pub(crate) process: Process,
    /// Standard output alone.
    pub(crate) stdout: Output,
    stderr: Output,
    stdin: Option<ChildStdin>,
}

impl Session {
    /// Starts etcdctl.
    pub(crate) fn start(endpoint: &str, args: &[impl AsRef<str>]) -> Self {
        let mut command = Command::new("etcdctl");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ETCDCTL_API", "3")
            .arg(format!("--endpoints={endpoint}"))
            .args(args.iter().map(AsRef::as_ref))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = start(&mut command);
        let (stdout, stderr) = (Output::default(), Output::default());
        stdout.collect(child.stdout.take().expect("piped above"));
        stderr.collect(child.stderr.take().expect("piped above"));
        let stdin = child.stdin.take();
        Self { process: Process::new(child, stdout.clone()), stdout, stderr, stdin }
    }

    /// Writes to its standard input.
    pub(crate) fn say(&mut self, text: &str) {
        if let Some(stdin) = &mut self.stdin {
            // A program that does not read its input may have ended already.
            let _ = stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush());
        }
    }

    /// Ends its standard input.
    pub(crate) fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Standard error without the log lines of the Go client, which hold times and line numbers.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.stderr.wait_closed(PATIENCE);
        self.stderr.lines().into_iter().filter(|line| !line.starts_with("{\"level\":")).collect()
    }
}

fn start(command: &mut Command) -> Child {
    match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!(
            "etcdctl is not on the PATH, and these tests are about it; `make test` installs it before it runs them"
        ),
        Err(error) => panic!("cannot start etcdctl: {error}"),
    }
}
