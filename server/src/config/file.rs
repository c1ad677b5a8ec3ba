//! The config file: YAML, or JSON, which YAML includes (contract §6.5).
//!
//! Keys are flag names, with the shapes etcd gives them: URL lists are one comma-separated text, durations are whole
//! nanoseconds, TLS is a map for clients and one for peers. A key that means nothing is ignored, as etcd does, but it
//! earns a notice, because it is most often a slip.

use serde_yaml_ng::{Mapping, Value as Yaml};

use super::duration::GoDuration;
use super::error::ConfigError;
use super::flag::{Flag, Kind, Value};
use super::settings::{Settings, Source};
use super::table;

/// Flags that are no keys of the file: they have a place in one of its maps, or make no sense there.
fn is_key(name: &str) -> bool {
    let in_a_map = CLIENT_TLS.iter().chain(&PEER_TLS).any(|(_, flag)| *flag == name)
        || ["socket-reuse-port", "socket-reuse-address"].contains(&name)
        || (name.starts_with("discovery-") && !name.starts_with("discovery-srv"));
    let senseless = ["client-crl-file", "peer-crl-file", "config-file", "version", "raft-read-timeout"];
    !in_a_map && !senseless.contains(&name) && name != "raft-write-timeout"
}

const CLIENT_TLS: [(&str, &str); 8] = [
    ("cert-file", "cert-file"),
    ("key-file", "key-file"),
    ("client-cert-file", "client-cert-file"),
    ("client-key-file", "client-key-file"),
    ("client-cert-auth", "client-cert-auth"),
    ("trusted-ca-file", "trusted-ca-file"),
    ("auto-tls", "auto-tls"),
    ("allowed-hostname", "client-cert-allowed-hostname"),
];

const PEER_TLS: [(&str, &str); 10] = [
    ("cert-file", "peer-cert-file"),
    ("key-file", "peer-key-file"),
    ("client-cert-file", "peer-client-cert-file"),
    ("client-key-file", "peer-client-key-file"),
    ("client-cert-auth", "peer-client-cert-auth"),
    ("trusted-ca-file", "peer-trusted-ca-file"),
    ("auto-tls", "peer-auto-tls"),
    ("allowed-cn", "peer-cert-allowed-cn"),
    ("allowed-hostname", "peer-cert-allowed-hostname"),
    ("skip-client-san-verification", "peer-skip-client-san-verification"),
];

const SOCKETS: [(&str, &str); 2] = [("reuse-port", "socket-reuse-port"), ("reuse-address", "socket-reuse-address")];

const DISCOVERY: [(&str, &str); 2] = [("token", "discovery-token"), ("endpoints", "discovery-endpoints")];

/// Reads the text of a config file. `path` is only named in errors.
pub(super) fn parse(path: &str, text: &str) -> Result<Settings, ConfigError> {
    read(text).map_err(|why| ConfigError::refused(format!("config file {path}: {why}")))
}

fn read(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::new(Source::File);
    let root = match serde_yaml_ng::from_str(text).map_err(|error| error.to_string())? {
        Yaml::Mapping(root) => root,
        Yaml::Null => Mapping::new(),
        other => {
            return Err(format!("expected keys and values, found {}", describe(&other)));
        }
    };
    for (key, value) in &root {
        let Some(key) = key.as_str() else {
            return Err(format!("a key must be a text, found {}", describe(key)));
        };
        if value.is_null() {
            continue;
        }
        match key {
            "client-transport-security" => {
                let rest = read_map(key, value, &CLIENT_TLS, &mut settings)?;
                if let Some(names) = rest.get("allowed-cn").filter(|names| !names.is_null()) {
                    settings.client_allowed_common_names = read_words(names).map_err(|why| format!("{key}: {why}"))?;
                }
            }
            "peer-transport-security" => {
                read_map(key, value, &PEER_TLS, &mut settings)?;
            }
            "socket-options" => {
                read_map(key, value, &SOCKETS, &mut settings)?;
            }
            "discovery-config" => {
                read_map(key, value, &DISCOVERY, &mut settings)?;
            }
            _ => match table::find(key).filter(|flag| is_key(flag.name)) {
                Some(flag) => {
                    put(flag, value, &mut settings).map_err(|why| format!("{key}: {why}"))?;
                }
                None => settings.notices.push(unknown(key)),
            },
        }
    }
    Ok(settings)
}

