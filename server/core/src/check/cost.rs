//! What a request costs in the quota check (contract §2.11).

use crate::limits::{QUOTA_LEASE_BYTES, QUOTA_PUT_OVERHEAD_BYTES};
use crate::pb::request_op::Request;
use crate::pb::{PutRequest, RequestOp, TxnRequest};

/// Bytes that a put may add.
#[must_use]
pub fn put(request: &PutRequest) -> i64 {
    let bytes = request.key.len() + request.value.len();
    QUOTA_PUT_OVERHEAD_BYTES.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Bytes that a lease grant may add.
#[must_use]
pub const fn lease_grant() -> i64 {
    QUOTA_LEASE_BYTES
}

/// Bytes that a transaction may add: those of its dearer branch, nested ones included.
#[must_use]
pub fn txn(request: &TxnRequest) -> i64 {
    let branch = |operations: &[RequestOp]| {
        operations.iter().fold(0i64, |sum, operation| {
            sum.saturating_add(match &operation.request {
                Some(Request::RequestPut(inner)) => put(inner),
                Some(Request::RequestTxn(inner)) => txn(inner),
                _ => 0,
            })
        })
    };
    branch(&request.success).max(branch(&request.failure))
}

/// True when either branch, or a nested one, holds a put.
#[must_use]
pub fn has_put(request: &TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).any(|operation| match &operation.request {
        Some(Request::RequestPut(_)) => true,
        Some(Request::RequestTxn(inner)) => has_put(inner),
        _ => false,
    })
}
