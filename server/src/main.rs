//! The binary: reads its configuration, runs a member, and ends as etcd does (contract §6.1).

use quorate::Member;
use quorate::config::{self, Action, Config};
use quorate::logging::{self, LogGuard};
use quorate_core::error::Fault;
use rustix::process::Signal;
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let read_file = |path: &std::path::Path| std::fs::read_to_string(path);
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    match config::resolve(args, env, read_file) {
        Ok(Action::PrintVersion(text) | Action::PrintHelp(text)) => {
            // A closed pipe is the reader's choice.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Action::Run(config)) => run(*config),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(config: Config) -> ExitCode {
    let guard = match logging::init(&config.local.log) {
        Ok(guard) => guard,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            return ExitCode::FAILURE;
        }
    };
    config.log_at_start();
    quorate::serve::files::raise_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(target: logging::FATAL, %error, "could not start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let end = runtime.block_on(serve(config));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    finish(&guard, end)
}

/// How a run ends.
enum End {
    Signal(Signal),
    Fault(Fault),
}

/// Runs a member until a signal or a fault; a signal ends it also while it is still starting.
async fn serve(config: Config) -> End {
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => {
            return End::Fault(Fault::new(format!("cannot receive signals: {error}")));
        }
    };
    let mut told = std::pin::pin!(async move {
        tokio::select! {
            _ = terminate.recv() => Signal::TERM,
            _ = interrupt.recv() => Signal::INT,
        }
    });
    let member = tokio::select! {
        biased;
        // Nothing was promised to anybody yet; what is on disk is what a crash would leave, which is a good state.
        signal = &mut told => return End::Signal(signal),
        started = Member::start(config) => match started {
            Ok(member) => member,
            Err(fault) => return End::Fault(fault),
        },
    };
    if let Err(error) = notify_systemd() {
        tracing::warn!(%error, "could not tell systemd that the member is ready");
    }
    let signal = tokio::select! {
        biased;
        signal = &mut told => {
            tracing::info!(signal = if signal == Signal::INT { "interrupt" } else { "terminated" }, "received a signal; stopping");
            Some(signal)
        }
        _ = member.failed() => None,
    };
    match (member.stop().await, signal) {
        (Ok(()), Some(signal)) => End::Signal(signal),
        (Err(fault), _) => End::Fault(fault),
        (Ok(()), None) => End::Fault(Fault::new("the member stopped because of a fault")),
    }
}

/// `READY=1` to the socket in `NOTIFY_SOCKET`, when there is one.
fn notify_systemd() -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match path.to_string_lossy().strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}

/// Ends with the code of the signal that asked for it, as a shell sees etcd end; as process 1 with 0.
fn finish(guard: &LogGuard, end: End) -> ExitCode {
    match end {
        End::Fault(fault) => {
            tracing::error!(target: logging::FATAL, error = %fault, "the member cannot run");
            guard.flush();
            ExitCode::FAILURE
        }
        End::Signal(signal) => {
            guard.flush();
            match (std::process::id(), signal) {
                (1, _) => ExitCode::SUCCESS,
                (_, Signal::INT) => ExitCode::from(130),
                _ => ExitCode::from(143),
            }
        }
    }
}
