//! `ETCD_*` variables (contract §6.1).
//!
//! Every flag has a variable. A flag and its variable together are refused, even when the variable is empty: etcd does
//! so, because a stale variable that is silently overruled today is silently obeyed tomorrow. Apart from that an empty
//! variable says nothing, and an unknown one only earns a notice.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::settings::Settings;
use super::table;

/// The variable that names the config file.
pub(super) const CONFIG_FILE: &str = "ETCD_CONFIG_FILE";

/// Variables that are read elsewhere, or that concern etcd's own build and tests.
const ELSEWHERE: [&str; 3] = [CONFIG_FILE, "ETCD_UNSUPPORTED_ARCH", "ETCD_VERIFY"];

/// Adds what the environment says to what the command line said.
pub(super) fn apply(variables: &BTreeMap<String, String>, settings: &mut Settings) -> Result<(), ConfigError> {
    // `ETCD_VERSION` is what images call the release they hold; taking it for `--version` would print and exit.
    if let Some(value) = variables.get("ETCD_VERSION").filter(|value| !value.is_empty()) {
        settings.notices.push(format!("cannot set special environment variable: ETCD_VERSION={value} is ignored"));
    }
    let mut known = vec!["ETCD_VERSION".to_owned()];
    known.extend(ELSEWHERE.map(str::to_owned));
    for flag in table::flags() {
        let variable = flag.variable();
        if let Some(value) = variables.get(&variable)
            && !known.contains(&variable)
        {
            if settings.is_given(flag.name) {
                return Err(ConfigError::refused(format!(
                    "conflicting environment variable is shadowed by corresponding command-line flag (either unset \
                     environment variable or disable flag): {variable}"
                )));
            }
            if !value.is_empty() {
                settings
                    .put_text(flag, value)
                    .map_err(|why| ConfigError::refused(format!("invalid value {value:?} for {variable}: {why}")))?;
            }
        }
        known.push(variable);
    }
    for (variable, value) in variables {
        if variable.starts_with("ETCD_") && !known.contains(variable) {
            settings.notices.push(format!("unrecognized environment variable: {variable}={value}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::args::{CommandLine, parse};

    fn read(line: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
        let Ok(CommandLine::Flags(mut settings, _)) = parse(line.iter().map(|word| (*word).to_owned())) else {
            panic!("{line:?} is not a line of flags");
        };
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        apply(&variables, &mut settings).map_err(|error| {
            assert_eq!(error.exit_code(), 1);
            error.to_string()
        })?;
        Ok(settings)
    }

    #[test]
    fn every_flag_has_a_variable() {
        let settings = read(
            &["--name=a"],
            &[
                ("ETCD_LISTEN_CLIENT_URLS", "http://127.0.0.1:1"),
                ("ETCD_PRE_VOTE", "false"),
                ("ETCD_HEARTBEAT_INTERVAL", "50"),
                ("ETCD_DATA_DIR", ""),
                ("PATH", "/bin"),
            ],
        )
        .expect("a valid environment");
        assert_eq!(settings.urls("listen-client-urls").len(), 1);
        assert!(settings.is_given("listen-client-urls"));
        assert!(!settings.bool("pre-vote"));
        assert_eq!(settings.uint("heartbeat-interval"), 50);
        assert!(!settings.is_given("data-dir"), "an empty variable says nothing");
        assert!(settings.notices.is_empty());
    }

    #[test]
    fn a_flag_and_its_variable_are_refused_together() {
        for value in ["b", ""] {
            assert_eq!(
                read(&["--name=a"], &[("ETCD_NAME", value)]).unwrap_err(),
                "conflicting environment variable is shadowed by corresponding command-line flag (either unset \
                 environment variable or disable flag): ETCD_NAME"
            );
        }
    }

    #[test]
    fn a_wrong_value_names_the_variable() {
        assert_eq!(
            read(&[], &[("ETCD_HEARTBEAT_INTERVAL", "abc")]).unwrap_err(),
            "invalid value \"abc\" for ETCD_HEARTBEAT_INTERVAL: parse error"
        );
    }

    #[test]
    fn unknown_variables_and_the_version_are_only_noted() {
        let settings = read(&[], &[("ETCD_NMAE", "x"), ("ETCD_VERSION", "v3.5.9"), ("ETCD_VERIFY", "all")])
            .expect("a valid environment");
        assert_eq!(
            settings.notices,
            [
                "cannot set special environment variable: ETCD_VERSION=v3.5.9 is ignored",
                "unrecognized environment variable: ETCD_NMAE=x",
            ]
        );
    }
}
