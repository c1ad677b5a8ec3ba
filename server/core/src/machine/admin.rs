//! Entries about leases, alarms, members and compaction (contract §2.8, §2.10, §2.11).

use crate::error::Refusal;
use crate::ids::{LeaseId, LogIndex, MemberId, Revision};
use crate::limits::LEASE_TTL_SECONDS_MAX;
use crate::machine::round::{Effect, Response, Round};
use crate::machine::{Machine, Position};
use crate::pb::alarm_request::AlarmAction;
use crate::pb::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, CompactionRequest, CompactionResponse, LeaseCheckpointRequest,
    LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeResponse,
};
use crate::storage::Table;
use crate::storage::codec::{alarm_key, lease_key};
use crate::storage::table::meta;
use bytes::Bytes;
use prost::Message;
use quorate_proto::internal::{Bootstrap, LeaseRevoke, MemberAttributes, StoredAlarm, StoredLease, StoredMember};
use std::sync::Arc;

impl Machine {
    /// Raises the floor. Revision 0 on a store that was never compacted is accepted once.
    pub(crate) fn compact(
        &mut self,
        round: &mut Round,
        request: &CompactionRequest,
    ) -> Result<CompactionResponse, Refusal> {
        if request.revision <= self.compact_revision {
            return Err(Refusal::Compacted);
        }
        if request.revision > self.revision {
            return Err(Refusal::FutureRevision);
        }
        let floor = request.revision;
        self.compact_revision = floor;
        self.weight.compact(floor);
        self.pins.raise(floor);
        let value = Bytes::copy_from_slice(&floor.to_be_bytes());
        round.put_row(Table::Meta, Bytes::from_static(meta::COMPACTED), value);
        round.effects.push(Effect::Compacted { floor });
        Ok(CompactionResponse { header: Some(self.header()) })
    }

    /// The proposer has chosen the id and raised the time to live to its minimum.
    pub(crate) fn grant(
        &mut self,
        round: &mut Round,
        position: Position,
        request: &LeaseGrantRequest,
    ) -> Result<LeaseGrantResponse, Refusal> {
        if request.ttl > LEASE_TTL_SECONDS_MAX {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        let lease = LeaseId(request.id);
        if !lease.is_some() {
            return Err(Refusal::LeaseNotFound);
        }
        if self.leases.get(lease).is_some() {
            return Err(Refusal::LeaseExists);
        }
        let stored = StoredLease {
            id: request.id,
            ttl_seconds: request.ttl,
            remaining_seconds: 0,
            granted_index: position.index.0,
        };
        self.leases.insert(&stored);
        round.put_row(Table::Lease, Bytes::copy_from_slice(&lease_key(lease)), stored.encode_to_vec());
        round.effects.push(Effect::LeaseGranted { lease, ttl_seconds: request.ttl, incarnation: position.index });
        Ok(LeaseGrantResponse { header: Some(self.header()), id: request.id, ttl: request.ttl, error: String::new() })
    }

    /// Ends a lease and deletes its keys in one revision, in key order. An expiry counts only in the term of the leader
    /// that saw it and for the lease it saw; so a leader that was paused revokes nothing.
    pub(crate) fn revoke(
        &mut self,
        round: &mut Round,
        position: Position,
        request: &LeaseRevoke,
    ) -> Result<LeaseRevokeResponse, Refusal> {
        let id = LeaseId(request.id);
        let lease = self.leases.get(id).ok_or(Refusal::LeaseNotFound)?;
        let stale = (request.term != 0 && request.term != position.term.0)
            || (request.incarnation != 0 && LogIndex(request.incarnation) != lease.incarnation);
        if stale {
            return Err(Refusal::StaleExpiry);
        }
        let doomed: Vec<(Bytes, Revision)> = self
            .leases
            .keys(id)
            .filter_map(|key| Some((Bytes::copy_from_slice(key), self.index.live(key)?.revision)))
            .collect();
        if !doomed.is_empty() {
            self.revision += 1;
        }
        let main = self.revision;
        for (sub, (key, previous)) in (0..).zip(doomed) {
            self.bury(round, key, previous, Revision::new(main, sub));
        }
        self.leases.remove(id);
        round.delete_row(Table::Lease, Bytes::copy_from_slice(&lease_key(id)));
        round.effects.push(Effect::LeaseRevoked { lease: id });
        Ok(LeaseRevokeResponse { header: Some(self.header()) })
    }

    /// Records what is left of leases; unknown ones are skipped, they ended meanwhile.
    pub(crate) fn checkpoint(&mut self, round: &mut Round, request: &LeaseCheckpointRequest) -> Response {
        for checkpoint in &request.checkpoints {
            let id = LeaseId(checkpoint.id);
            let Some(lease) = self.leases.get(id) else {
                continue;
            };
            let stored = StoredLease {
                id: id.0,
                ttl_seconds: lease.ttl_seconds,
                remaining_seconds: checkpoint.remaining_ttl,
                granted_index: lease.incarnation.0,
            };
            self.leases.insert(&stored);
            round.put_row(Table::Lease, Bytes::copy_from_slice(&lease_key(id)), stored.encode_to_vec());
            round.effects.push(Effect::LeaseCheckpointed { lease: id, remaining_seconds: checkpoint.remaining_ttl });
        }
        Response::None
    }

    pub(crate) fn alarm(&mut self, round: &mut Round, request: &AlarmRequest) -> AlarmResponse {
        let member = MemberId(request.member_id);
        let key = Bytes::copy_from_slice(&alarm_key(member, request.alarm));
        let this = AlarmMember { member_id: request.member_id, alarm: request.alarm };
        let none = request.alarm == i32::from(AlarmType::None);
        let alarms = match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => self.alarms.list(request.alarm),
            Ok(AlarmAction::Activate) if !none => {
                if Arc::make_mut(&mut self.alarms).raise(member, request.alarm) {
                    let stored = StoredAlarm { member_id: request.member_id, alarm: request.alarm };
                    round.put_row(Table::Alarm, key, stored.encode_to_vec());
                    round.effects.push(Effect::Alarms);
                }
                vec![this]
            }
            Ok(AlarmAction::Deactivate) => {
                if Arc::make_mut(&mut self.alarms).clear(member, request.alarm) {
                    round.delete_row(Table::Alarm, key);
                    round.effects.push(Effect::Alarms);
                    vec![this]
                } else {
                    Vec::new()
                }
            }
            Ok(AlarmAction::Activate) | Err(_) => Vec::new(),
        };
        AlarmResponse { header: Some(self.header()), alarms }
    }

