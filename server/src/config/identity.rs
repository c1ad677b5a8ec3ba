//! The identities a cluster starts with.
//!
//! Every member computes the same IDs from the same flags, without talking to the others: a member's ID from its peer
//! URLs and the cluster's token, the cluster's ID from its members' IDs (contract §2.16). A member that joins later
//! also mixes in the time it was added, so a URL that left and comes back is somebody else.
//!
//! The tests hold IDs that etcd 3.4.23 logged for the same flags.

use sha1::{Digest, Sha1};

use super::url::Url;

/// The ID of a member that is part of the cluster from its start.
pub fn member_id(peer_urls: &[Url], token: &str) -> u64 {
    hash_member(peer_urls, token, "")
}

/// The ID of a member added to a running cluster, at this time in whole seconds since 1970.
pub fn added_member_id(peer_urls: &[Url], token: &str, unix_seconds: i64) -> u64 {
    hash_member(peer_urls, token, &unix_seconds.to_string())
}

/// The ID of the cluster these members form. Their order does not matter.
pub fn cluster_id(member_ids: &[u64]) -> u64 {
    let mut sorted = member_ids.to_vec();
    sorted.sort_unstable();
    let mut hash = Sha1::new();
    for id in sorted {
        hash.update(id.to_be_bytes());
    }
    first_eight_bytes(hash)
}

fn hash_member(peer_urls: &[Url], token: &str, suffix: &str) -> u64 {
    let mut texts: Vec<String> = peer_urls.iter().map(Url::to_string).collect();
    texts.sort_unstable();
    let mut hash = Sha1::new();
    for text in texts {
        hash.update(text);
    }
    hash.update(token);
    hash.update(suffix);
    first_eight_bytes(hash)
}

fn first_eight_bytes(hash: Sha1) -> u64 {
    let digest = hash.finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<Url> {
        Url::parse_list(text).expect("a valid list")
    }

    #[test]
    fn a_single_member_has_the_ids_etcd_gives_it() {
        let id = member_id(&urls("http://127.0.0.1:23801"), "tok");
        assert_eq!(id, 0x4036_b1db_2477_5ea0);
        assert_eq!(cluster_id(&[id]), 0x2264_b312_802c_e73b);
    }

    #[test]
    fn a_cluster_with_a_member_of_two_urls_has_the_ids_etcd_gives_it() {
        let token = "etcd-cluster";
        let m0 = member_id(&urls("http://127.0.0.1:23802,http://127.0.0.1:23801"), token);
        let m1 = member_id(&urls("http://127.0.0.1:23804"), token);
        let m2 = member_id(&urls("http://127.0.0.1:23805"), token);
        assert_eq!(m0, 0x3678_56ca_3e25_687d);
        assert_eq!(m1, 0xd8c7_89e0_cff9_a973);
        assert_eq!(m2, 0x7d07_b6b9_bfeb_346a);
        assert_eq!(cluster_id(&[m0, m1, m2]), 0xb79b_539e_0f23_b768);
        assert_eq!(cluster_id(&[m2, m0, m1]), 0xb79b_539e_0f23_b768);
    }

    #[test]
    fn the_time_of_joining_changes_a_members_id() {
        let peer = urls("http://127.0.0.1:23801");
        assert_ne!(added_member_id(&peer, "tok", 1), member_id(&peer, "tok"));
        assert_ne!(added_member_id(&peer, "tok", 1), added_member_id(&peer, "tok", 2));
    }
}
