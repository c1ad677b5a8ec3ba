//! The command line, in the syntax of Go's flag package (contract §6.1).
//!
//! `-x v`, `--x v` and `--x=v` are the same; a boolean may stand alone and takes its value only with `=`. The first
//! word that is no flag ends the flags, and any word left over is an error. A flag given twice has its last value.
//! clap cannot be taught these rules (decision 0002), so they are written out here.

use super::error::ConfigError;
use super::flag::Flag;
use super::settings::{Settings, Source};
use super::table;

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum CommandLine {
    /// `-h`, `-help`: nothing after it is looked at.
    Help,
    /// Flags, and the words after them.
    Flags(Settings, Vec<String>),
}

/// Reads the words after the program's name.
pub(super) fn parse(args: impl IntoIterator<Item = String>) -> Result<CommandLine, ConfigError> {
    let mut settings = Settings::new(Source::Flags);
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next_if(|arg| arg.len() > 1 && arg.starts_with('-')) {
        if arg == "--" {
            break;
        }
        let body = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).unwrap_or(&arg);
        if body.starts_with(['-', '=']) {
            return Err(ConfigError::usage(format!("bad flag syntax: {arg}")));
        }
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let Some(flag) = table::find(name) else {
            if name == "help" || name == "h" {
                return Ok(CommandLine::Help);
            }
            return Err(unknown(name));
        };
        let value = match value {
            Some(value) => value,
            None if flag.kind.is_switch() => "true".to_owned(),
            None => args.next().ok_or_else(|| ConfigError::usage(format!("flag needs an argument: -{name}")))?,
        };
        settings.put_text(flag, &value).map_err(|why| wrong_value(flag, &value, &why))?;
    }
    Ok(CommandLine::Flags(settings, args.collect()))
}

fn unknown(name: &str) -> ConfigError {
    let hint = table::nearest(name).map(|nearest| format!("\ndid you mean --{nearest}?")).unwrap_or_default();
    ConfigError::usage(format!("flag provided but not defined: -{name}{hint}"))
}

