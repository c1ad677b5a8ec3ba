//! Ranges and read-only transactions from the newest view (contract §2.3, §2.4, §2.7).
//!
//! Rule: the caller has made the barrier that the request needs; here nothing waits. What reads many rows goes to a
//! blocking thread, so that a large list cannot hold a thread that serves others.

use super::Store;
use crate::trouble::Unanswered;
use quorate_core::error::Fault;
use quorate_core::limits::{RANGE_STREAM_FIRST_KEYS, REQUEST_BYTES_MAX};
use quorate_core::machine::txn;
use quorate_core::mvcc::index::KeyRange;
use quorate_core::mvcc::range::{Source, range, readable};
use quorate_core::mvcc::view::View;
use quorate_core::pb::{RangeRequest, RangeResponse, TxnRequest, TxnResponse};
use quorate_core::storage::Rows;
use std::sync::Arc;

/// Keys that a range may touch on the thread that serves it; more go to a blocking thread. A key costs about a microsecond
/// from the cache and ten from the engine.
const INLINE_KEYS_MAX: u64 = 64;

impl Store {
    /// Answers a range; the header holds the newest revision.
    ///
    /// # Errors
    /// A refusal of the request, or a fault of the rows.
    pub async fn range(self: &Arc<Self>, request: RangeRequest) -> Result<RangeResponse, Unanswered> {
        let view = self.view();
        if self.is_small(&view, &request) {
            return self.tell(self.range_in(&view, &request));
        }
        let store = Arc::clone(self);
        self.blocking(move || store.range_in(&view, &request)).await
    }

    /// True when answering touches few keys.
    fn is_small(&self, view: &View, request: &RangeRequest) -> bool {
        let range = KeyRange::new(&request.key, &request.range_end);
        let newest = request.revision <= 0 || request.revision == view.revision;
        range.single || (newest && (request.count_only || view.index.count_live(range) <= INLINE_KEYS_MAX))
    }

    fn range_in(&self, view: &Arc<View>, request: &RangeRequest) -> Result<RangeResponse, Unanswered> {
        let main = readable(request.revision, view.revision, view.compact_revision)?;
        let past = if main == view.revision { None } else { self.pinned.get(main) };
        let shown = past.as_ref().unwrap_or(view);
        let mut response = range(source(shown, self.rows()), request)??;
        if main == view.revision && request.limit > 0 && response.more {
            self.pinned.pin(view);
        }
        if let Some(header) = &mut response.header {
            header.revision = view.revision;
        }
        Ok(response)
    }

    /// Answers a transaction of ranges; the header holds the newest revision.
    ///
    /// # Errors
    /// As [`Store::range`].
    pub async fn read_only_txn(self: &Arc<Self>, request: TxnRequest) -> Result<TxnResponse, Unanswered> {
        let store = Arc::clone(self);
        let answer = move || Ok(txn::read_only(&store.view(), store.rows(), &request)??);
        self.blocking(answer).await
    }

    /// The next part of a streamed range: see [`RangeStream`].
    async fn next_part(self: &Arc<Self>, request: RangeRequest) -> Result<(i64, RangeResponse), Unanswered> {
        let view = self.view();
        let store = Arc::clone(self);
        self.blocking(move || Ok((view.revision, store.range_in(&view, &request)?))).await
    }
}

fn source<'a>(view: &'a View, rows: &'a dyn Rows) -> Source<'a> {
    Source { index: &view.index, revision: view.revision, compact_revision: view.compact_revision, rows }
}

/// A range in parts, all at the revision of the first (contract §2.4).
///
/// It holds no view between parts, so a client that reads slowly keeps nothing from being reclaimed; it may find that a
/// compaction passed it.
#[derive(Debug)]
pub struct RangeStream {
    store: Arc<Store>,
    request: RangeRequest,
    /// Keys that the caller still wants; 0 when it wants all.
    wanted: i64,
    part_keys: i64,
    part_bytes: usize,
    sent: i64,
    started_at: Option<i64>,
    done: bool,
}

impl RangeStream {
    /// Begins a stream whose parts aim at `part_bytes`.
    #[must_use]
    pub fn new(store: Arc<Store>, request: RangeRequest, part_bytes: usize) -> Self {
        let wanted = request.limit.max(0);
        Self {
            store,
            request,
            wanted,
            part_keys: RANGE_STREAM_FIRST_KEYS,
            part_bytes: part_bytes.clamp(1, REQUEST_BYTES_MAX.max(part_bytes)),
            sent: 0,
            started_at: None,
            done: false,
        }
    }

    /// The next part; nothing after the last. Only the last has header, `more` and `count`.
    ///
    /// # Errors
    /// A refusal when a compaction has passed the revision, or a fault.
    pub async fn next(&mut self) -> Result<Option<RangeResponse>, Unanswered> {
        if self.done {
            return Ok(None);
        }
        let mut part = self.request.clone();
        part.limit = if self.wanted > 0 { self.part_keys.min(self.wanted - self.sent) } else { self.part_keys };
        let (newest, mut response) = self.store.next_part(part).await?;
        let started_at = *self.started_at.get_or_insert(newest);
        if self.request.revision <= 0 {
            self.request.revision = newest;
        }
        let keys = i64::try_from(response.kvs.len()).unwrap_or(i64::MAX);
        let count = self.sent + response.count;
        self.sent += keys;
        let cut = self.wanted > 0 && self.sent >= self.wanted;
        if response.more && !cut {
            self.adapt(&response);
            self.step_past(&response)?;
            return Ok(Some(RangeResponse { kvs: response.kvs, ..RangeResponse::default() }));
        }
        self.done = true;
        response.count = count;
        if let Some(header) = &mut response.header {
            header.revision = started_at;
        }
        Ok(Some(response))
    }

    /// Moves the part's size towards the target.
    fn adapt(&mut self, response: &RangeResponse) {
        let bytes: usize = response.kvs.iter().map(bytes::Bytes::len).sum();
        if bytes < self.part_bytes / 2 {
            self.part_keys = self.part_keys.saturating_mul(2);
        } else if bytes > self.part_bytes.saturating_mul(2) {
            self.part_keys = (self.part_keys / 2).max(1);
        }
    }

    fn step_past(&mut self, response: &RangeResponse) -> Result<(), Unanswered> {
        let last = response.kvs.last().ok_or_else(|| Fault::new("a range left more to read but answered no key"))?;
        let mut next = quorate_core::mvcc::row::head(last)?.key.to_vec();
        next.push(0);
        self.request.key = next.into();
        Ok(())
    }
}
