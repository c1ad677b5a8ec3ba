//! The plain workloads, one file each: its flags, and what one client does over and over.

pub(crate) mod count;
pub(crate) mod fill;
pub(crate) mod lease;
pub(crate) mod list;
pub(crate) mod put;
pub(crate) mod range;
pub(crate) mod txn_update;
pub(crate) mod watch;
