//! The one table from errors to gRPC codes and texts (contract §3).
//!
//! Rule: matches are exhaustive and have no wildcard, so that a new error cannot reach a client by accident. A golden test
//! prints the whole table.

use crate::trouble::{Trouble, Unanswered};
use quorate_core::error::Refusal;
use tonic::{Code, Status};

/// The code a refusal goes out with.
#[must_use]
pub fn refusal_code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::EmptyKey
        | Refusal::KeyNotFound
        | Refusal::ValueProvided
        | Refusal::LeaseProvided
        | Refusal::TooManyOps
        | Refusal::DuplicateKey
        | Refusal::InvalidSortOption
        | Refusal::RequestTooLarge => Code::InvalidArgument,
        Refusal::Compacted | Refusal::FutureRevision | Refusal::LeaseTtlTooLarge => Code::OutOfRange,
        Refusal::NoSpace => Code::ResourceExhausted,
        Refusal::LeaseNotFound | Refusal::MemberNotFound => Code::NotFound,
        Refusal::LeaseExists => Code::FailedPrecondition,
        Refusal::Corrupt => Code::DataLoss,
        // Only the member's own clock proposes what can be refused like this.
        Refusal::StaleExpiry => Code::Internal,
    }
}

/// The code a trouble goes out with.
#[must_use]
pub fn trouble_code(trouble: Trouble) -> Code {
    match trouble {
        Trouble::NoLeader
        | Trouble::LeaderChanged
        | Trouble::Timeout
        | Trouble::TimeoutDueToLeaderFail
        | Trouble::Stopped => Code::Unavailable,
        Trouble::NotLeader => Code::FailedPrecondition,
        // Quirk 5: back-pressure leaves etcd with the unknown code; clients know the text.
        Trouble::TooManyRequests | Trouble::NotPrimary => Code::Unknown,
    }
}

impl From<Unanswered> for Status {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Refusal(refusal) => Self::new(refusal_code(refusal), refusal.to_string()),
            Unanswered::Trouble(trouble) => Self::new(trouble_code(trouble), trouble.to_string()),
            // What is wrong is in this member's log; a client only needs to go elsewhere.
            Unanswered::Fault(_) => Self::unavailable(Trouble::Stopped.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_code_and_text_of_the_contract() {
        let refusals = [
            Refusal::EmptyKey,
            Refusal::KeyNotFound,
            Refusal::ValueProvided,
            Refusal::LeaseProvided,
            Refusal::TooManyOps,
            Refusal::DuplicateKey,
            Refusal::InvalidSortOption,
            Refusal::Compacted,
            Refusal::FutureRevision,
            Refusal::NoSpace,
            Refusal::LeaseNotFound,
            Refusal::LeaseExists,
            Refusal::LeaseTtlTooLarge,
            Refusal::RequestTooLarge,
            Refusal::Corrupt,
            Refusal::MemberNotFound,
        ];
        let troubles = [
            Trouble::NoLeader,
            Trouble::NotLeader,
            Trouble::LeaderChanged,
            Trouble::Stopped,
            Trouble::Timeout,
            Trouble::TimeoutDueToLeaderFail,
            Trouble::TooManyRequests,
            Trouble::NotPrimary,
        ];
        let all = refusals.map(Unanswered::from).into_iter().chain(troubles.map(Unanswered::from));
        let printed: String = all
            .map(|unanswered| {
                let status = Status::from(unanswered);
                format!("{:<18} {}\n", format!("{:?}", status.code()), status.message())
            })
            .collect();
        let expected = "\
InvalidArgument    etcdserver: key is not provided
InvalidArgument    etcdserver: key not found
InvalidArgument    etcdserver: value is provided
InvalidArgument    etcdserver: lease is provided
InvalidArgument    etcdserver: too many operations in txn request
InvalidArgument    etcdserver: duplicate key given in txn request
InvalidArgument    etcdserver: invalid sort option
OutOfRange         etcdserver: mvcc: required revision has been compacted
OutOfRange         etcdserver: mvcc: required revision is a future revision
ResourceExhausted  etcdserver: mvcc: database space exceeded
NotFound           etcdserver: requested lease not found
FailedPrecondition etcdserver: lease already exists
OutOfRange         etcdserver: too large lease TTL
InvalidArgument    etcdserver: request is too large
DataLoss           etcdserver: corrupt cluster
NotFound           etcdserver: member not found
Unavailable        etcdserver: no leader
FailedPrecondition etcdserver: not leader
Unavailable        etcdserver: leader changed
Unavailable        etcdserver: server stopped
Unavailable        etcdserver: request timed out
Unavailable        etcdserver: request timed out, possibly due to previous leader failure
Unknown            etcdserver: too many requests
Unknown            not a primary lessor
";
        assert_eq!(printed, expected);
    }
}
