//! What was said, before it is judged: the values given on the command line, in the environment or in the file.
//!
//! Nothing here knows what a flag is for. Where nothing was said, a reader gets the table's default.

use std::collections::BTreeMap;

use super::duration::GoDuration;
use super::error::ConfigError;
use super::flag::{Effect, Flag, Kind, Value};
use super::gates::FeatureGates;
use super::table;
use super::url::Url;

/// Where the settings came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Command line and environment.
    Flags,
    /// The file given with `--config-file`.
    File,
}

/// The values given, by flag.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    given: BTreeMap<&'static str, Value>,
    source: Source,
    /// Sentences for the log that arose while reading.
    pub(super) notices: Vec<String>,
    /// Common names that client certificates may bear. Only the file can say this; no flag can.
    pub(super) client_allowed_common_names: Vec<String>,
}

impl Settings {
    pub(super) fn new(source: Source) -> Self {
        Self { given: BTreeMap::new(), source, notices: Vec::new(), client_allowed_common_names: Vec::new() }
    }

    pub(super) fn source(&self) -> Source {
        self.source
    }

    /// Reads and keeps a value; a later one replaces an earlier one, but feature gates add up.
    pub(super) fn put_text(&mut self, flag: &'static Flag, text: &str) -> Result<(), String> {
        let value = match (flag.kind, self.given.get(flag.name)) {
            (Kind::Gates, Some(Value::Text(earlier))) => flag.read(&format!("{earlier},{text}"))?,
            _ => flag.read(text)?,
        };
        self.given.insert(flag.name, value);
        Ok(())
    }

    /// Keeps a value that was read elsewhere.
    pub(super) fn put(&mut self, flag: &'static Flag, value: Value) {
        self.given.insert(flag.name, value);
    }

    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Whether any flag was given besides these.
    pub(super) fn has_others_than(&self, names: &[&str]) -> bool {
        self.given.keys().any(|name| !names.contains(name))
    }

    /// Moves the values of old names to the flags and gates that replaced them.
    ///
    /// Saying both is an error with etcd's words, since nobody could tell which one was meant.
    pub(super) fn rename(&mut self) -> Result<FeatureGates, ConfigError> {
        let mut gates = FeatureGates::parse(&self.text("feature-gates")).map_err(ConfigError::refused)?;
        for flag in table::flags() {
            let Some(value) = self.given.get(flag.name) else {
                continue;
            };
            match flag.effect {
                Effect::Renamed(new) if self.given.contains_key(new) => {
                    return Err(ConfigError::refused(format!(
                        "cannot set --{old} and --{new} at the same time, please use --{new} only",
                        old = flag.name
                    )));
                }
                Effect::Renamed(new) => {
                    let value = value.clone();
                    self.notices.extend(flag.notice());
                    self.given.remove(flag.name);
                    self.given.insert(new, value);
                }
                Effect::Gate(gate) => {
                    let on = *value == Value::Bool(true);
                    if gates.is_named(gate) {
                        let enabled = gates.is_enabled(gate);
                        return Err(ConfigError::refused(format!(
                            "cannot specify both flags: --{old}={on} and --feature-gates={gate}={enabled} at the same \
                             time, please just use --feature-gates={gate}={enabled}",
                            old = flag.name
                        )));
                    }
                    self.notices.extend(flag.notice());
                    self.given.remove(flag.name);
                    gates.set(gate, on);
                }
                _ => {}
            }
        }
        Ok(gates)
    }

    /// One sentence for every flag that was given and changes nothing.
    ///
    /// Asking for the default asks for nothing, so it is passed over in silence, unless the flag itself is outdated.
    pub(super) fn idle_notices(&self) -> impl Iterator<Item = String> {
        table::flags().filter_map(|flag| {
            let value = self.given.get(flag.name)?;
            if !flag.is_outdated() && flag.read(flag.default).as_ref() == Ok(value) {
                return None;
            }
            flag.notice()
        })
    }

    fn value(&self, name: &str) -> Value {
        self.given.get(name).cloned().unwrap_or_else(|| {
            let flag = table::find(name).expect("only names of the table are asked for");
            flag.read(flag.default).expect("a test reads every default of the table")
        })
    }

    pub(super) fn bool(&self, name: &str) -> bool {
        matches!(self.value(name), Value::Bool(true))
    }

    pub(super) fn int(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Int(value) => value,
            other => unreachable!("--{name} is not a signed integer: {other:?}"),
        }
    }

    pub(super) fn uint(&self, name: &str) -> u64 {
        match self.value(name) {
            Value::Uint(value) => value,
            other => unreachable!("--{name} is not an unsigned integer: {other:?}"),
        }
    }

    pub(super) fn text(&self, name: &str) -> String {
        match self.value(name) {
            Value::Text(value) => value,
            other => unreachable!("--{name} is not a text: {other:?}"),
        }
    }

    pub(super) fn duration(&self, name: &str) -> GoDuration {
        match self.value(name) {
            Value::Duration(value) => value,
            other => unreachable!("--{name} is not a duration: {other:?}"),
        }
    }

    pub(super) fn urls(&self, name: &str) -> Vec<Url> {
        match self.value(name) {
            Value::Urls(value) => value,
            other => unreachable!("--{name} is not a list of URLs: {other:?}"),
        }
    }

    pub(super) fn words(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Value::Words(value) => value,
            other => unreachable!("--{name} is not a list of words: {other:?}"),
        }
    }
}
