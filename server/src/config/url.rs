//! The URLs a member listens on and tells others.
//!
//! The rule: what is refused here, and with which words, is what etcd refuses (contract §6.6). A URL is a scheme and
//! `host:port`, or a scheme and the file of a socket; it has no path, query or user. The text is kept as written,
//! because member IDs are computed from it: `http://LOCALHOST:1` and `http://localhost:1` are different members.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// How a URL is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// TCP, plain.
    Http,
    /// TCP with TLS.
    Https,
    /// A unix socket, plain.
    Unix,
    /// A unix socket with TLS.
    Unixs,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Unix => "unix",
            Self::Unixs => "unixs",
        }
    }
}

/// A listen or advertise URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    /// Everything after the scheme, with its slashes: `//127.0.0.1:2379`, `///run/etcd.sock`.
    rest: String,
}

impl Url {
    /// Reads one URL, blanks around it ignored. The error is etcd's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let refuse = |why: &str| Err(format!("parse {text:?}: {why}"));
        if text.chars().any(|c| c.is_ascii_control()) {
            return refuse("net/url: invalid control character in URL");
        }
        if text.contains(['?', '#']) {
            return Err(format!("URL must not contain a query or a fragment: {text}"));
        }
        let (scheme, rest) = match split_scheme(text) {
            Ok(parts) => parts,
            Err(why) => return refuse(why),
        };
        let authority = rest.strip_prefix("//").map(|rest| rest.split('/').next().unwrap_or(rest));
        if let Some(authority) = authority
            && let Err(why) = check_authority(authority)
        {
            return refuse(&why);
        }
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "unix" => Scheme::Unix,
            "unixs" => Scheme::Unixs,
            _ => {
                return Err(format!("URL scheme must be http, https, unix, or unixs: {text}"));
            }
        };
        if matches!(scheme, Scheme::Http | Scheme::Https) {
            if split_host_port(authority.unwrap_or("")).is_err() {
                return Err(format!("URL address does not have the form \"host:port\": {text}"));
            }
            if rest.len() > authority.unwrap_or("").len() + 2 {
                return Err(format!("URL must not contain a path: {text}"));
            }
        }
        Ok(Self { scheme, rest: rest.to_owned() })
    }

    /// Reads a comma-separated list, which is then sorted and has no entry twice. An empty list is an error.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut urls = text.split(',').map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort_by_key(Self::to_string);
        urls.dedup();
        Ok(urls)
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether this URL promises TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.scheme, Scheme::Https | Scheme::Unixs)
    }

    /// `host:port` of a TCP URL, ready to bind or dial; `None` for a unix socket.
    pub fn authority(&self) -> Option<&str> {
        match self.scheme {
            Scheme::Http | Scheme::Https => Some(self.rest.trim_start_matches('/')),
            Scheme::Unix | Scheme::Unixs => None,
        }
    }

    /// The host of a TCP URL without brackets; `None` for a unix socket.
    pub fn host(&self) -> Option<&str> {
        split_host_port(self.authority()?).ok().map(|(host, _)| host)
    }

    /// The socket file of a unix URL: host and path as written (contract §5.7); `None` for TCP.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match self.scheme {
            Scheme::Http | Scheme::Https => None,
            Scheme::Unix | Scheme::Unixs => Some(PathBuf::from(self.rest.strip_prefix("//").unwrap_or(&self.rest))),
        }
    }

    /// Refuses a host that cannot be bound: a DNS name, or none at all.
    pub(super) fn check_bindable(&self) -> Result<(), String> {
        match self.host() {
            Some(host) if host != "localhost" && host.parse::<IpAddr>().is_err() => {
                Err(format!("expected IP in URL for binding ({self})"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a URL that others could not dial: one without a host.
    pub(super) fn check_dialable(&self) -> Result<(), String> {
        match self.host() {
            Some("") => Err(format!("unexpected empty host ({self})")),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.scheme.as_str(), self.rest)
    }
}

/// Several URLs as one comma-separated text.
pub(super) fn join(urls: &[Url]) -> String {
    urls.iter().map(Url::to_string).collect::<Vec<_>>().join(",")
}

/// Splits off the scheme; a text without one has an empty scheme.
fn split_scheme(text: &str) -> Result<(&str, &str), &'static str> {
    let colon = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    let starts_with_letter = text.starts_with(|c: char| c.is_ascii_alphabetic());
    match colon {
        Some(0) if text.starts_with(':') => Err("missing protocol scheme"),
        Some(at) if text[at..].starts_with(':') && starts_with_letter => Ok((&text[..at], &text[at + 1..])),
        _ if text.split('/').next().is_some_and(|segment| segment.contains(':')) => {
            Err("first path segment in URL cannot contain colon")
        }
        _ => Ok(("", text)),
    }
}

/// Refuses what Go's URL reader refuses in `host:port`.
fn check_authority(authority: &str) -> Result<(), String> {
    if let Some(bad) = authority.chars().find(|c| " \"<>\\^`{}|".contains(*c)) {
        return Err(format!("invalid character {:?} in host name", bad.to_string()));
    }
    let port = if authority.starts_with('[') {
        match authority.rfind(']') {
            Some(end) => &authority[end + 1..],
            None => return Err("missing ']' in host".to_owned()),
        }
    } else {
        authority.rfind(':').map_or("", |at| &authority[at..])
    };
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|p| p.chars().all(|c| c.is_ascii_digit()));
    // The rule holds for unix sockets too, whose "host" is a file name: `unix://etcd.unix:1` is the file `etcd.unix:1`.
    if is_port { Ok(()) } else { Err(format!("invalid port {port:?} after host")) }
}

/// Splits `host:port`, `[v6]:port`; the port may be empty, but the colon may not be missing.
pub(super) fn split_host_port(authority: &str) -> Result<(&str, &str), &'static str> {
    let colon = authority.rfind(':').ok_or("missing port in address")?;
    let (host, port) = (&authority[..colon], &authority[colon + 1..]);
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("missing port in address")?;
        return if inner.contains(['[', ']']) { Err("unexpected bracket in address") } else { Ok((inner, port)) };
    }
    if host.contains(':') {
        return Err("too many colons in address");
    }
    if host.contains(['[', ']']) {
        return Err("unexpected bracket in address");
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_keep_their_text() {
        for text in [
            "http://127.0.0.1:2379",
            "https://[::1]:2379",
            "http://example.com:0",
            "http://:2379",
            "http://LOCALHOST:2379",
            "unix://localhost:2379",
            "unix:///run/quorate.sock",
            "unixs:relative.sock",
        ] {
            assert_eq!(Url::parse(text).map(|url| url.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(Url::parse(" HTTP://a:1 ").map(|url| url.to_string()).as_deref(), Ok("http://a:1"));
    }

    #[test]
    fn refusals_use_etcds_words() {
        for (text, error) in [
            ("", "URL scheme must be http, https, unix, or unixs: "),
            ("localhost:2379", "URL scheme must be http, https, unix, or unixs: localhost:2379"),
            ("ftp://a:1", "URL scheme must be http, https, unix, or unixs: ftp://a:1"),
            ("127.0.0.1:2379", "parse \"127.0.0.1:2379\": first path segment in URL cannot contain colon"),
            ("://a", "parse \"://a\": missing protocol scheme"),
            ("http://127.0.0.1", "URL address does not have the form \"host:port\": http://127.0.0.1"),
            ("http://::1:3", "URL address does not have the form \"host:port\": http://::1:3"),
            ("http://[::1:3", "parse \"http://[::1:3\": missing ']' in host"),
            ("http://127.0.0.1:x", "parse \"http://127.0.0.1:x\": invalid port \":x\" after host"),
            ("http://a b:3", "parse \"http://a b:3\": invalid character \" \" in host name"),
            ("http://127.0.0.1:1/", "URL must not contain a path: http://127.0.0.1:1/"),
            ("http://127.0.0.1:1/v3", "URL must not contain a path: http://127.0.0.1:1/v3"),
            ("http://a:1?x=1", "URL must not contain a query or a fragment: http://a:1?x=1"),
        ] {
            assert_eq!(Url::parse(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn lists_are_sorted_and_have_no_entry_twice() {
        let urls = Url::parse_list("http://b:1, http://a:1,http://b:1").expect("a valid list");
        assert_eq!(join(&urls), "http://a:1,http://b:1");
        assert!(Url::parse_list("http://a:1,").is_err());
    }

    #[test]
    fn hosts_and_socket_files_are_found() {
        let parse = |text| Url::parse(text).expect("a valid URL");
        assert_eq!(parse("https://[::1]:2379").host(), Some("::1"));
        assert_eq!(parse("https://[::1]:2379").authority(), Some("[::1]:2379"));
        assert_eq!(parse("unix://localhost:2379").socket_path(), Some(PathBuf::from("localhost:2379")));
        assert_eq!(parse("unix:///run/q.sock").socket_path(), Some(PathBuf::from("/run/q.sock")));
        assert_eq!(parse("unix:q.sock").socket_path(), Some(PathBuf::from("q.sock")));
        assert_eq!(parse("unix://q.sock").authority(), None);
    }

    #[test]
    fn only_addresses_are_bound_and_only_hosts_are_dialled() {
        let bind = |text| Url::parse(text).expect("a valid URL").check_bindable();
        assert_eq!(bind("http://localhost:1"), Ok(()));
        assert_eq!(bind("http://0.0.0.0:1"), Ok(()));
        assert_eq!(bind("unix://q.sock"), Ok(()));
        assert_eq!(bind("http://example.com:1"), Err("expected IP in URL for binding (http://example.com:1)".into()));
        assert_eq!(bind("http://:1"), Err("expected IP in URL for binding (http://:1)".into()));
        let dial = |text| Url::parse(text).expect("a valid URL").check_dialable();
        assert_eq!(dial("http://example.com:1"), Ok(()));
        assert_eq!(dial("http://:1"), Err("unexpected empty host (http://:1)".into()));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(http|https|unix|)(://|:|)[\\PC]{0,16}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.to_string()), Ok(url.clone()));
                let _ = (url.host(), url.authority(), url.socket_path());
            }
        }
    }
}
