//! Lists of the whole key space: at once, or in pages that all show the first page's revision.

use bytes::{BufMut, Bytes, BytesMut};
use clap::Args;
use quorate_client::{ClientError, Kv, api::RangeRequest, mvccpb::KeyValue};

use crate::{
    error::Trouble,
    keyspace::Keyspace,
    load::{Plan, Work, measure},
    report::Summary,
    work::fill,
};

/// Flags of `list`.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    plan: Plan,
    #[command(flatten)]
    keyspace: Keyspace,
    /// Keys per page. 0: everything in one answer.
    #[arg(long, default_value_t = 500)]
    page_keys: i64,
    /// Do not write missing keys first.
    #[arg(long)]
    no_fill: bool,
}

impl List {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        if !self.no_fill {
            fill::fill(&self.plan.target, self.keyspace, fill::BATCH_OPERATIONS)?;
        }
        list(&self.plan, self.keyspace, self.page_keys)?.print(self.plan.json)
    }
}

/// Measures lists. One operation is a whole list, items are keys.
pub(crate) fn list(plan: &Plan, keyspace: Keyspace, page_keys: i64) -> Result<Summary, Trouble> {
    keyspace.check()?;
    let name = if page_keys == 0 { "list, whole".to_owned() } else { format!("list, pages of {page_keys}") };
    let (key, range_end) = keyspace.range();
    measure(&name, plan, |client, _| Listing {
        kv: client.kv(),
        key: key.clone(),
        range_end: range_end.clone(),
        page_keys,
    })
}

struct Listing {
    kv: Kv,
    key: Bytes,
    range_end: Bytes,
    page_keys: i64,
}

impl Work for Listing {
    async fn run(&mut self) -> Result<u64, ClientError> {
        let mut pages = Pages::new(self.key.clone(), self.range_end.clone(), self.page_keys);
        let mut keys = 0;
        while let Some(page) = pages.next(&self.kv).await? {
            keys += page.kvs.len() as u64;
        }
        Ok(keys)
    }
}

/// A list being read page by page, pinned to the first page's revision.
#[derive(Debug)]
pub(crate) struct Pages {
    key: Bytes,
    range_end: Bytes,
    page_keys: i64,
    /// 0 until the first page or [`Pages::at`] says.
    revision: i64,
    done: bool,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) kvs: Vec<KeyValue>,
    /// Keys from the page's first to the end of the range, as the server counts them.
    pub(crate) count: i64,
    pub(crate) more: bool,
}

impl Pages {
    pub(crate) fn new(key: Bytes, range_end: Bytes, page_keys: i64) -> Self {
        Self { key, range_end, page_keys, revision: 0, done: false }
    }

    /// Pins the list to an older revision.
    pub(crate) fn at(mut self, revision: i64) -> Self {
        self.revision = revision;
        self
    }

    /// The revision that the list shows, 0 before the first page.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// The next page, `None` after the last.
    pub(crate) async fn next(&mut self, kv: &Kv) -> Result<Option<Page>, ClientError> {
        if self.done {
            return Ok(None);
        }
        let request = RangeRequest {
            key: self.key.clone(),
            range_end: self.range_end.clone(),
            limit: self.page_keys,
            revision: self.revision,
            ..Default::default()
        };
        let answer = kv.range(request).await?;
        if self.revision == 0 {
            self.revision = answer.header.map_or(0, |header| header.revision);
        }
        match answer.kvs.last() {
            Some(last) if answer.more => self.key = successor(&last.key),
            _ => self.done = true,
        }
        Ok(Some(Page { kvs: answer.kvs, count: answer.count, more: answer.more }))
    }
}

/// The smallest key after `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.put_slice(key);
    next.put_u8(0);
    next.freeze()
}
