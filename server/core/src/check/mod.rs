//! What can be refused before anything is proposed: the shape of a request (contract §2.3 to §2.7).
//!
//! Rule: these checks look at the request alone, so that any member gives the same answer without asking anyone; checks
//! that need the state are made at apply.
//!
//! * [`overlap`]: two changes of one key in a transaction. [`cost`]: what a request costs in the quota check.

pub mod cost;
pub mod overlap;

use crate::error::Refusal;
use crate::limits::TXN_DEPTH_MAX;
use crate::pb::range_request::{SortOrder, SortTarget};
use crate::pb::request_op::Request;
use crate::pb::{DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest};

/// Checks a range.
///
/// # Errors
/// [`Refusal::EmptyKey`], [`Refusal::InvalidSortOption`].
pub fn range(request: &RangeRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err() || SortTarget::try_from(request.sort_target).is_err() {
        return Err(Refusal::InvalidSortOption);
    }
    Ok(())
}

/// Checks a put.
///
/// # Errors
/// [`Refusal::EmptyKey`], [`Refusal::ValueProvided`], [`Refusal::LeaseProvided`].
pub fn put(request: &PutRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(Refusal::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Refusal::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
///
/// # Errors
/// [`Refusal::EmptyKey`].
pub fn delete_range(request: &DeleteRangeRequest) -> Result<(), Refusal> {
    if request.key.is_empty() { Err(Refusal::EmptyKey) } else { Ok(()) }
}

/// Checks a transaction: shape, operations, overlaps.
///
/// # Errors
/// [`Refusal::TooManyOps`], [`Refusal::DuplicateKey`], [`Refusal::KeyNotFound`] for an operation without a request, and
/// those of the operations inside.
pub fn txn(request: &TxnRequest, ops_max: usize) -> Result<(), Refusal> {
    shape(request, ops_max, TXN_DEPTH_MAX)?;
    overlap::check(request)
}

fn shape(request: &TxnRequest, ops_max: usize, depth_max: usize) -> Result<(), Refusal> {
    let operations = request.compare.len().max(request.success.len()).max(request.failure.len());
    // What has no operations nests nothing; so it may lie one deeper.
    if operations > ops_max || (operations > 0 && depth_max == 0) {
        return Err(Refusal::TooManyOps);
    }
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(Refusal::EmptyKey);
    }
    for operation in request.success.iter().chain(&request.failure) {
        match &operation.request {
            Some(Request::RequestRange(inner)) => range(inner)?,
            Some(Request::RequestPut(inner)) => put(inner)?,
            Some(Request::RequestDeleteRange(inner)) => delete_range(inner)?,
            Some(Request::RequestTxn(inner)) => shape(inner, ops_max - operations, depth_max - 1)?,
            None => return Err(Refusal::KeyNotFound),
        }
    }
    Ok(())
}
