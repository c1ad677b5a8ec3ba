//! Processes for tests: servers with a directory and ports of their own, and the tools that talk to them.
//!
//! Rule: nothing waits for time. A server is ready when it says so, a line has come when it is there, and every wait has a
//! bound after which the test fails with what was logged so far.

pub(crate) mod http;
pub(crate) mod launch;
pub(crate) mod output;
pub(crate) mod ports;
pub(crate) mod random;
pub(crate) mod server;
pub(crate) mod tool;

use std::time::Duration;

/// The bound of every wait for another process. Generous: a debug build on a busy machine is slow, and a test that waits on
/// conditions loses nothing by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