fn unknown(key: &str) -> String {
    let hint = match table::find(key) {
        Some(_) => ": it is a flag, but not a key of this file".to_owned(),
        None => table::nearest(key).map(|nearest| format!(": did you mean {nearest}?")).unwrap_or_default(),
    };
    format!("config file key {key} is ignored{hint}")
}

/// Reads the keys of a map that stand for flags; returns the map.
fn read_map<'a>(
    name: &str,
    value: &'a Yaml,
    keys: &[(&str, &'static str)],
    settings: &mut Settings,
) -> Result<&'a Mapping, String> {
    let map = value.as_mapping().ok_or_else(|| format!("invalid {name}"))?;
    for (key, flag) in keys {
        if let Some(value) = map.get(*key).filter(|value| !value.is_null()) {
            let flag = table::find(flag).expect("the maps of the config file name flags of the table");
            put(flag, value, settings).map_err(|why| format!("{name}: {key}: {why}"))?;
        }
    }
    Ok(map)
}

fn put(flag: &'static Flag, value: &Yaml, settings: &mut Settings) -> Result<(), String> {
    let value = match flag.kind {
        Kind::Bool => Value::Bool(value.as_bool().ok_or_else(|| wrong("true or false", value))?),
        Kind::Int => Value::Int(value.as_i64().ok_or_else(|| wrong("a whole number", value))?),
        Kind::Uint => Value::Uint(value.as_u64().ok_or_else(|| wrong("a whole number from 0", value))?),
        Kind::Uint32 => Value::Uint(
            value
                .as_u64()
                .filter(|value| *value <= u64::from(u32::MAX))
                .ok_or_else(|| wrong("a whole number below 4294967296", value))?,
        ),
        Kind::Duration => Value::Duration(GoDuration::from_nanos(
            value.as_i64().ok_or_else(|| wrong("a whole number of nanoseconds", value))?,
        )),
        Kind::List => Value::Words(read_words(value)?),
        Kind::Set if value.is_sequence() => Value::Words(read_words(value)?),
        Kind::Text | Kind::Choice(_) | Kind::Gates | Kind::Urls | Kind::Origins | Kind::Set | Kind::Anything => {
            let text = scalar(value).ok_or_else(|| wrong("a text", value))?;
            // An empty text says nothing, for a list of URLs as for a choice.
            if text.is_empty() && flag.kind != Kind::Text {
                return Ok(());
            }
            return settings.put_text(flag, &text);
        }
    };
    settings.put(flag, value);
    Ok(())
}

/// A list of texts; older files have one text instead.
fn read_words(value: &Yaml) -> Result<Vec<String>, String> {
    match value {
        Yaml::Sequence(items) => items
            .iter()
            .map(|item| scalar(item).ok_or_else(|| wrong("a list of texts", item)))
            .collect::<Result<Vec<_>, _>>(),
        other => match scalar(other) {
            Some(text) if text.is_empty() => Ok(Vec::new()),
            Some(text) => Ok(text.split(',').map(str::to_owned).collect()),
            None => Err(wrong("a list of texts", other)),
        },
    }
}

/// A text, or a number or boolean where a text is meant: `auto-compaction-retention: 1`.
fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn wrong(expected: &str, found: &Yaml) -> String {
    format!("expected {expected}, found {}", describe(found))
}

