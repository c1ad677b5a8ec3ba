//! What a Range answers from a view (contract §2.3).
//!
//! Rule: keys are chosen by the index alone; rows are read once, at the end, for the keys that go out (a sort by value must
//! read all of them first). The order of steps is the contract's, because `limit`, `more` and `count` show it.

use crate::error::{Fault, Refusal};
use crate::ids::{LeaseId, Revision};
use crate::mvcc::index::{Index, KeyRange};
use crate::mvcc::key_history::Version;
use crate::mvcc::row;
use crate::mvccpb::KeyValue;
use crate::pb::range_request::{SortOrder, SortTarget};
use crate::pb::{RangeRequest, RangeResponse, ResponseHeader};
use crate::storage::Rows;
use bytes::Bytes;

/// What a range reads: an index in which `revision` is the newest, and the rows.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The keys.
    pub index: &'a Index,
    /// Newest main revision in it.
    pub revision: i64,
    /// Logical compaction floor, −1 for none.
    pub compact_revision: i64,
    /// The values.
    pub rows: &'a dyn Rows,
}

/// A key that a range has chosen.
struct Hit<'a> {
    key: &'a [u8],
    version: &'a Version,
}

/// Checks that a revision can be read; answers the main revision meant (zero and negative mean the newest).
///
/// # Errors
/// [`Refusal::FutureRevision`] above the newest, [`Refusal::Compacted`] below the floor.
pub fn readable(requested: i64, newest: i64, compact_revision: i64) -> Result<i64, Refusal> {
    match requested {
        ..=0 => Ok(newest),
        _ if requested > newest => Err(Refusal::FutureRevision),
        _ if requested < compact_revision => Err(Refusal::Compacted),
        _ => Ok(requested),
    }
}

/// Answers a range. The header holds the newest revision only.
///
/// # Errors
/// The outer one is a fault of the rows; the inner one a refusal of the request.
pub fn range(source: Source<'_>, request: &RangeRequest) -> Result<Result<RangeResponse, Refusal>, Fault> {
    let main = match readable(request.revision, source.revision, source.compact_revision) {
        Ok(main) => main,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let range = KeyRange::new(&request.key, &request.range_end);
    let mut response = RangeResponse {
        header: Some(ResponseHeader { revision: source.revision, ..ResponseHeader::default() }),
        ..RangeResponse::default()
    };
    let newest = main == source.revision;
    if request.count_only {
        response.count = count(source.index, range, main, newest);
        return Ok(Ok(response));
    }

    let plan = Plan::of(request);
    let (mut hits, total) = choose(source.index, range, main, newest, plan.take);
    response.count = total;
    if plan.filters {
        hits.retain(|hit| passes(request, hit.version));
    }
    let limit = plan.limit;
    if plan.sort_by_value() {
        let mut kvs = decoded(&hits, source.rows)?;
        kvs.sort_by(|a, b| plan.directed(a.value.cmp(&b.value)));
        response.more = kvs.len() > limit;
        kvs.truncate(limit);
        response.kvs = kvs
            .into_iter()
            .map(|mut kv| {
                if request.keys_only {
                    kv.value = Bytes::new();
                }
                row::encode(&kv)
            })
            .collect();
        return Ok(Ok(response));
    }
    plan.sort(&mut hits);
    response.more = hits.len() > limit;
    hits.truncate(limit);
    response.kvs = if request.keys_only {
        hits.iter().map(|hit| key_only(hit)).collect()
    } else {
        let revisions: Vec<Revision> = hits.iter().map(|hit| hit.version.revision).collect();
        source.rows.rows(&revisions)?
    };
    Ok(Ok(response))
}

/// How many keys of the range live at `main`; logarithmic when that is the newest revision of the index.
#[must_use]
fn count(index: &Index, range: KeyRange<'_>, main: i64, newest: bool) -> i64 {
    let keys = if newest { index.count_live(range) } else { index.iter_at(range, main).count() as u64 };
    i64::try_from(keys).unwrap_or(i64::MAX)
}

/// Up to `take` keys of the range in key order, and how many there are in all.
fn choose<'a>(index: &'a Index, range: KeyRange<'a>, main: i64, newest: bool, take: usize) -> (Vec<Hit<'a>>, i64) {
    let hit = |(key, version)| Hit { key, version };
    if newest {
        let hits = index.iter_live(range).map(hit).take(take).collect();
        return (hits, count(index, range, main, true));
    }
    let mut all = index.iter_at(range, main).map(hit);
    let hits: Vec<_> = all.by_ref().take(take).collect();
    let total = hits.len() + all.count();
    (hits, i64::try_from(total).unwrap_or(i64::MAX))
}

