//! Who the cluster starts with: the value of `--initial-cluster`.
//!
//! `a=http://10.0.0.1:2380,b=http://10.0.0.2:2380` names each member and its peer URLs; a name may come several times,
//! once for each URL. The map is only used when a data directory is new. It is then checked against what this member
//! says of itself, so that a wrong copy of the flag stops the member before it invents a cluster of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;

use super::error::ConfigError;
use super::identity;
use super::url::{self, Url};

/// Member names and their peer URLs, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitialCluster {
    members: BTreeMap<String, Vec<Url>>,
}

impl InitialCluster {
    /// Reads `name=url,name=url`. The error is etcd's text for the URL at fault.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut members: BTreeMap<String, Vec<Url>> = BTreeMap::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (name, url) = pair.split_once('=').unwrap_or((pair, ""));
            members.entry(name.to_owned()).or_default().push(Url::parse(url)?);
        }
        for urls in members.values_mut() {
            urls.sort_by_key(Url::to_string);
        }
        Ok(Self { members })
    }

    /// The cluster a member forms alone.
    pub fn single(name: &str, peer_urls: &[Url]) -> Self {
        Self { members: BTreeMap::from([(name.to_owned(), peer_urls.to_vec())]) }
    }

    /// Members in ascending order of their names.
    pub fn members(&self) -> impl Iterator<Item = (&str, &[Url])> {
        self.members.iter().map(|(name, urls)| (name.as_str(), urls.as_slice()))
    }

    /// The peer URLs of one member.
    pub fn urls_of(&self, name: &str) -> Option<&[Url]> {
        self.members.get(name).map(Vec::as_slice)
    }

    /// Whether no member is named.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Every member's name and ID under this token, in ascending order of names, and the ID of the cluster they form.
    pub fn identities(&self, token: &str) -> (Vec<(&str, u64)>, u64) {
        let members: Vec<(&str, u64)> =
            self.members().map(|(name, urls)| (name, identity::member_id(urls, token))).collect();
        let ids: Vec<u64> = members.iter().map(|(_, id)| *id).collect();
        (members, identity::cluster_id(&ids))
    }

    fn has_duplicate_url(&self) -> bool {
        let mut texts: Vec<String> = self.members.values().flatten().map(Url::to_string).collect();
        let total = texts.len();
        texts.sort_unstable();
        texts.dedup();
        texts.len() < total
    }

    /// Checks this map against the member called `name` that tells others `advertised` (contract §6.6).
    ///
    /// `joining` is for a member of a cluster that already runs: it announced its URLs before, so they are not
    /// compared. `resolve` turns a host name into addresses; it is asked only when the texts differ, since `localhost`
    /// and `127.0.0.1` are the same place. Runs once, for a new data directory; an existing one knows its members.
    pub fn check_bootstrap(
        &self,
        name: &str,
        advertised: &[Url],
        joining: bool,
        resolve: &dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
    ) -> Result<(), ConfigError> {
        let Some(listed) = self.urls_of(name) else {
            return Err(ConfigError::refused(format!(
                "couldn't find local name {name:?} in the initial cluster configuration"
            )));
        };
        if !joining {
            check_same_places(name, listed, advertised, resolve).map_err(ConfigError::refused)?;
        }
        if self.has_duplicate_url() {
            return Err(ConfigError::refused(format!("initial cluster {self} has duplicate url")));
        }
        Ok(())
    }
}

impl fmt::Display for InitialCluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> =
            self.members.iter().flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}"))).collect();
        out.write_str(&pairs.join(","))
    }
}

/// Refuses when `--initial-cluster` and `--initial-advertise-peer-urls` place the member differently.
fn check_same_places(
    name: &str,
    listed: &[Url],
    advertised: &[Url],
    resolve: &dyn Fn(&str) -> io::Result<Vec<IpAddr>>,
) -> Result<(), String> {
    let reason = match same_places(listed, advertised, resolve) {
        Ok(true) => return Ok(()),
        Ok(false) => "the addresses differ".to_owned(),
        Err(error) => error,
    };
    let only_listed: Vec<String> =
        listed.iter().filter(|url| !advertised.contains(url)).map(|url| format!("{name}={url}")).collect();
    if !only_listed.is_empty() {
        return Err(format!(
            "--initial-cluster has {} but missing from --initial-advertise-peer-urls={} ({reason})",
            only_listed.join(","),
            url::join(advertised)
        ));
    }
    let only_advertised: Vec<Url> = advertised.iter().filter(|url| !listed.contains(url)).cloned().collect();
    Err(format!(
        "--initial-advertise-peer-urls has {} but missing from --initial-cluster={}",
        url::join(&only_advertised),
        InitialCluster::single(name, advertised)
    ))
}

