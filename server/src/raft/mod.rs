//! Consensus: what makes one order of changes out of what many members propose.
//!
//! Rule: openraft's types stay in this folder. The rest of the server sees [`Consensus`], which it asks, and [`Applier`],
//! which is told; an upgrade of openraft touches nothing else.
//!
//! ```text
//! Consensus::propose ─▶ openraft ─▶ log_store ─▶ quorate_disk::wal (one sync per batch)
//!        ▲                  │ committed, in order
//!        └── answers ── state_machine ─▶ Applier::apply, many entries as one round
//! ```
//!
//! Indexes: openraft counts log entries from 0; here 0 means "before the first entry", as in [`quorate_core::ids`]. So the
//! first entry is 1 in the log's files, in the engine and in every public number; `codec` is the only place that converts.
//!
//! * [`consensus`]: the facade. [`options`]: its settings and openraft's. [`status`], [`trouble`]: what it answers.
//! * `log_store` over `tail`, `codec`: the log. `align`: the log and the engine brought together after a crash.
//! * [`state_machine`]: rounds of committed entries. `bell`: the one way a fault gets out.
//!
//! Left out: a peer transport (`network` refuses every call) and, with it, snapshots that travel between members.

mod align;
mod bell;
mod codec;
pub mod consensus;
mod log_store;
mod network;
pub mod options;
pub mod state_machine;
pub mod status;
mod tail;
pub mod trouble;
mod types;

#[cfg(test)]
mod tests;

pub use bell::OnFault;
pub use consensus::Consensus;
pub use options::Options;
pub use state_machine::{Applied, Applier, Committed, CommittedPayload};
pub use status::{Leadership, Status};
pub use trouble::Trouble;