    pub(crate) fn member_attributes(&mut self, round: &mut Round, request: &MemberAttributes) -> Result<(), Refusal> {
        let members = Arc::make_mut(&mut self.members);
        let member = members.members.get_mut(&MemberId(request.member_id)).ok_or(Refusal::MemberNotFound)?;
        member.name.clone_from(&request.name);
        member.client_urls.clone_from(&request.client_urls);
        let row = member.encode_to_vec();
        round.put_row(Table::Member, Bytes::copy_from_slice(&request.member_id.to_be_bytes()), row);
        round.effects.push(Effect::Members);
        Ok(())
    }

    pub(crate) fn cluster_version(&mut self, round: &mut Round, version: &str) {
        version.clone_into(&mut Arc::make_mut(&mut self.members).cluster_version);
        let value = Bytes::copy_from_slice(version.as_bytes());
        round.put_row(Table::Meta, Bytes::from_static(meta::CLUSTER_VERSION), value);
        round.effects.push(Effect::Members);
    }

    /// The first entry of a cluster; a second one changes nothing, so that it may be proposed again after a crash.
    pub(crate) fn bootstrap(&mut self, round: &mut Round, request: &Bootstrap) {
        if self.members.cluster_id != 0 {
            return;
        }
        let members = Arc::make_mut(&mut self.members);
        members.cluster_id = request.cluster_id;
        for member in &request.members {
            let stored = StoredMember {
                id: member.id,
                name: member.name.clone(),
                peer_urls: member.peer_urls.clone(),
                client_urls: member.client_urls.clone(),
                is_learner: member.is_learner,
            };
            let key = Bytes::copy_from_slice(&member.id.to_be_bytes());
            round.put_row(Table::Member, key, stored.encode_to_vec());
            members.members.insert(MemberId(member.id), stored);
        }
        let value = Bytes::copy_from_slice(&request.cluster_id.to_be_bytes());
        round.put_row(Table::Meta, Bytes::from_static(meta::CLUSTER_ID), value);
        round.effects.push(Effect::Members);
    }
}