fn same_places(left: &[Url], right: &[Url], resolve: &dyn Fn(&str) -> io::Result<Vec<IpAddr>>) -> Result<bool, String> {
    let same_text = |left: &[Url], right: &[Url]| {
        let sorted = |urls: &[Url]| {
            let mut texts: Vec<String> = urls.iter().map(Url::to_string).collect();
            texts.sort_unstable();
            texts
        };
        sorted(left) == sorted(right)
    };
    if same_text(left, right) {
        return Ok(true);
    }
    if left.len() != right.len() {
        return Err(format!("{} URLs against {}", right.len(), left.len()));
    }
    let places = |urls: &[Url]| -> Result<Vec<(bool, String)>, String> {
        let mut places = Vec::new();
        for url in urls {
            let (Some(host), Some(authority)) = (url.host(), url.authority()) else {
                places.push((url.is_tls(), url.to_string()));
                continue;
            };
            let port = url::split_host_port(authority).map_err(str::to_owned)?.1;
            let mut addresses = resolve(host).map_err(|error| format!("cannot resolve {host}: {error}"))?;
            addresses.sort_unstable();
            // One address is enough to tell a place; taking the first of the sorted ones makes both sides agree.
            let address = addresses.first().ok_or_else(|| format!("{host} has no address"))?;
            places.push((url.is_tls(), format!("{address}:{port}")));
        }
        places.sort_unstable();
        Ok(places)
    };
    Ok(places(left)? == places(right)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
        match host {
            "localhost" => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
            _ => host.parse().map(|ip| vec![ip]).map_err(|_| io::Error::new(io::ErrorKind::NotFound, "no such host")),
        }
    }

    fn check(cluster: &str, name: &str, advertised: &str, joining: bool) -> Result<(), String> {
        let cluster = InitialCluster::parse(cluster).expect("a valid cluster");
        let advertised = Url::parse_list(advertised).expect("a valid list");
        cluster.check_bootstrap(name, &advertised, joining, &resolve).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_may_have_several_urls() {
        let cluster = InitialCluster::parse("b=http://2:1,a=http://3:1,,a=http://1:1").expect("a valid cluster");
        assert_eq!(cluster.to_string(), "a=http://1:1,a=http://3:1,b=http://2:1");
        assert_eq!(cluster.urls_of("a").map(<[Url]>::len), Some(2));
        assert!(InitialCluster::parse("a").is_err());
        assert!(InitialCluster::parse("").expect("an empty cluster").is_empty());
    }

    #[test]
    fn the_local_member_must_be_listed() {
        assert_eq!(
            check("a=http://1.1.1.1:1", "b", "http://1.1.1.1:1", false).unwrap_err(),
            "couldn't find local name \"b\" in the initial cluster configuration"
        );
    }

    #[test]
    fn names_and_addresses_of_one_place_agree() {
        assert_eq!(check("a=http://localhost:1", "a", "http://127.0.0.1:1", false), Ok(()));
        assert_eq!(check("a=http://localhost:1", "a", "http://localhost:1", false), Ok(()));
        assert!(check("a=http://localhost:1", "a", "https://127.0.0.1:1", false).is_err());
        assert!(check("a=http://localhost:1", "a", "http://127.0.0.1:2", false).is_err());
    }

    #[test]
    fn different_places_are_told_apart_in_etcds_words() {
        assert_eq!(
            check("a=http://1.1.1.1:1", "a", "http://1.1.1.1:2", false).unwrap_err(),
            "--initial-cluster has a=http://1.1.1.1:1 but missing from \
             --initial-advertise-peer-urls=http://1.1.1.1:2 (the addresses differ)"
        );
        assert_eq!(
            check("a=http://1.1.1.1:1", "a", "http://1.1.1.1:1,http://1.1.1.1:2", false).unwrap_err(),
            "--initial-advertise-peer-urls has http://1.1.1.1:2 but missing from \
             --initial-cluster=a=http://1.1.1.1:1,a=http://1.1.1.1:2"
        );
        let unknown = check("a=http://nowhere:1", "a", "http://1.1.1.1:1", false).unwrap_err();
        assert!(unknown.contains("cannot resolve nowhere: no such host"), "{unknown}");
    }

    #[test]
    fn a_joining_member_is_not_compared() {
        assert_eq!(check("a=http://1.1.1.1:1", "a", "http://1.1.1.1:2", true), Ok(()));
    }

    #[test]
    fn no_url_belongs_to_two_members() {
        assert_eq!(
            check("a=http://1.1.1.1:1,b=http://1.1.1.1:1", "a", "http://1.1.1.1:1", false).unwrap_err(),
            "initial cluster a=http://1.1.1.1:1,b=http://1.1.1.1:1 has duplicate url"
        );
    }
}