fn wrong_value(flag: &Flag, value: &str, why: &str) -> ConfigError {
    let name = flag.name;
    ConfigError::usage(if flag.kind.is_switch() {
        format!("invalid boolean value {value:?} for -{name}: {why}")
    } else {
        format!("invalid value {value:?} for flag -{name}: {why}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &[&str]) -> Result<(Settings, Vec<String>), ConfigError> {
        match parse(line.iter().map(|word| (*word).to_owned()))? {
            CommandLine::Flags(settings, rest) => Ok((settings, rest)),
            CommandLine::Help => panic!("{line:?} is not a request for help"),
        }
    }

    #[test]
    fn one_dash_two_dashes_and_the_equals_sign_are_the_same() {
        for line in [
            &["-name", "a"][..],
            &["--name", "a"],
            &["-name=a"],
            &["--name=a"],
            &["--name=x", "--name", "a"],
            &["--name=a", "--"],
        ] {
            let (settings, rest) = read(line).expect("a valid line");
            assert_eq!(settings.text("name"), "a", "{line:?}");
            assert!(rest.is_empty());
        }
        let (settings, _) = read(&["--name", "--pre-vote"]).expect("a valid line");
        assert_eq!(settings.text("name"), "--pre-vote", "the word after a flag is its value, whatever it looks like");
    }

    #[test]
    fn a_boolean_takes_its_value_only_with_the_equals_sign() {
        assert!(read(&["--unsafe-no-fsync"]).expect("a valid line").0.bool("unsafe-no-fsync"));
        assert!(!read(&["--pre-vote=false"]).expect("a valid line").0.bool("pre-vote"));
        assert!(read(&["--pre-vote=T"]).expect("a valid line").0.bool("pre-vote"));
        let (settings, rest) = read(&["--pre-vote", "false", "--name=a"]).expect("a valid line");
        assert!(settings.bool("pre-vote"));
        assert_eq!(rest, ["false", "--name=a"]);
    }

    #[test]
    fn feature_gates_add_up() {
        let (settings, _) =
            read(&["--feature-gates=LeaseCheckpoint=true", "--feature-gates", "AllBeta=false"]).expect("a valid line");
        assert_eq!(settings.text("feature-gates"), "LeaseCheckpoint=true,AllBeta=false");
    }

    #[test]
    fn flags_that_etcd_forgets_are_read_with_and_without_a_value() {
        let (settings, rest) = read(&["-v", "--force", "--snapshot=yes", "--name=a"]).expect("a valid line");
        assert_eq!(settings.text("name"), "a");
        assert!(rest.is_empty());
    }

    #[test]
    fn words_after_the_flags_are_left_over() {
        for line in [&["--", "foo"][..], &["foo"], &["--name=a", "foo"]] {
            assert_eq!(read(line).expect("a valid line").1, ["foo"], "{line:?}");
        }
        assert_eq!(read(&["-", "--name=a"]).expect("a valid line").1, ["-", "--name=a"]);
    }

    #[test]
    fn help_is_asked_for_in_four_ways() {
        for word in ["-h", "--h", "-help", "--help"] {
            let line = ["--name=a", word, "--nonsense"].map(str::to_owned);
            assert!(matches!(parse(line), Ok(CommandLine::Help)), "{word}");
        }
    }

    #[test]
    fn mistakes_are_told_in_gos_words() {
        for (line, text) in [
            (&["--nme", "x"][..], "flag provided but not defined: -nme\ndid you mean --name?"),
            (&["-qqqq"], "flag provided but not defined: -qqqq"),
            (&["---x"], "bad flag syntax: ---x"),
            (&["--=x"], "bad flag syntax: --=x"),
            (&["--name"], "flag needs an argument: -name"),
            (&["--pre-vote=maybe"], "invalid boolean value \"maybe\" for -pre-vote: parse error"),
            (&["--heartbeat-interval", "abc"], "invalid value \"abc\" for flag -heartbeat-interval: parse error"),
            (&["--heartbeat-interval", "-1"], "invalid value \"-1\" for flag -heartbeat-interval: parse error"),
            (
                &["--heartbeat-interval=99999999999999999999"],
                "invalid value \"99999999999999999999\" for flag -heartbeat-interval: value out of range",
            ),
            (
                &["--max-concurrent-streams=x"],
                "invalid value \"x\" for flag -max-concurrent-streams: strconv.ParseUint: parsing \"x\": invalid syntax",
            ),
            (
                &["--max-concurrent-streams=4294967296"],
                "invalid value \"4294967296\" for flag -max-concurrent-streams: \
                 strconv.ParseUint: parsing \"4294967296\": value out of range",
            ),
            (&["--grpc-keepalive-interval=5"], "invalid value \"5\" for flag -grpc-keepalive-interval: parse error"),
            (&["--initial-cluster-state=old"], "invalid value \"old\" for flag -initial-cluster-state: invalid value"),
            (
                &["--listen-client-urls", "http://127.0.0.1"],
                "invalid value \"http://127.0.0.1\" for flag -listen-client-urls: \
                 URL address does not have the form \"host:port\": http://127.0.0.1",
            ),
            (
                &["--feature-gates=Nope=true"],
                "invalid value \"Nope=true\" for flag -feature-gates: unrecognized feature gate: Nope",
            ),
        ] {
            let error = read(line).expect_err("a mistake");
            assert_eq!((error.to_string().as_str(), error.exit_code()), (text, 2));
        }
    }

    #[test]
    fn an_empty_list_of_urls_leaves_the_default() {
        let (settings, _) = read(&["--listen-client-urls="]).expect("a valid line");
        assert_eq!(settings.urls("listen-client-urls"), Url::parse_list("http://localhost:2379").expect("a list"));
        assert!(settings.is_given("listen-client-urls"));
    }

    use super::super::url::Url;

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in proptest::collection::vec("-{0,3}[a-z=]{0,8}\\PC{0,3}", 0..4)) {
            let _ = parse(line);
        }
    }
}
