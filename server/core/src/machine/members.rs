//! The members as clients see them, and what the cluster knows about itself.
//!
//! Rule: this is what MemberList answers. Who votes is consensus' own business and is reconciled with it.

use crate::ids::MemberId;
use crate::pb::Member;
use quorate_proto::internal::StoredMember;
use std::collections::BTreeMap;

/// The members, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// The cluster's id; 0 before the first entry.
    pub cluster_id: u64,
    /// The cluster version as `3.7.0`; empty before it is decided.
    pub cluster_version: String,
    pub(crate) members: BTreeMap<MemberId, StoredMember>,
}

impl Members {
    /// One member.
    #[must_use]
    pub fn get(&self, id: MemberId) -> Option<&StoredMember> {
        self.members.get(&id)
    }

    /// All of them as the API lists them, ascending by id.
    #[must_use]
    pub fn list(&self) -> Vec<Member> {
        self.members
            .values()
            .map(|member| Member {
                id: member.id,
                name: member.name.clone(),
                peer_urls: member.peer_urls.clone(),
                client_urls: member.client_urls.clone(),
                is_learner: member.is_learner,
            })
            .collect()
    }
}
