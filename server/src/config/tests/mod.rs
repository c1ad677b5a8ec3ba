//! Whole configurations: what a deployment passes, and what becomes of it.

mod actions;
mod deployments;
mod validation;

use super::*;

/// Resolves a command line that ends in a member to run.
fn run(line: &[&str]) -> Result<Config, ConfigError> {
    run_with(line, &[], None)
}

/// Resolves a config file that ends in a member to run.
fn run_file(text: &str) -> Result<Config, ConfigError> {
    run_with(&["--config-file", "/etc/quorate.yml"], &[], Some(text))
}

fn run_with(line: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Result<Config, ConfigError> {
    match resolve_line("quorate", line, env, file)? {
        Action::Run(config) => Ok(*config),
        other => panic!("{line:?} does not run a member: {other:?}"),
    }
}

fn resolve_line(program: &str, line: &[&str], env: &[(&str, &str)], file: Option<&str>) -> Result<Action, ConfigError> {
    let args = std::iter::once(program).chain(line.iter().copied()).map(str::to_owned);
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    resolve(args, env, |_| file.map(str::to_owned).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)))
}

/// What a command line means, before this build's gaps refuse it: flags that ask for TLS can be read that way.
fn read(line: &[&str]) -> Result<Config, ConfigError> {
    let words = line.iter().map(|word| (*word).to_owned());
    let args::CommandLine::Flags(settings, rest) = args::parse(words)? else { panic!("{line:?} asks for help") };
    assert!(rest.is_empty(), "{rest:?}");
    read_settings(settings)
}

fn read_settings(mut settings: Settings) -> Result<Config, ConfigError> {
    let gates = settings.rename()?;
    let mut config = assemble::assemble(&settings, gates, true)?;
    validate::validate(&settings, &mut config)?;
    Ok(config)
}
