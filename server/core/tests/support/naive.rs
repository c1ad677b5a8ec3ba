//! The store as one would write it on a napkin: a whole map per revision, nothing shared, nothing clever.
//!
//! It says what the machine must answer, for one request at a time, straight from the contract (§2.3 to §2.12).

use bytes::Bytes;
use prost::Message;
use quorate_core::error::Refusal;
use quorate_core::ids::Revision;
use quorate_core::limits::STORE_BASE_BYTES;
use quorate_core::machine::Change;
use quorate_core::mvccpb::KeyValue;
use quorate_core::pb::compare::TargetUnion;
use quorate_core::pb::request_op::Request;
use quorate_core::pb::response_op::Response;
use quorate_core::pb::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Keys = BTreeMap<Bytes, KeyValue>;

/// A change as it was written: nothing for a deletion.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) revision: Revision,
    key: Bytes,
    kv: Option<KeyValue>,
    previous: Option<Revision>,
}

#[derive(Clone, Debug)]
pub(crate) struct Naive {
    /// The keys at revision 1, 2, and so on.
    history: Vec<Keys>,
    pub(crate) rows: Vec<Row>,
    pub(crate) compacted: i64,
    pub(crate) leases: BTreeSet<i64>,
}

impl Default for Naive {
    fn default() -> Self {
        Self { history: vec![Keys::new()], rows: Vec::new(), compacted: -1, leases: BTreeSet::new() }
    }
}

/// Keys in the middle of a transaction.
struct Working {
    keys: Keys,
    rows: Vec<Row>,
    revision: i64,
}

impl Naive {
    pub(crate) fn revision(&self) -> i64 {
        self.history.len() as i64
    }

    pub(crate) fn now(&self) -> &Keys {
        self.history.last().expect("revision 1 is always there")
    }

    fn at(&self, revision: i64) -> &Keys {
        &self.history[usize::try_from(revision - 1).expect("revisions begin at 1")]
    }

    pub(crate) fn put(&mut self, request: &PutRequest) -> Result<PutResponse, Refusal> {
        self.check_lease(request)?;
        self.check_kept(request)?;
        let mut work = self.begin();
        let response = put(&mut work, request);
        self.commit(work);
        Ok(PutResponse { header: header(self.revision()), ..response })
    }

    pub(crate) fn delete(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let mut work = self.begin();
        let response = delete(&mut work, request);
        self.commit(work);
        DeleteRangeResponse { header: header(self.revision()), ..response }
    }

    pub(crate) fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Refusal> {
        self.check_txn(request)?;
        let mut work = self.begin();
        let response = self.run(&mut work, request);
        self.commit(work);
        Ok(TxnResponse { header: header(self.revision()), ..response })
    }

    pub(crate) fn compact(&mut self, revision: i64) -> Result<(), Refusal> {
        if revision <= self.compacted {
            return Err(Refusal::Compacted);
        }
        if revision > self.revision() {
            return Err(Refusal::FutureRevision);
        }
        self.compacted = revision;
        Ok(())
    }

    pub(crate) fn grant(&mut self, lease: i64) -> Result<(), Refusal> {
        if self.leases.insert(lease) { Ok(()) } else { Err(Refusal::LeaseExists) }
    }

    pub(crate) fn revoke(&mut self, lease: i64) -> Result<(), Refusal> {
        if !self.leases.remove(&lease) {
            return Err(Refusal::LeaseNotFound);
        }
        let mut work = self.begin();
        for key in self.keys_of(lease) {
            delete(&mut work, &DeleteRangeRequest { key, ..DeleteRangeRequest::default() });
        }
        self.commit(work);
        Ok(())
    }

    pub(crate) fn keys_of(&self, lease: i64) -> Vec<Bytes> {
        self.now().values().filter(|kv| kv.lease == lease).map(|kv| kv.key.clone()).collect()
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        let revision = match request.revision {
            ..=0 => self.revision(),
            revision if revision > self.revision() => return Err(Refusal::FutureRevision),
            revision if revision < self.compacted => return Err(Refusal::Compacted),
            revision => revision,
        };
        Ok(RangeResponse { header: header(self.revision()), ..range(self.at(revision), request) })
    }

