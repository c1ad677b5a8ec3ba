//! Conversations with the machine, written as text that a person can read.
//!
//! A script is a comment that says the rule it shows, then blocks: commands, a line `---`, and what the machine answers.
//!
//! ```text
//! # A deleted key starts a new life: versions from 1, a new create revision (§2.6).
//! put a=1
//! del a
//! put a=2
//! get a
//! ---
//! rev=2
//! rev=3 deleted=1
//! rev=4
//! rev=4 count=1
//!   a=2 create=4 mod=4 v=1
//! ```
//!
//! Commands (`get`, `put`, `del` and the like take keys and values as plain text; `\x00` is a byte, `""` the empty one and
//! `x<1000>` a thousand times x):
//!
//! ```text
//! put KEY=VALUE [lease=N] [prev]                put KEY ignore-value|ignore-lease
//! get KEY [to=END|prefix|from-key] [rev=N] [limit=N] [sort=key|version|create|mod|value] [order=ascend|descend]
//!     [keys-only] [count-only] [serializable] [min-mod=N] [max-mod=N] [min-create=N] [max-create=N]
//! del KEY [to=END|prefix|from-key] [prev]       compact N
//! txn, and below it, deeper:  if TARGET KEY [range] OP OPERAND · then · else · operations, `nothing`, `nest N`
//! lease grant ID ttl=N · lease revoke ID [term=N] [incarnation=N] · lease checkpoint ID=SECONDS … · leases · ttl-keys ID
//! alarm raise|clear|list [member=N] [type=nospace|corrupt]      hash [rev=N]    size    cost COMMAND    counts
//! bootstrap ID=NAME … · attributes ID=NAME [url=U] · cluster-version V · members
//! round, and below it, deeper: commands that are applied together       repeat N COMMAND with {n}       max-ops N  term N
//! flush · crash · reopen · trim [step=ROWS] [steps=N] · dump [TABLE] · changes on|off · effects on|off
//! hold NAME · at NAME COMMAND · release NAME                    deaf on|off: the hub misses rounds
//! STREAM: watch KEY [range] [from=N] [id=N] [prev] [no-put] [no-delete] [notify] · STREAM: cancel ID|progress|tick|close
//! STREAM: full · STREAM: room    the client stops reading, and reads again
//! ```
//!
//! Rule: the runner does what the server does, in the same order: check the request, apply the entry in a round, write the
//! round as one batch, then take a view. Requests that need no entry are answered from a view.
//!
//! The same script must give the same answers when things happen that nobody may notice: see [`Disturbance`].
//!
//! Left out: reading files and the environment, which core does not do. `tests/support/corpus.rs` has that half; it is
//! written so that the disk crate can run the same corpus on its engine.

mod dump;
mod print;
mod queries;
mod recovery;
mod requests;
mod runner;
mod script;
mod txn;
mod watch;
mod words;

use crate::error::Fault;
use crate::storage::Engine;
use crate::storage::memory::MemoryEngine;
use std::fmt;

/// An engine that a script can pull the plug on.
pub trait TestStore {
    /// The engine as it is now.
    fn engine(&self) -> &dyn Engine;

    /// Loses what was not flushed.
    ///
    /// # Errors
    /// When the store does not come up again.
    fn crash(&mut self) -> Result<(), Fault>;

    /// Closes and opens the store; nothing is lost.
    ///
    /// # Errors
    /// As [`TestStore::crash`].
    fn reopen(&mut self) -> Result<(), Fault>;
}

impl TestStore for MemoryEngine {
    fn engine(&self) -> &dyn Engine {
        self
    }

    fn crash(&mut self) -> Result<(), Fault> {
        Self::crash(self);
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// What happens between the commands of a script without changing an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Nothing; every entry is a round of its own.
    None,
    /// After every command the member crashes, opens its store and replays the log; every third time it had flushed.
    Crash,
    /// Entries collect in one round until somebody reads.
    LongRounds,
    /// After every command what compaction hid is removed, two rows a step.
    Trim,
    /// The watch hub remembers no changes, so whoever is behind is served from the store.
    ColdWatch,
}

impl Disturbance {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Crash, Self::LongRounds, Self::Trim, Self::ColdWatch];

    /// Whether a script must give the same answers under it: scripts that look at what compaction has removed do not,
    /// a view or a watch does not outlive a crash, and watchers hear of a long round when it is over.
    #[must_use]
    pub fn leaves_alone(self, script: &str) -> bool {
        let uses = |command: &str| script.lines().any(|line| line.split_whitespace().next() == Some(command));
        let watches = script.lines().any(|line| line.split_whitespace().next().is_some_and(|word| word.ends_with(':')));
        match self {
            Self::None | Self::ColdWatch => true,
            Self::Crash => !(watches || uses("dump") || uses("trim") || uses("hold") || uses("counts")),
            Self::LongRounds => !watches,
            Self::Trim => !(uses("dump") || uses("trim")),
        }
    }
}

/// A script that could not be run: what is wrong, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError(String);

impl ScriptError {
    fn at(line: usize, what: impl fmt::Display) -> Self {
        Self(format!("line {line}: {what}"))
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs a script from the empty store; answers the script with the answers that were given in it.
///
/// # Errors
/// When a command cannot be read, when the machine meets a fault, and when a disturbance changed the state.
pub fn run(text: &str, store: Box<dyn TestStore>, disturbance: Disturbance) -> Result<String, ScriptError> {
    let mut script = script::Script::parse(text)?;
    let mut runner = runner::Runner::new(store, disturbance)?;
    for block in &mut script.blocks {
        block.answers.clear();
        for node in &block.commands {
            let answers = runner.command(node).map_err(|what| ScriptError::at(node.line, what))?;
            block.answers.extend(answers);
        }
    }
    Ok(script.to_string())
}
