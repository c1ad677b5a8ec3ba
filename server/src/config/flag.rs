//! One row of the flag table: its name, how its value is written, and what becomes of it here.
//!
//! The rule: every flag of etcd 3.5 to 3.8 is read and its value is checked, and a flag that changes nothing says so
//! once at start. A wrong value is refused even where the flag has no meaning, since it is a mistake in any case.

use super::duration::GoDuration;
use super::gates::FeatureGates;
use super::number::{parse_bool, parse_int, parse_uint};
use super::url::Url;

/// How a flag's value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A boolean; may stand without a value and is then true.
    Bool,
    /// A signed integer of 64 bits.
    Int,
    /// An unsigned integer of 64 bits.
    Uint,
    /// An unsigned integer of 32 bits.
    Uint32,
    /// Any text.
    Text,
    /// A duration in Go's notation.
    Duration,
    /// Comma-separated URLs, sorted and without doubles. An empty value leaves the default.
    Urls,
    /// Comma-separated URLs, or `*`.
    Origins,
    /// Comma-separated words, sorted and without doubles.
    Set,
    /// Comma-separated words in the order given.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `Gate=true,Other=false`. Given several times, the values add up.
    Gates,
    /// Anything at all: a flag etcd reads and forgets.
    Anything,
}

impl Kind {
    /// Whether the flag may stand without a value.
    pub fn is_switch(self) -> bool {
        matches!(self, Self::Bool | Self::Anything)
    }

    /// How help shows the value; empty for a switch.
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Bool | Self::Anything => "",
            Self::Int | Self::Uint | Self::Uint32 => "<number>",
            Self::Text => "<text>",
            Self::Duration => "<duration>",
            Self::Urls | Self::Origins => "<urls>",
            Self::Set | Self::List => "<words>",
            Self::Choice(_) => "<word>",
            Self::Gates => "<gates>",
        }
    }
}

/// What becomes of a flag in this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is honoured.
    Now,
    /// It will be honoured by a later build; says what is missing.
    NotYet(&'static str),
    /// It configures something this server does not have; says what.
    NoMeaning(&'static str),
    /// It is the old name of another flag, whose value it sets.
    Renamed(&'static str),
    /// It is the old name of a feature gate, whose value it sets.
    Gate(&'static str),
    /// etcd itself dropped it; says when or why.
    Removed(&'static str),
}

/// A flag.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The name without dashes.
    pub name: &'static str,
    /// How the value is written.
    pub kind: Kind,
    /// The value when the flag is not given, as it would be written.
    pub default: &'static str,
    /// What becomes of it.
    pub effect: Effect,
    /// One line of help; empty for old names, which are listed without one.
    pub help: &'static str,
}

impl Flag {
    /// The environment variable that sets this flag (contract §6.1).
    pub fn variable(&self) -> String {
        format!("ETCD_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    /// The sentence for the log when this flag was given a value other than its default; `None` when it is honoured.
    pub(super) fn notice(&self) -> Option<String> {
        let name = self.name;
        match self.effect {
            Effect::Now => None,
            Effect::NotYet(why) => Some(format!("--{name} is accepted but has no effect yet: {why}")),
            Effect::NoMeaning(why) => Some(format!("--{name} is accepted but has no meaning here: {why}")),
            Effect::Renamed(new) => Some(format!("--{name} is deprecated, its value is used for --{new}")),
            Effect::Gate(gate) => {
                Some(format!("--{name} is deprecated, its value is used for the feature gate {gate}"))
            }
            Effect::Removed(why) => Some(format!("--{name} is ignored: {why}")),
        }
    }

    /// Whether the notice is due even for the default value, because the flag's name itself is outdated.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self.effect, Effect::Renamed(_) | Effect::Gate(_) | Effect::Removed(_))
    }

    /// Reads a value. The error is the text Go and etcd print after the flag's name.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        Ok(match self.kind {
            Kind::Bool => Value::Bool(parse_bool(text).ok_or("parse error")?),
            Kind::Int => Value::Int(parse_int(text).map_err(|error| error.flag_text())?),
            Kind::Uint => Value::Uint(parse_uint(text).map_err(|error| error.flag_text())?),
            Kind::Uint32 => {
                let error = |why: &str| format!("strconv.ParseUint: parsing {text:?}: {why}");
                let value = parse_uint(text).map_err(|cause| error(cause.conversion_text()))?;
                if value > u64::from(u32::MAX) {
                    return Err(error("value out of range"));
                }
                Value::Uint(value)
            }
            Kind::Text => Value::Text(text.to_owned()),
            Kind::Duration => Value::Duration(GoDuration::parse(text).ok_or("parse error")?),
            Kind::Urls if text.is_empty() && self.default.is_empty() => Value::Urls(Vec::new()),
            Kind::Urls if text.is_empty() => return self.read(self.default),
            Kind::Urls => Value::Urls(Url::parse_list(text)?),
            Kind::Origins if text == "*" => Value::Words(vec!["*".to_owned()]),
            Kind::Origins => Value::Words(Url::parse_list(text)?.iter().map(Url::to_string).collect()),
            Kind::Set => {
                let mut words = words(text);
                words.sort_unstable();
                words.dedup();
                Value::Words(words)
            }
            Kind::List => Value::Words(words(text)),
            Kind::Choice(valid) if valid.contains(&text) => Value::Text(text.to_owned()),
            Kind::Choice(_) => return Err("invalid value".to_owned()),
            Kind::Gates => {
                FeatureGates::parse(text)?;
                Value::Text(text.to_owned())
            }
            Kind::Anything => Value::Text(text.to_owned()),
        })
    }
}

fn words(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

/// A flag's value, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Uint`] and [`Kind::Uint32`].
    Uint(u64),
    /// Of [`Kind::Text`], [`Kind::Choice`], [`Kind::Gates`] and [`Kind::Anything`].
    Text(String),
    /// Of [`Kind::Duration`].
    Duration(GoDuration),
    /// Of [`Kind::Urls`].
    Urls(Vec<Url>),
    /// Of [`Kind::Origins`], [`Kind::Set`] and [`Kind::List`].
    Words(Vec<String>),
}