fn describe(value: &Yaml) -> String {
    match value {
        Yaml::Null => "nothing".to_owned(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Number(number) => number.to_string(),
        Yaml::String(text) => format!("the text {text:?}"),
        Yaml::Sequence(_) => "a list".to_owned(),
        Yaml::Mapping(_) => "a map".to_owned(),
        Yaml::Tagged(tagged) => format!("a value with the tag {}", tagged.tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_shapes_etcd_gives_them() {
        let settings = read(
            "name: n1\ndata-dir:\nheartbeat-interval: 500\nlisten-client-urls: http://127.0.0.1:2,http://127.0.0.1:1\n\
             grpc-keepalive-interval: 5000000000\nlog-outputs: [stderr, stdout]\nauto-compaction-retention: 1\n\
             pre-vote: false\nquota-backend-bytes: -1\nfeature-gates: LeaseCheckpoint=true\nhost-whitelist: b,a\n\
             socket-options: {reuse-address: true, reuse-port: true}\n\
             peer-transport-security: {allowed-cn: one, client-cert-auth: true}\n\
             client-transport-security: {cert-file: /c, allowed-cn: [a, b]}\n",
        )
        .expect("a valid file");
        assert_eq!(settings.text("name"), "n1");
        assert!(!settings.is_given("data-dir"), "a key without a value says nothing");
        assert_eq!(settings.uint("heartbeat-interval"), 500);
        assert_eq!(settings.urls("listen-client-urls").len(), 2);
        assert_eq!(settings.duration("grpc-keepalive-interval").to_string(), "5s");
        assert_eq!(settings.words("log-outputs"), ["stderr", "stdout"]);
        assert_eq!(settings.text("auto-compaction-retention"), "1");
        assert!(!settings.bool("pre-vote"));
        assert_eq!(settings.int("quota-backend-bytes"), -1);
        assert_eq!(settings.words("host-whitelist"), ["a", "b"]);
        assert!(settings.bool("socket-reuse-address") && settings.bool("socket-reuse-port"));
        assert_eq!(settings.words("peer-cert-allowed-cn"), ["one"]);
        assert!(settings.bool("peer-client-cert-auth"));
        assert_eq!(settings.text("cert-file"), "/c");
        assert_eq!(settings.client_allowed_common_names, ["a", "b"]);
        assert_eq!(settings.notices, [""; 0]);
    }

    #[test]
    fn json_is_read_too() {
        let settings = read(r#"{"name": "j", "election-timeout": 2000}"#).expect("a valid file");
        assert_eq!((settings.text("name").as_str(), settings.uint("election-timeout")), ("j", 2000));
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert!(!read("").expect("an empty file").has_others_than(&[]));
        assert!(!read("# only a comment\n").expect("an empty file").has_others_than(&[]));
    }

    #[test]
    fn keys_that_mean_nothing_are_noted() {
        let settings = read("nmae: x\ncert-file: /c\ndiscovery-fallback: proxy\n").expect("a valid file");
        assert_eq!(
            settings.notices,
            [
                "config file key nmae is ignored: did you mean name?",
                "config file key cert-file is ignored: it is a flag, but not a key of this file",
                "config file key discovery-fallback is ignored: it is a flag, but not a key of this file",
            ]
        );
    }

    #[test]
    fn a_wrong_shape_names_the_key_and_what_was_found() {
        for (text, why) in [
            ("- a\n", "expected keys and values, found a list"),
            ("heartbeat-interval: fast", "heartbeat-interval: expected a whole number from 0, found the text \"fast\""),
            (
                "grpc-keepalive-interval: 5s",
                "grpc-keepalive-interval: expected a whole number of nanoseconds, found the text \"5s\"",
            ),
            ("pre-vote: 1", "pre-vote: expected true or false, found 1"),
            ("name: [a]", "name: expected a text, found a list"),
            ("peer-transport-security: yes", "invalid peer-transport-security"),
            (
                "max-concurrent-streams: 4294967296",
                "max-concurrent-streams: expected a whole number below 4294967296, found 4294967296",
            ),
            ("feature-gates: Nope=true", "feature-gates: unrecognized feature gate: Nope"),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
        let error = parse("/etc/q.yml", "name: [").unwrap_err();
        assert!(error.to_string().starts_with("config file /etc/q.yml: "), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