    /// What watchers of everything hear about revisions above `after`.
    pub(crate) fn changes(&self, after: i64) -> Vec<Change> {
        let told = |row: &Row| {
            let bare = KeyValue { key: row.key.clone(), mod_revision: row.revision.main, ..KeyValue::default() };
            Change {
                revision: row.revision,
                delete: row.kv.is_none(),
                key: row.key.clone(),
                kv: encoded(row.kv.as_ref().unwrap_or(&bare)),
                previous: row.previous,
            }
        };
        self.rows.iter().filter(|row| row.revision.main > after).map(told).collect()
    }

    /// True when the floor hides the row: superseded at or below it, or a tombstone below it.
    pub(crate) fn hides(&self, row: &Row) -> bool {
        let next = self.rows.iter().find(|other| other.key == row.key && other.revision > row.revision);
        match (&row.kv, next) {
            (None, _) => row.revision.main < self.compacted,
            (Some(_), Some(next)) => next.revision.main <= self.compacted,
            (Some(_), None) => false,
        }
    }

    pub(crate) fn bytes_in_use(&self) -> i64 {
        let bytes = |row: &Row| 17 + i64::from(row.kv.is_none()) + stored(row).len() as i64;
        STORE_BASE_BYTES + self.rows.iter().filter(|row| !self.hides(row)).map(bytes).sum::<i64>()
    }

    /// HashKV, word for word from the contract (§2.12), on rows of which a finished compaction removed its share.
    pub(crate) fn hash(&self, revision: i64) -> Result<u32, Refusal> {
        if revision < self.compacted {
            return Err(Refusal::Compacted);
        }
        if revision > self.revision() {
            return Err(Refusal::FutureRevision);
        }
        let shown = |row: &Row, at: i64| {
            let newest = self.rows.iter().rfind(|other| other.key == row.key && other.revision.main <= at);
            row.kv.is_some() && newest.is_some_and(|newest| newest.revision == row.revision)
        };
        let keep_is_empty = self.at(revision).is_empty();
        let mut crc = crc32c::crc32c(b"key");
        for row in self.rows.iter().filter(|row| row.revision.main <= revision) {
            let at = if keep_is_empty { self.compacted } else { revision };
            if row.revision.main <= self.compacted && !shown(row, at) {
                continue;
            }
            let mut key = [&row.revision.main.to_be_bytes()[..], b"_"].concat();
            key.extend(i64::from(row.revision.sub).to_be_bytes());
            if row.kv.is_none() {
                key.push(b't');
            }
            crc = crc32c::crc32c_append(crc, &key);
            crc = crc32c::crc32c_append(crc, &stored(row));
        }
        Ok(crc)
    }

    fn begin(&self) -> Working {
        Working { keys: self.now().clone(), rows: self.rows.clone(), revision: self.revision() + 1 }
    }

    fn commit(&mut self, work: Working) {
        if work.rows.len() > self.rows.len() {
            self.history.push(work.keys);
            self.rows = work.rows;
        }
    }

