//! How a server process is started.

use super::PATIENCE;
use super::output::Output;
use super::ports::free_port;
use super::server::{Process, Server};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// What a server logs when its ports are open and everything committed is applied; etcd says the same.
pub(crate) const READY: &str = "ready to serve client requests";
/// Two processes that choose the same port at the same moment are rare; four times in a row is something else.
const BIND_ATTEMPTS: u32 = 4;

/// The server under test: ours, or what `QUORATE_TEST_SERVER` names.
pub(crate) fn server_under_test() -> PathBuf {
    std::env::var_os("QUORATE_TEST_SERVER").map_or_else(quorate, PathBuf::from)
}

/// Our binary, as cargo has built it for this test.
pub(crate) fn quorate() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_quorate"))
}

/// True when the suite runs against another server than ours.
pub(crate) fn is_original() -> bool {
    std::env::var_os("QUORATE_TEST_SERVER").is_some()
}

/// Where a server keeps its data; a directory of its own goes away with the last server on it.
#[derive(Debug)]
pub(crate) enum Home {
    /// Made for this server.
    Own(TempDir),
    /// Somebody else's.
    Given(PathBuf),
}

impl Home {
    /// The data directory.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Own(directory) => directory.path().join("data"),
            Self::Given(path) => path.clone(),
        }
    }
}

/// A server to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    program: PathBuf,
    home: Home,
    flags: Vec<String>,
    file_blocks_max: Option<u64>,
    ports: Option<(u16, u16)>,
}

impl Launch {
    /// The server under test on a new directory.
    pub(crate) fn fresh() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        Self::of(server_under_test(), Home::Own(directory))
    }

    /// Our own server on a given directory.
    pub(crate) fn ours(data_dir: &Path) -> Self {
        Self::of(quorate(), Home::Given(data_dir.to_path_buf()))
    }

    /// Any server on any directory.
    pub(crate) fn of(program: PathBuf, home: Home) -> Self {
        Self { program, home, flags: Vec::new(), file_blocks_max: None, ports: None }
    }

    /// Adds a flag.
    pub(crate) fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Adds flags.
    pub(crate) fn flags<S: Into<String>>(mut self, flags: impl IntoIterator<Item = S>) -> Self {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }

    /// Lets the process write no file beyond this many blocks of 1024 bytes (`ulimit -f`), as a disk without space does.
    pub(crate) fn file_blocks_max(mut self, blocks: u64) -> Self {
        self.file_blocks_max = Some(blocks);
        self
    }

    /// Takes these ports, client first, instead of free ones.
    pub(crate) fn ports(mut self, client: u16, peer: u16) -> Self {
        self.ports = Some((client, peer));
        self
    }

    /// Starts the process and waits until it serves.
    pub(crate) fn start(mut self) -> Server {
        let given = self.ports;
        for attempt in 1..=BIND_ATTEMPTS {
            let mut process = self.spawn_once();
            let ready = process.output().wait(PATIENCE, |lines| lines.iter().any(|line| line.contains(READY)));
            if ready {
                return Server::new(process, self);
            }
            let log = process.output().text();
            let taken = log.contains("address already in use") || log.contains("Address already in use");
            process.kill();
            if !(taken && given.is_none() && attempt < BIND_ATTEMPTS) {
                panic!("the server did not get ready; it said:\n{log}");
            }
            self.ports = None;
        }
        unreachable!("the last attempt returns or panics");
    }

    /// Starts the process and kills it when it has logged so many lines, ready or not.
    pub(crate) fn kill_while_starting(&mut self, lines: usize) {
        let mut process = self.spawn_once();
        process
            .output()
            .wait(PATIENCE, |logged| logged.len() >= lines || logged.iter().any(|line| line.contains(READY)));
        process.kill();
    }

    /// Starts the process without waiting for anything.
    pub(crate) fn spawn(mut self) -> Process {
        self.spawn_once()
    }

    /// Starts a process that is expected to end by itself, and returns its exit code and what it printed.
    pub(crate) fn refused(mut self) -> (i32, String) {
        let mut process = self.spawn_once();
        let code = process.wait();
        (code, process.output().text())
    }

    /// Where clients connect, once started.
    pub(crate) fn client_port(&self) -> u16 {
        self.ports.expect("ports are chosen at the first start").0
    }

    fn spawn_once(&mut self) -> Process {
        let (client, peer) = *self.ports.get_or_insert_with(|| (free_port(), free_port()));
        let mut command = match self.file_blocks_max {
            // bash counts `ulimit -f` in blocks of 1024 bytes; the limit raises SIGXFSZ, which is ignored here so that the
            // write fails with an error, as it does on a full disk.
            Some(blocks) => {
                let mut shell = Command::new("bash");
                shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(&self.program);
                shell
            }
            None => Command::new(&self.program),
        };
        let peer_url = format!("http://127.0.0.1:{peer}");
        let client_url = format!("http://127.0.0.1:{client}");
        command
            .arg(format!("--data-dir={}", self.home.path().display()))
            .arg(format!("--listen-client-urls={client_url}"))
            .arg(format!("--advertise-client-urls={client_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=default={peer_url}"))
            .args(&self.flags)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {}: {error}", self.program.display());
        });
        let output = Output::default();
        output.collect(child.stdout.take().expect("piped above"));
        output.collect(child.stderr.take().expect("piped above"));
        Process::new(child, output)
    }
}
