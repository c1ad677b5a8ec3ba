//! Two changes of one key on one path of a transaction (contract §2.7).
//!
//! Rule: a path must not put a key twice, nor put a key that it also deletes. The two branches of a nested transaction
//! exclude each other, so they may put the same key. What nested transactions delete is known to those after them only
//! (quirk 6): the contract lists which orders are told apart, and clients can see it.
//!
//! etcd compares the end of a deletion as it was sent. One zero byte, which means "no end", then lies below every key, and
//! such a deletion overlaps nothing: clients may clear everything and put a key in one transaction, and do.

use crate::error::Refusal;
use crate::mvcc::index::KeyRange;
use crate::pb::request_op::Request;
use crate::pb::{RequestOp, TxnRequest};
use std::collections::BTreeSet;

/// Checks both branches, each on its own.
pub(super) fn check(request: &TxnRequest) -> Result<(), Refusal> {
    changes(&request.success)?;
    changes(&request.failure)?;
    Ok(())
}

/// The keys that a list of operations puts and the ranges it deletes, nested ones included.
#[derive(Default)]
struct Changes<'r> {
    puts: BTreeSet<&'r [u8]>,
    deletes: Vec<KeyRange<'r>>,
}

impl<'r> Changes<'r> {
    fn deletes_key(&self, key: &[u8]) -> bool {
        self.deletes.iter().any(|range| range.contains(key))
    }

    fn put(&mut self, key: &'r [u8]) -> Result<(), Refusal> {
        if self.deletes_key(key) || !self.puts.insert(key) { Err(Refusal::DuplicateKey) } else { Ok(()) }
    }
}

fn changes(operations: &[RequestOp]) -> Result<Changes<'_>, Refusal> {
    let mut all = Changes::default();
    for operation in operations {
        if let Some(Request::RequestDeleteRange(delete)) = &operation.request
            && *delete.range_end != [0]
        {
            all.deletes.push(KeyRange::new(&delete.key, &delete.range_end));
        }
    }
    for operation in operations {
        if let Some(Request::RequestTxn(nested)) = &operation.request {
            let success = changes(&nested.success)?;
            let failure = changes(&nested.failure)?;
            for key in &success.puts {
                all.put(key)?;
            }
            for key in failure.puts.difference(&success.puts) {
                all.put(key)?;
            }
            all.deletes.extend(success.deletes);
            all.deletes.extend(failure.deletes);
        }
    }
    for operation in operations {
        if let Some(Request::RequestPut(put)) = &operation.request {
            all.put(&put.key)?;
        }
    }
    Ok(all)
}
