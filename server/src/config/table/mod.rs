//! The flags this server reads: all of contract §6.2, and those etcd itself reads and forgets.
//!
//! The rows are grouped as help prints them. A flag has one row, and everything else (parsing, environment, config
//! file, help, notices) follows from it.

mod cluster;
mod member;
mod observe;
mod old;
mod security;
mod tuning;

use super::flag::{Effect, Flag, Kind};

/// A heading of the help text and the flags under it.
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// Its flags, in the order of help.
    pub flags: &'static [Flag],
}

/// All flags, in the order of help.
pub const GROUPS: [Group; 6] = [
    Group { title: "Member", flags: member::FLAGS },
    Group { title: "Cluster", flags: cluster::FLAGS },
    Group { title: "Security", flags: security::FLAGS },
    Group { title: "Logging, metrics and diagnosis", flags: observe::FLAGS },
    Group { title: "Operation", flags: tuning::FLAGS },
    Group { title: "Old names", flags: old::FLAGS },
];

/// Every flag.
pub fn flags() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// The flag with this name.
pub fn find(name: &str) -> Option<&'static Flag> {
    flags().find(|flag| flag.name == name)
}

/// The known flag whose name is closest to this one, if any is close enough to have been meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    flags()
        .filter(|flag| !matches!(flag.effect, Effect::Removed(_)))
        .map(|flag| (strsim::jaro_winkler(name, flag.name), flag.name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

const fn flag(name: &'static str, kind: Kind, default: &'static str, effect: Effect, help: &'static str) -> Flag {
    Flag { name, kind, default, effect, help }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_flag_has_two_rows() {
        let names: BTreeSet<&str> = flags().map(|flag| flag.name).collect();
        assert_eq!(names.len(), flags().count());
    }

    #[test]
    fn every_default_is_a_value_of_its_flag() {
        for flag in flags() {
            assert!(flag.read(flag.default).is_ok(), "--{}={:?}", flag.name, flag.default);
        }
    }

    #[test]
    fn an_old_name_leads_to_a_flag_of_the_same_kind_and_default() {
        for flag in flags() {
            match flag.effect {
                Effect::Renamed(new) => {
                    let new = find(new).expect("the new name is in the table");
                    assert_eq!((flag.kind, flag.default), (new.kind, new.default), "--{}", flag.name);
                }
                Effect::Gate(gate) => {
                    assert!(super::super::gates::GATES.iter().any(|known| known.name == gate), "--{}", flag.name);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn every_current_flag_has_a_line_of_help() {
        for group in &GROUPS[..GROUPS.len() - 1] {
            for flag in group.flags {
                assert!(flag.help.ends_with('.'), "--{}", flag.name);
            }
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_flag_that_was_meant() {
        assert_eq!(nearest("nme"), Some("name"));
        assert_eq!(nearest("listen-clients-urls"), Some("listen-client-urls"));
        assert_eq!(nearest("data_dir"), Some("data-dir"));
        assert_eq!(nearest("qqqq"), None);
    }
}
