//! Compaction the way kube-apiserver does it: agree on a revision through one key, then compact to it.

use std::path::Path;

use quorate_client::{
    Client, Code,
    api::{
        CompactionRequest, Compare, PutRequest, RangeRequest, RequestOp, TxnRequest,
        compare::{CompareResult, CompareTarget, TargetUnion},
        request_op::Request,
    },
};

use crate::{
    error::Trouble,
    kubernetes::{
        journal::{History, Journal, Line},
        listing,
    },
    report::say,
    work::txn_update::current,
};

/// The key that apiservers agree through. It is not below `/registry/`.
const COMPACT_KEY: &str = "compact_rev_key";

/// Keys per page of the list that checks what is left.
const PAGE_KEYS: i64 = 500;

/// Compacts to the newest revision and checks that nothing older can be read, and that everything newer is still there.
pub(crate) async fn compact(client: &Client, journal_path: &Path) -> Result<(), Trouble> {
    let kv = client.kv();
    let read = |revision| RangeRequest { key: COMPACT_KEY.into(), revision, ..Default::default() };
    let newest = kv.range(read(0)).await?.header.map_or(0, |header| header.revision);
    let mut version = 0;
    let agreed = loop {
        let answer = kv.txn(agree(version, newest)).await?;
        if answer.succeeded {
            break answer.header.map_or(0, |header| header.revision);
        }
        // Somebody compacted before: its version is what the next attempt must name.
        match current(&answer) {
            Some(kv) if kv.version != version => version = kv.version,
            found => {
                let text = format!("{COMPACT_KEY} does not compare as version {version}, yet is {found:?}");
                return Err(Trouble::Mismatch(text));
            }
        }
    };
    kv.compact(CompactionRequest { revision: newest, physical: false }).await?;
    Journal::append(journal_path)?.write(&Line::Compacted { revision: newest })?;
    let older = kv.range(read(newest - 1)).await;
    match older {
        Err(error) if error.code() == Code::OutOfRange && error.to_string().contains("has been compacted") => {}
        Err(error) => return Err(Trouble::Mismatch(format!("a compacted revision is refused with: {error}"))),
        Ok(_) => return Err(Trouble::Mismatch(format!("revision {} is readable after compaction", newest - 1))),
    }
    let listing = listing::read(&kv, PAGE_KEYS, Some(newest)).await?;
    listing::check(&History::read(journal_path)?, &listing, Some(newest))?;
    say(format_args!(
        "compact: to revision {newest}, agreed at {agreed}; older revisions are refused, {} objects are as written",
        listing.found.len()
    ))
}

fn agree(version: i64, revision: i64) -> TxnRequest {
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Version.into(),
        key: COMPACT_KEY.into(),
        target_union: Some(TargetUnion::Version(version)),
        ..Default::default()
    };
    let put = PutRequest { key: COMPACT_KEY.into(), value: revision.to_string().into(), ..Default::default() };
    let read = RangeRequest { key: COMPACT_KEY.into(), ..Default::default() };
    TxnRequest {
        compare: vec![compare],
        success: vec![RequestOp { request: Some(Request::RequestPut(put)) }],
        failure: vec![RequestOp { request: Some(Request::RequestRange(read)) }],
    }
}