    fn check_lease(&self, request: &PutRequest) -> Result<(), Refusal> {
        if request.lease != 0 && !self.leases.contains(&request.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        Ok(())
    }

    fn check_kept(&self, request: &PutRequest) -> Result<(), Refusal> {
        if (request.ignore_value || request.ignore_lease) && !self.now().contains_key(&request.key) {
            return Err(Refusal::KeyNotFound);
        }
        Ok(())
    }

    fn check_txn(&self, request: &TxnRequest) -> Result<(), Refusal> {
        for operation in self.branch(request).1 {
            match operation.request.as_ref().expect("checked before") {
                Request::RequestPut(put) => {
                    self.check_kept(put)?;
                    self.check_lease(put)?;
                }
                Request::RequestTxn(txn) => self.check_txn(txn)?,
                Request::RequestRange(range) if range.revision == 0 => {}
                Request::RequestRange(range) if range.revision > self.revision() => {
                    return Err(Refusal::FutureRevision);
                }
                Request::RequestRange(range) if range.revision < self.compacted => return Err(Refusal::Compacted),
                Request::RequestRange(_) | Request::RequestDeleteRange(_) => {}
            }
        }
        Ok(())
    }

    /// Compares look at the state before the transaction, so every nested one can be decided alone.
    fn branch<'r>(&self, request: &'r TxnRequest) -> (bool, &'r [RequestOp]) {
        let holds = request.compare.iter().all(|compare| self.holds(compare));
        (holds, if holds { &request.success } else { &request.failure })
    }

    fn holds(&self, compare: &Compare) -> bool {
        let found: Vec<&KeyValue> =
            self.now().values().filter(|kv| within(&kv.key, &compare.key, &compare.range_end)).collect();
        if found.is_empty() {
            let of_value = matches!(compare.target_union, Some(TargetUnion::Value(_)));
            return !of_value && one_holds(compare, &KeyValue::default());
        }
        found.into_iter().all(|kv| one_holds(compare, kv))
    }

    fn run(&self, work: &mut Working, request: &TxnRequest) -> TxnResponse {
        let (succeeded, operations) = self.branch(request);
        let mut responses = Vec::new();
        for operation in operations {
            let response = match operation.request.as_ref().expect("checked before") {
                Request::RequestPut(request) => {
                    let response = put(work, request);
                    Response::ResponsePut(PutResponse { header: header(work.revision), ..response })
                }
                Request::RequestDeleteRange(request) => {
                    let response = delete(work, request);
                    Response::ResponseDeleteRange(DeleteRangeResponse { header: self.seen(work), ..response })
                }
                Request::RequestRange(request) => {
                    let keys = if request.revision > 0 { self.at(request.revision) } else { &work.keys };
                    Response::ResponseRange(RangeResponse { header: self.seen(work), ..range(keys, request) })
                }
                Request::RequestTxn(request) => {
                    let response = self.run(work, request);
                    Response::ResponseTxn(TxnResponse { header: header(0), ..response })
                }
            };
            responses.push(ResponseOp { response: Some(response) });
        }
        TxnResponse { header: None, succeeded, responses }
    }

    fn seen(&self, work: &Working) -> Option<ResponseHeader> {
        header(if work.rows.len() > self.rows.len() { work.revision } else { self.revision() })
    }
}

impl Working {
    fn record(&mut self, key: &Bytes, kv: Option<KeyValue>) {
        let sub = self.rows.iter().filter(|row| row.revision.main == self.revision).count();
        let revision = Revision::new(self.revision, u32::try_from(sub).expect("few changes"));
        // A creation has nothing before; any other change has what the revision before shows.
        let creates = kv.is_some() && !self.keys.contains_key(key);
        let before = self.rows.iter().rfind(|row| row.key == *key && row.revision.main < self.revision);
        let previous = before.filter(|row| !creates && row.kv.is_some()).map(|row| row.revision);
        match &kv {
            Some(kv) => self.keys.insert(key.clone(), kv.clone()),
            None => self.keys.remove(key),
        };
        self.rows.push(Row { revision, key: key.clone(), kv, previous });
    }
}

fn put(work: &mut Working, request: &PutRequest) -> PutResponse {
    let before = work.keys.get(&request.key).cloned();
    let old = before.clone().unwrap_or_default();
    let kv = KeyValue {
        key: request.key.clone(),
        value: if request.ignore_value { old.value } else { request.value.clone() },
        create_revision: if before.is_some() { old.create_revision } else { work.revision },
        mod_revision: work.revision,
        version: old.version + 1,
        lease: if request.ignore_lease { old.lease } else { request.lease },
    };
    work.record(&request.key, Some(kv));
    PutResponse { header: None, prev_kv: before.filter(|_| request.prev_kv).map(|kv| encoded(&kv)) }
}