fn passes(request: &RangeRequest, version: &Version) -> bool {
    let within = |number: i64, min: i64, max: i64| (min == 0 || number >= min) && (max == 0 || number <= max);
    within(version.revision.main, request.min_mod_revision, request.max_mod_revision)
        && within(version.create_revision, request.min_create_revision, request.max_create_revision)
}

fn decoded(hits: &[Hit<'_>], rows: &dyn Rows) -> Result<Vec<KeyValue>, Fault> {
    let revisions: Vec<Revision> = hits.iter().map(|hit| hit.version.revision).collect();
    rows.rows(&revisions)?.iter().map(row::decode).collect()
}

/// A key without its value, from the index alone; the lease is left out, as etcd does since 3.7 (contract §2.3).
fn key_only(hit: &Hit<'_>) -> Bytes {
    row::encode(&KeyValue {
        key: Bytes::copy_from_slice(hit.key),
        create_revision: hit.version.create_revision,
        mod_revision: hit.version.revision.main,
        version: hit.version.version,
        lease: LeaseId::NONE.0,
        value: Bytes::new(),
    })
}

/// The steps that a request asks for.
struct Plan {
    target: SortTarget,
    order: SortOrder,
    filters: bool,
    /// Keys to read at most: one more than the limit, unless a sort or a filter needs all of them.
    take: usize,
    /// Keys to answer at most.
    limit: usize,
}

impl Plan {
    fn of(request: &RangeRequest) -> Self {
        // Unknown numbers were refused before (see `check`); none of them reaches here.
        let target = SortTarget::try_from(request.sort_target).unwrap_or(SortTarget::Key);
        let mut order = SortOrder::try_from(request.sort_order).unwrap_or(SortOrder::None);
        let filters = request.min_mod_revision != 0
            || request.max_mod_revision != 0
            || request.min_create_revision != 0
            || request.max_create_revision != 0;
        // Quirk 2: a target without an order sorts ascending, but counts as unsorted here, so that a limit cuts before
        // the sort.
        let unsorted = order == SortOrder::None || (order == SortOrder::Ascend && target == SortTarget::Key);
        if order == SortOrder::None && target != SortTarget::Key {
            order = SortOrder::Ascend;
        }
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let take = if unsorted && !filters { limit.saturating_add(1) } else { usize::MAX };
        Self { target, order, filters, take, limit }
    }

    fn sort_by_value(&self) -> bool {
        self.target == SortTarget::Value && self.order != SortOrder::None
    }

    fn directed(&self, order: std::cmp::Ordering) -> std::cmp::Ordering {
        if self.order == SortOrder::Descend { order.reverse() } else { order }
    }

    fn sort(&self, hits: &mut [Hit<'_>]) {
        let number = |version: &Version| match self.target {
            SortTarget::Version => version.version,
            SortTarget::Create => version.create_revision,
            SortTarget::Mod => version.revision.main,
            SortTarget::Key | SortTarget::Value => 0,
        };
        match (self.order, self.target) {
            (SortOrder::None, _) | (SortOrder::Ascend, SortTarget::Key) => {}
            (SortOrder::Descend, SortTarget::Key) => hits.reverse(),
            _ => hits.sort_by(|a, b| self.directed(number(a.version).cmp(&number(b.version)))),
        }
    }
}
