//! The text of `--help`: every current flag, grouped, with its default.

use super::flag::{Flag, Kind};
use super::table::GROUPS;

/// The help for a program of this name. Old names are left out; they are read, but nobody should write them.
pub(super) fn text(program: &str) -> String {
    let mut out = format!(
        "Usage:\n  {program} [flags]\n    Start a member.\n  {program} --version\n  {program} --help\n\n\
         Every flag has an environment variable: --listen-client-urls is ETCD_LISTEN_CLIENT_URLS.\n\
         Durations are written as 100ms, 5s, 1h30m. Lists are separated by commas.\n"
    );
    for group in &GROUPS[..GROUPS.len() - 1] {
        out.push_str(&format!("\n{}:\n", group.title));
        for flag in group.flags {
            out.push_str(&entry(flag));
        }
    }
    out
}

fn entry(flag: &Flag) -> String {
    let default = match (flag.kind, flag.default) {
        (_, "") => String::new(),
        (Kind::Bool, "false") => String::new(),
        (_, default) => format!(" (default {default})"),
    };
    let head = format!("--{} {}", flag.name, flag.kind.placeholder());
    format!("  {}\n    {}{default}\n", head.trim_end(), flag.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_current_flag_and_no_old_one() {
        let text = text("quorate");
        for group in &GROUPS[..GROUPS.len() - 1] {
            for flag in group.flags {
                assert!(text.contains(&format!("\n  --{}", flag.name)), "--{}", flag.name);
            }
        }
        assert!(!text.contains("experimental"));
        assert!(text.contains("  --election-timeout <number>\n    Milliseconds without a heartbeat"));
        assert!(text.contains("(default 1000)"));
    }
}
