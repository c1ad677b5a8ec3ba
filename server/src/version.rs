//! What this binary says about itself.
//!
//! Clients and etcd's test harness switch behaviour by the version a server reports, so the server reports the etcd
//! release whose contract it keeps. The project's own version is printed only when the binary runs under its own name.

/// The etcd release this server answers as (contract, "Target recommendation").
pub const ETCD_VERSION: &str = "3.7.1";

/// The cluster version a cluster of such members agrees on: major and minor of [`ETCD_VERSION`].
pub const CLUSTER_VERSION: &str = "3.7.0";

/// Quorate's own version.
pub const QUORATE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit this binary was built from; set `QUORATE_GIT_SHA` while building to record it.
pub const GIT_SHA: &str = match option_env!("QUORATE_GIT_SHA") {
    Some(sha) => sha,
    None => "not recorded",
};

/// The operating system and processor in Go's spelling, for example `linux/amd64`.
pub fn platform() -> String {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        other => other,
    };
    format!("{}/{arch}", std::env::consts::OS)
}

/// What `--version` prints, with a newline after every line.
///
/// As `etcd`: the four lines of contract §6.1; the test harness reads the release out of the first. Under any other
/// name: Quorate's version first, then the etcd release it stands for.
pub fn text(as_etcd: bool) -> String {
    if as_etcd {
        format!(
            "etcd Version: {ETCD_VERSION}\nGit SHA: {GIT_SHA}\nGo Version: none (Rust)\nGo OS/Arch: {}\n",
            platform()
        )
    } else {
        format!(
            "quorate Version: {QUORATE_VERSION}\netcd compatibility: {ETCD_VERSION}\nGit SHA: {GIT_SHA}\nOS/Arch: {}\n",
            platform()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_the_name_etcd_there_are_exactly_etcds_four_lines() {
        let text = text(true);
        let labels: Vec<&str> = text.lines().filter_map(|line| line.split(": ").next()).collect();
        assert_eq!(labels, ["etcd Version", "Git SHA", "Go Version", "Go OS/Arch"]);
        assert!(text.starts_with("etcd Version: 3.7.1\n"));
    }

    #[test]
    fn under_its_own_name_both_versions_are_told() {
        let text = text(false);
        assert!(text.starts_with(&format!("quorate Version: {QUORATE_VERSION}\n")));
        assert!(text.contains("\netcd compatibility: 3.7.1\n"));
    }
}