fn delete(work: &mut Working, request: &DeleteRangeRequest) -> DeleteRangeResponse {
    let gone: Vec<KeyValue> =
        work.keys.values().filter(|kv| within(&kv.key, &request.key, &request.range_end)).cloned().collect();
    gone.iter().for_each(|kv| work.record(&kv.key, None));
    let prev_kvs = if request.prev_kv { gone.iter().map(encoded).collect() } else { Vec::new() };
    DeleteRangeResponse { header: None, deleted: gone.len() as i64, prev_kvs }
}

/// The five steps of the contract, one after the other (§2.3).
fn range(keys: &Keys, request: &RangeRequest) -> RangeResponse {
    let all = keys.values().filter(|kv| within(&kv.key, &request.key, &request.range_end));
    let mut kvs: Vec<KeyValue> = all.cloned().collect();
    let count = kvs.len() as i64;
    if request.count_only {
        return RangeResponse { count, ..RangeResponse::default() };
    }
    let bounds = [
        (request.min_mod_revision, request.max_mod_revision),
        (request.min_create_revision, request.max_create_revision),
    ];
    let filtered = bounds != [(0, 0), (0, 0)];
    let default_order = request.sort_order == 0 || (request.sort_order == 1 && request.sort_target == 0);
    let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
    if let Some(limit) = limit.filter(|_| default_order && !filtered) {
        kvs.truncate(limit + 1);
    }
    kvs.retain(|kv| {
        [kv.mod_revision, kv.create_revision]
            .iter()
            .zip(bounds)
            .all(|(number, (min, max))| (min == 0 || *number >= min) && (max == 0 || *number <= max))
    });
    kvs.sort_by(|a, b| {
        let order = match request.sort_target {
            0 => a.key.cmp(&b.key),
            1 => a.version.cmp(&b.version),
            2 => a.create_revision.cmp(&b.create_revision),
            3 => a.mod_revision.cmp(&b.mod_revision),
            _ => a.value.cmp(&b.value),
        };
        if request.sort_order == 2 { order.reverse() } else { order }
    });
    let more = limit.is_some_and(|limit| kvs.len() > limit);
    kvs.truncate(limit.unwrap_or(usize::MAX));
    if request.keys_only {
        for kv in &mut kvs {
            kv.value = Bytes::new();
            if request.sort_target != 4 {
                kv.lease = 0;
            }
        }
    }
    RangeResponse { header: None, kvs: kvs.iter().map(encoded).collect(), more, count }
}

fn within(key: &Bytes, start: &Bytes, end: &Bytes) -> bool {
    match &end[..] {
        [] => key == start,
        [0] => key >= start,
        _ => key >= start && key < end,
    }
}

fn one_holds(compare: &Compare, kv: &KeyValue) -> bool {
    let order = match compare.target_union.as_ref().expect("the tests set it") {
        TargetUnion::Version(number) => kv.version.cmp(number),
        TargetUnion::CreateRevision(number) => kv.create_revision.cmp(number),
        TargetUnion::ModRevision(number) => kv.mod_revision.cmp(number),
        TargetUnion::Lease(number) => kv.lease.cmp(number),
        TargetUnion::Value(value) => kv.value.cmp(value),
    };
    match compare.result {
        0 => order == Ordering::Equal,
        1 => order == Ordering::Greater,
        2 => order == Ordering::Less,
        _ => order != Ordering::Equal,
    }
}

fn stored(row: &Row) -> Bytes {
    encoded(row.kv.as_ref().unwrap_or(&KeyValue { key: row.key.clone(), ..KeyValue::default() }))
}

fn encoded(kv: &KeyValue) -> Bytes {
    kv.encode_to_vec().into()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of the field it fills")]
pub(crate) fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}
