//! Starting either server the same way: one member, default durability, on ports of its own.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use quorate_client::{
    Client, ClientError, Options,
    api::{RangeRequest, StatusRequest},
};

use crate::{
    children::{self, Running},
    error::Trouble,
    process::{self, Sample},
    target::Target,
};

/// How long a server may take to answer its first read. Loading millions of keys counts.
const START_MAX: Duration = Duration::from_secs(600);

/// How often a starting server is asked: the resolution of a measured start.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// A program that speaks etcd's API and takes its flags.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) name: &'static str,
    path: PathBuf,
    flags: Vec<String>,
}

impl Binary {
    /// Refuses programs that are not there and flags that make writes less durable than they say.
    pub(crate) fn find(name: &'static str, path: &Path, flags: &[String]) -> Result<Self, Trouble> {
        let path = path.canonicalize().map_err(Trouble::file(path))?;
        match flags.iter().find(|flag| flag.contains("unsafe")) {
            Some(flag) => Err(Trouble::Cannot(format!("{flag}: only durable servers are compared"))),
            None => Ok(Self { name, path, flags: flags.to_vec() }),
        }
    }

    /// Its program and extra flags, in words.
    pub(crate) fn describe(&self) -> String {
        let flags = if self.flags.is_empty() { "no extra flags".to_owned() } else { self.flags.join(" ") };
        format!("{} ({flags})", self.path.display())
    }

    /// Starts one member in `data`, which may hold an earlier life of it, and waits for its first linearizable answer.
    pub(crate) fn start(&self, data: &Path) -> Result<Server, Trouble> {
        fs::create_dir_all(data).map_err(Trouble::file(data))?;
        let ports = free_ports()?;
        let [client, peer] = ports.map(|port| format!("http://127.0.0.1:{port}"));
        let log_path = data.with_extension("log");
        let log = File::create(&log_path).map_err(Trouble::file(&log_path))?;
        let errors = log.try_clone().map_err(Trouble::file(&log_path))?;
        let mut command = Command::new(&self.path);
        command
            .args(["--name", "bench", "--initial-cluster-state", "new", "--quota-backend-bytes", "17179869184"])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("bench={peer}")])
            .arg("--data-dir")
            .arg(data)
            .args(&self.flags)
            .stdout(log)
            .stderr(errors);
        let started = Instant::now();
        let mut process = Running::start(&mut command)?;
        let endpoint = format!("127.0.0.1:{}", ports[0]);
        while !answers(&endpoint)? {
            if process.has_ended() || started.elapsed() > START_MAX {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(Trouble::Cannot(format!("{} does not serve:\n{}", self.path.display(), tail.join("\n"))));
            }
            thread::sleep(ASK_EVERY);
        }
        Ok(Server { process, endpoint, data: data.to_path_buf(), until_serving: started.elapsed() })
    }
}

/// Two ports that were free a moment ago.
fn free_ports() -> Result<[u16; 2], Trouble> {
    // Both are held until both are known, so that they differ.
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let mut ports = [0; 2];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Whether a server answers a linearizable read, which takes a leader.
fn answers(endpoint: &str) -> Result<bool, Trouble> {
    let request = RangeRequest { key: "x".into(), ..Default::default() };
    let asked = ask(endpoint, async |client: Client| client.kv().range(request).await)?;
    Ok(asked.is_ok())
}

/// Asks one thing over a connection of its own.
fn ask<T>(
    endpoint: &str,
    question: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
) -> Result<Result<T, ClientError>, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = Options::default().request_timeout(Duration::from_secs(5));
    Ok(runtime.block_on(async { question(Client::connect(&[endpoint], options).await?).await }))
}

/// A server that runs until this value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Running,
    endpoint: String,
    data: PathBuf,
    /// From the start of the process to its first linearizable answer.
    pub(crate) until_serving: Duration,
}

impl Server {
    /// Where to send load.
    pub(crate) fn target(&self) -> Target {
        Target { endpoints: vec![self.endpoint.clone()], connections: 8, server_pid: Some(self.process.id()) }
    }

    /// The version it reports.
    pub(crate) fn version(&self) -> Result<String, Trouble> {
        let status = ask(&self.endpoint, async |client: Client| client.maintenance().status(StatusRequest {}).await)??;
        Ok(status.version)
    }

    pub(crate) fn sample(&self) -> Result<Sample, Trouble> {
        process::sample(self.process.id())
    }

    /// Bytes that its data takes on disk, holes not counted.
    pub(crate) fn disk_bytes(&self) -> Result<u64, Trouble> {
        allocated_bytes(&self.data)
    }

    /// Kills it. What it acknowledged must be there when it starts again.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }
}

fn allocated_bytes(path: &Path) -> Result<u64, Trouble> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(path).map_err(Trouble::file(path))? {
        let entry = entry.map_err(Trouble::file(path))?;
        // A file may be removed while its directory is read: it takes no space then.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { allocated_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// A directory for both sides that is removed at the end, together with everything in it.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(under: &Path) -> Result<Self, Trouble> {
        let path = under.join(format!("quorate-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(Trouble::file(&path))?;
        let path = path.canonicalize().map_err(Trouble::file(&path))?;
        children::remove_on_signal(&path);
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A directory in it that does not exist yet.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf, Trouble> {
        let path = self.0.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Trouble::file(&path)(error)),
            _ => Ok(path),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_gives_up_durability_is_refused() {
        let path = std::env::current_exe().expect("this test has a file");
        assert!(Binary::find("etcd", &path, &[]).is_ok());
        assert!(Binary::find("etcd", &path, &["--unsafe-no-fsync".to_owned()]).is_err());
    }

    #[test]
    fn a_program_that_does_not_serve_is_reported_with_its_last_words() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let program = Binary::find("etcd", Path::new("/bin/false"), &[]).expect("every Linux has it");
        let error = program.start(&directory.path().join("data")).expect_err("false ends at once");
        assert!(error.to_string().contains("does not serve"), "{error}");
    }
}
