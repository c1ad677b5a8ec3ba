//! Quorate against a real etcd: same machine, same disk, same client code, in turn.
//!
//! Rule: nothing is compared across runs. Each round starts both servers on empty directories, in alternating order,
//! and the table shows medians over rounds with the spread of the ratios, so that noise can be seen.

mod machine;
mod matrix;
mod restart;
mod server;
mod table;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{compare::server::Binary, error::Trouble};

/// Flags of `compare`.
#[derive(Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    sides: Sides,
    #[command(flatten)]
    matrix: matrix::Matrix,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Fill both with keys, kill them, and measure how long until they serve again, and their memory.
    Restart(restart::Restart),
}

/// The two programs.
#[derive(Args)]
pub(crate) struct Sides {
    /// The etcd to compare with.
    #[arg(long, default_value = "/usr/bin/etcd", global = true)]
    etcd: PathBuf,
    /// The Quorate to compare. Another etcd shows how much of a difference is noise.
    #[arg(long, default_value = "target/release/quorate", global = true)]
    quorate: PathBuf,
    /// An extra flag for etcd. May be given again.
    #[arg(long = "etcd-flag", allow_hyphen_values = true, global = true)]
    etcd_flags: Vec<String>,
    /// An extra flag for Quorate. May be given again.
    #[arg(long = "quorate-flag", allow_hyphen_values = true, global = true)]
    quorate_flags: Vec<String>,
    /// Where both keep their data, in directories that are made and removed.
    #[arg(long, default_value = ".", global = true)]
    dir: PathBuf,
}

impl Sides {
    /// etcd first.
    fn binaries(&self) -> Result<[Binary; 2], Trouble> {
        Ok([
            Binary::find("etcd", &self.etcd, &self.etcd_flags)?,
            Binary::find("quorate", &self.quorate, &self.quorate_flags)?,
        ])
    }
}

impl Compare {
    pub(crate) fn run(&self) -> Result<(), Trouble> {
        match &self.what {
            None => self.matrix.run(&self.sides),
            Some(What::Restart(restart)) => restart.run(&self.sides),
        }
    }
}
