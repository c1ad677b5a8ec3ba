//! Put and delete (contract §2.5, §2.6).
//!
//! Rule: checks first, then changes. [`Machine::check_put`] refuses; [`Machine::do_put`] and [`Machine::do_delete`] cannot.
//! A transaction uses the same pieces, with all its checks before its first change.

use crate::error::{Fault, Refusal};
use crate::ids::{LeaseId, Revision};
use crate::machine::Machine;
use crate::machine::round::{Change, Round};
use crate::mvcc::index::KeyRange;
use crate::mvcc::key_history::Version;
use crate::mvcc::row;
use crate::mvccpb::KeyValue;
use crate::pb::{DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse};
use crate::storage::codec::{index_key, index_value};
use crate::storage::{Rows, Table};
use bytes::Bytes;
use prost::Message;

impl Machine {
    pub(crate) fn put(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        request: &PutRequest,
    ) -> Result<Result<PutResponse, Refusal>, Fault> {
        if let Err(refusal) = self.check_put(request) {
            return Ok(Err(refusal));
        }
        let revision = Revision::new(self.revision + 1, 0);
        let mut response = self.do_put(round, rows, request, revision)?;
        self.revision = revision.main;
        response.header = Some(self.header());
        Ok(Ok(response))
    }

    /// What can refuse a put when it is applied: its lease must exist, and what it keeps must be there.
    pub(crate) fn check_put(&self, request: &PutRequest) -> Result<(), Refusal> {
        self.check_lease(request)?;
        self.check_kept(request)
    }

    pub(crate) fn check_lease(&self, request: &PutRequest) -> Result<(), Refusal> {
        if request.lease != 0 && self.leases.get(LeaseId(request.lease)).is_none() {
            return Err(Refusal::LeaseNotFound);
        }
        Ok(())
    }

    pub(crate) fn check_kept(&self, request: &PutRequest) -> Result<(), Refusal> {
        if (request.ignore_value || request.ignore_lease) && self.index.live(&request.key).is_none() {
            return Err(Refusal::KeyNotFound);
        }
        Ok(())
    }

    /// Puts at `revision`; the response has no header.
    pub(crate) fn do_put(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        request: &PutRequest,
        revision: Revision,
    ) -> Result<PutResponse, Fault> {
        let before = self.index.live(&request.key).copied();
        let previous_row = match before {
            Some(version) if request.prev_kv || request.ignore_value => round.over(rows).row(version.revision)?,
            _ => Bytes::new(),
        };
        let value = if request.ignore_value { row::decode(&previous_row)?.value } else { request.value.clone() };
        let kept_lease = before.filter(|_| request.ignore_lease).map(|version| version.lease);
        let kv = KeyValue {
            key: request.key.clone(),
            value,
            create_revision: before.map_or(revision.main, |version| version.create_revision),
            mod_revision: revision.main,
            version: before.map_or(1, |version| version.version + 1),
            lease: kept_lease.unwrap_or(LeaseId(request.lease)).0,
        };
        round.counts.puts += 1;
        round.counts.put_bytes += (kv.key.len() + kv.value.len()) as u64;
        let encoded = row::encode(&kv);
        let version = Version {
            revision,
            encoded_bytes: u32::try_from(encoded.len()).unwrap_or(u32::MAX),
            create_revision: kv.create_revision,
            version: kv.version,
            lease: LeaseId(kv.lease),
        };
        let previous = before.and_then(|version| self.before_revision(&kv.key, version.revision, revision.main));
        self.record(round, &kv.key, version, encoded.clone());
        round.changes.push(Change { revision, delete: false, key: kv.key, kv: encoded, previous });
        let prev_kv = (request.prev_kv && before.is_some()).then_some(previous_row);
        Ok(PutResponse { header: None, prev_kv })
    }

    pub(crate) fn delete_range(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        request: &DeleteRangeRequest,
    ) -> Result<Result<DeleteRangeResponse, Refusal>, Fault> {
        let revision = Revision::new(self.revision + 1, 0);
        let mut response = self.do_delete(round, rows, request, revision)?;
        if response.deleted > 0 {
            self.revision = revision.main;
        }
        response.header = Some(self.header());
        Ok(Ok(response))
    }

    /// Deletes from `revision` on, one sub revision a key; the response has no header.
    pub(crate) fn do_delete(
        &mut self,
        round: &mut Round,
        rows: &dyn Rows,
        request: &DeleteRangeRequest,
        revision: Revision,
    ) -> Result<DeleteRangeResponse, Fault> {
        round.counts.deletes += 1;
        let range = KeyRange::new(&request.key, &request.range_end);
        let doomed: Vec<(Bytes, Revision)> =
            self.index.iter_live(range).map(|(key, version)| (Bytes::copy_from_slice(key), version.revision)).collect();
        let prev_kvs = if request.prev_kv {
            let revisions: Vec<Revision> = doomed.iter().map(|(_, revision)| *revision).collect();
            round.over(rows).rows(&revisions)?
        } else {
            Vec::new()
        };
        let deleted = doomed.len() as i64;
        for (sub, (key, previous)) in (revision.sub..).zip(doomed) {
            self.bury(round, key, previous, Revision::new(revision.main, sub));
        }
        Ok(DeleteRangeResponse { header: None, deleted, prev_kvs })
    }

    /// Ends the life of one key.
    pub(crate) fn bury(&mut self, round: &mut Round, key: Bytes, previous: Revision, revision: Revision) {
        let encoded = row::tombstone(&key);
        let version = Version {
            revision,
            encoded_bytes: u32::try_from(encoded.len()).unwrap_or(u32::MAX),
            create_revision: 0,
            version: 0,
            lease: LeaseId::NONE,
        };
        let previous = self.before_revision(&key, previous, revision.main);
        self.record(round, &key, version, encoded);
        let told = KeyValue { key: key.clone(), mod_revision: revision.main, ..KeyValue::default() };
        round.changes.push(Change { revision, delete: true, key, kv: told.encode_to_vec().into(), previous });
    }

    /// Where a change in `main` finds the value before: what it supersedes, unless that is of the same revision.
    fn before_revision(&self, key: &[u8], superseded: Revision, main: i64) -> Option<Revision> {
        if superseded.main < main {
            return Some(superseded);
        }
        Some(self.index.history(key)?.at(main - 1)?.revision)
    }

    /// Enters a version everywhere it counts: index, weight, leases, rows.
    fn record(&mut self, round: &mut Round, key: &[u8], version: Version, encoded: Bytes) {
        let superseded = self.index.push(key, version);
        self.weight.push(&version, superseded.as_ref());
        let lease_before = superseded.map_or(LeaseId::NONE, |before| before.lease);
        if lease_before != version.lease {
            self.leases.detach(lease_before, key);
            self.leases.attach(version.lease, key);
        }
        round.put_row(Table::Index, index_key(key, version.revision), index_value(&version));
        round.put_encoded(version.revision, encoded);
    }
}
