//! etcd's services: one file per service, each turning requests into calls of the node.
//!
//! Rule: nothing here decides about data. A method checks the request's shape, asks the node, and fills in the header;
//! errors become codes in [`status`] alone. What is not served yet answers Unimplemented.

pub mod cluster;
pub mod kv;
pub mod lease;
pub mod maintenance;
pub mod status;
pub mod watch;

use tonic::Status;

/// The answer to a call that this version does not serve.
pub(crate) fn not_served(call: &str) -> Status {
    Status::unimplemented(format!("quorate: {call} is not served by this version"))
}
