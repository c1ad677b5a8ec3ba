//! Feature gates: switches for behaviour that is not settled yet (contract §6.4).
//!
//! `--feature-gates=A=true,B=false`. `AllAlpha` and `AllBeta` move whole groups; a gate that is named wins over its
//! group, in whatever order they are written. The value reaches metrics (`etcd_server_feature_enabled{name,stage}`),
//! so gates that have no work to do here are kept too.

use std::collections::BTreeMap;
use std::fmt;

use super::number::parse_bool;

/// How settled a feature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Off unless asked for.
    Alpha,
    /// On unless refused.
    Beta,
}

impl Stage {
    /// The stage as metrics and help print it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alpha => "ALPHA",
            Self::Beta => "BETA",
        }
    }
}

/// A feature that can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    /// The name in `--feature-gates`.
    pub name: &'static str,
    /// How settled it is.
    pub stage: Stage,
    /// Whether it is on when nothing is said.
    pub default: bool,
    /// Why turning it from its default changes nothing yet; empty when it takes effect.
    pub(super) idle: &'static str,
}

const CORRUPTION: &str = "corruption checks across members are not in this build yet";
const CHECKPOINT: &str = "lease checkpoints are not in this build yet";
const UNCONNECTED: &str = "the switch is not connected to anything in this build yet";
const PEERS: &str = "it concerns connections between members, which are not in this build yet";

const fn gate(name: &'static str, stage: Stage, idle: &'static str) -> Gate {
    Gate { name, stage, default: matches!(stage, Stage::Beta), idle }
}

/// Every gate of etcd 3.7, in ascending order of names.
pub const GATES: [Gate; 9] = [
    gate("CompactHashCheck", Stage::Alpha, CORRUPTION),
    gate("FastLeaseKeepAlive", Stage::Beta, UNCONNECTED),
    gate("InitialCorruptCheck", Stage::Alpha, CORRUPTION),
    gate("LeaseCheckpoint", Stage::Alpha, CHECKPOINT),
    gate("LeaseCheckpointPersist", Stage::Alpha, CHECKPOINT),
    gate("PriorityRequest", Stage::Alpha, UNCONNECTED),
    gate("SetMemberLocalAddr", Stage::Alpha, PEERS),
    gate("StopGRPCServiceOnDefrag", Stage::Alpha, "defragmentation does not pause this server"),
    gate("TxnModeWriteWithSharedBuffer", Stage::Beta, "it concerns a buffer of bbolt, which is not used here"),
];

/// The state of every gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureGates {
    enabled: BTreeMap<&'static str, bool>,
    named: BTreeMap<String, bool>,
}

impl Default for FeatureGates {
    fn default() -> Self {
        Self { enabled: GATES.iter().map(|gate| (gate.name, gate.default)).collect(), named: BTreeMap::new() }
    }
}

impl FeatureGates {
    /// Reads `A=true,B=false`. The error is etcd's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut named = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(format!("missing bool value for {}", pair.trim()));
            };
            let (name, value) = (name.trim(), value.trim());
            let value = parse_bool(value).ok_or_else(|| {
                format!("invalid value of {name}={value}, err: strconv.ParseBool: parsing {value:?}: invalid syntax")
            })?;
            if !["AllAlpha", "AllBeta"].contains(&name) && !GATES.iter().any(|gate| gate.name == name) {
                return Err(format!("unrecognized feature gate: {name}"));
            }
            named.insert(name.to_owned(), value);
        }
        Ok(Self::resolve(named))
    }

    fn resolve(named: BTreeMap<String, bool>) -> Self {
        let value_of = |gate: &Gate| {
            let group = match gate.stage {
                Stage::Alpha => "AllAlpha",
                Stage::Beta => "AllBeta",
            };
            named.get(gate.name).or_else(|| named.get(group)).copied().unwrap_or(gate.default)
        };
        let enabled = GATES.iter().map(|gate| (gate.name, value_of(gate))).collect();
        Self { enabled, named }
    }

    /// Sets one gate of the table, as the flag it replaced does.
    pub(super) fn set(&mut self, name: &'static str, value: bool) {
        let mut named = std::mem::take(&mut self.named);
        named.insert(name.to_owned(), value);
        *self = Self::resolve(named);
    }

    /// Whether the gate was named, by itself and not by its group.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    /// Whether a feature is on. A name that is no gate is off.
    pub fn is_enabled(&self, name: &str) -> bool {
        self.enabled.get(name).copied().unwrap_or(false)
    }

    /// Every gate with its state, in ascending order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Gate, bool)> {
        GATES.iter().map(|gate| (gate, self.is_enabled(gate.name)))
    }

    /// One sentence for each gate that was moved from its default and changes nothing here.
    pub(super) fn notices(&self) -> impl Iterator<Item = String> {
        self.iter()
            .filter(|(gate, enabled)| *enabled != gate.default && !gate.idle.is_empty())
            .map(|(gate, enabled)| format!("feature gate {}={enabled} has no effect: {}", gate.name, gate.idle))
    }
}

impl fmt::Display for FeatureGates {
    /// The gates that were named, as etcd prints them at start.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.named.iter().map(|(name, value)| format!("{name}={value}")).collect();
        out.write_str(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_gate_wins_over_its_group_in_any_order() {
        for text in ["AllAlpha=true,LeaseCheckpoint=false", "LeaseCheckpoint=false,AllAlpha=true"] {
            let gates = FeatureGates::parse(text).expect("valid gates");
            assert!(!gates.is_enabled("LeaseCheckpoint"));
            assert!(gates.is_enabled("InitialCorruptCheck"));
            assert!(gates.is_enabled("FastLeaseKeepAlive"));
        }
        let gates = FeatureGates::parse("AllBeta=false").expect("valid gates");
        assert!(!gates.is_enabled("FastLeaseKeepAlive"));
    }

    #[test]
    fn defaults_follow_the_stage() {
        let gates = FeatureGates::default();
        for (gate, enabled) in gates.iter() {
            assert_eq!(enabled, gate.stage == Stage::Beta, "{}", gate.name);
        }
        assert_eq!(FeatureGates::parse(""), Ok(gates));
    }

    #[test]
    fn refusals_use_etcds_words() {
        for (text, error) in [
            ("Nope=true", "unrecognized feature gate: Nope"),
            ("InitialCorruptCheck", "missing bool value for InitialCorruptCheck"),
            (
                "InitialCorruptCheck=maybe",
                "invalid value of InitialCorruptCheck=maybe, err: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ] {
            assert_eq!(FeatureGates::parse(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(GATES.is_sorted_by_key(|gate| gate.name));
    }
}
