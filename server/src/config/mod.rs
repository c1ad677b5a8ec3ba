//! What a member is told before it starts: command line, environment, config file (contract §6).
//!
//! [`resolve`] takes the three and gives one validated [`Config`], or what to print, or an error with the exit code.
//! It reads no clock, no network and no disk: the environment and the text of the config file are passed in.
//!
//! ```text
//! args ─ args.rs ──┐
//! env ─ environment.rs ─┤ Settings ── rename old names ── assemble.rs ── validate.rs ── unavailable.rs ── Config
//! file ─ file.rs ──┘        (what was said)               (what it means)  (is it sane)   (can we honour it)
//! ```
//!
//! The rules: every flag of etcd 3.5 to 3.8 is accepted; what changes nothing is said once in the log; what cannot be
//! honoured and would be dangerous to ignore is refused. One table ([`table`]) lists all flags, and parsing, help and
//! notices follow from it.
//!
//! Left out: sub-commands (`gateway`, `grpc-proxy`), which are not part of a server.

pub mod duration;
pub mod flag;
pub mod gates;
pub mod identity;
pub mod table;
pub mod url;

mod args;
mod assemble;
mod describe;
mod environment;
mod error;
mod file;
mod help;
mod model;
mod number;
mod peers;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod unavailable;
mod validate;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

pub use error::ConfigError;
pub use model::{
    AuthToken, AutoCompaction, Checks, Cluster, Compaction, Config, Connections, Credentials, Http, InitialState,
    Local, MetricsLevel, RequestLimits, Urls,
};
pub use peers::InitialCluster;
pub use tls::{TlsInfo, TlsVersion};

use settings::Settings;

/// What the process was asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Run a member.
    Run(Box<Config>),
    /// Print this text to standard output and exit with 0.
    PrintVersion(String),
    /// Print this text to standard output and exit with 0.
    PrintHelp(String),
}

/// Reads what the process was told.
///
/// `args` begin with the program's name; under the name `etcd` the version text and the default data directory are
/// etcd's. `env` may hold all variables of the process; only `ETCD_*` ones are looked at. `read_file` is called at most
/// once, with the path of the config file.
pub fn resolve(
    args: impl IntoIterator<Item = String>,
    env: impl IntoIterator<Item = (String, String)>,
    read_file: impl FnOnce(&Path) -> io::Result<String>,
) -> Result<Action, ConfigError> {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let program = Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or("quorate").to_owned();
    let as_etcd = program == "etcd";

    let (settings, rest) = match args::parse(args)? {
        args::CommandLine::Help => return Ok(Action::PrintHelp(help::text(&program))),
        args::CommandLine::Flags(settings, rest) => (settings, rest),
    };
    if let Some(word) = rest.first() {
        return Err(ConfigError::refused(stray_word(word)));
    }
    if settings.bool("version") {
        return Ok(Action::PrintVersion(crate::version::text(as_etcd)));
    }

    let env: BTreeMap<String, String> = env.into_iter().filter(|(name, _)| name.starts_with("ETCD_")).collect();
    let settings = gather(settings, &env, read_file)?;
    judge(settings, as_etcd).map(|config| Action::Run(Box::new(config)))
}

fn stray_word(word: &str) -> String {
    match word {
        "gateway" | "grpc-proxy" => {
            format!("{word:?} is a proxy of etcd's own binary and not part of this server: run etcd's for it")
        }
        _ => format!("{word:?} is not a valid flag"),
    }
}

/// Takes the settings from the config file if there is one, else from the command line and the environment.
fn gather(
    mut flags: Settings,
    env: &BTreeMap<String, String>,
    read_file: impl FnOnce(&Path) -> io::Result<String>,
) -> Result<Settings, ConfigError> {
    let path = match flags.text("config-file") {
        path if path.is_empty() => env.get(environment::CONFIG_FILE).cloned().unwrap_or_default(),
        path => path,
    };
    if path.is_empty() {
        environment::apply(env, &mut flags)?;
        return Ok(flags);
    }
    let text = read_file(Path::new(&path)).map_err(|error| ConfigError::refused(format!("open {path}: {error}")))?;
    let mut settings = file::parse(&path, &text)?;
    let has_others = flags.has_others_than(&["config-file"])
        || env.iter().any(|(name, value)| name != environment::CONFIG_FILE && !value.is_empty());
    if has_others {
        settings
            .notices
            .insert(0, format!("config file {path} is used: other command line flags and ETCD_ variables are ignored"));
    }
    Ok(settings)
}

/// Makes a configuration of what was said, or refuses it.
fn judge(mut settings: Settings, as_etcd: bool) -> Result<Config, ConfigError> {
    let gates = settings.rename()?;
    let mut config = assemble::assemble(&settings, gates, as_etcd)?;
    validate::validate(&settings, &mut config)?;
    unavailable::check(&settings, &config)?;
    let idle: Vec<String> = settings.idle_notices().chain(config.cluster.gates.notices()).collect();
    config.notices.extend(idle);
    Ok(config)
}
