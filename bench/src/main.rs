//! `quorate-bench`: measures Quorate and etcd from the client side, with one code path for both.
//!
//! Rule: a number is printed only next to what it cost and how it was made: errors, the client's own CPU, the disk. A
//! comparison runs both servers in one go, on one file system, interleaved.
//!
//! Exit codes: 0 done, 1 something differs from what it should be, 2 it could not be measured.

mod children;
mod compare;
mod disk;
mod error;
mod keyspace;
mod kubernetes;
mod load;
mod process;
mod random;
mod report;
mod target;
mod work;

use clap::{Parser, Subcommand};

use crate::error::Trouble;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Load generators for Quorate and etcd.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write random keys of a key space.
    Put(work::put::Put),
    /// Read single random keys.
    Range(work::range::Range),
    /// Update random keys the way Kubernetes does: compare the revision, put, else read.
    TxnUpdate(work::txn_update::TxnUpdate),
    /// Read the whole key space, in pages or at once.
    List(work::list::List),
    /// Count the keys of the key space.
    Count(work::count::Count),
    /// Write while many watchers look on, and measure how long events take.
    Watch(work::watch::Watch),
    /// Grant and revoke leases, or keep them alive.
    Lease(work::lease::Lease),
    /// Fill the key space and stop.
    Fill(work::fill::Fill),
    /// Judge a disk by how fast it makes a small append durable.
    Disk(disk::Disk),
    /// Start etcd and Quorate in turn and compare them.
    Compare(compare::Compare),
    /// Load, change and check what a Kubernetes cluster would store.
    Kubernetes(kubernetes::Kubernetes),
}

fn main() {
    children::end_on_signals();
    let result = match Arguments::parse().command {
        Command::Put(command) => command.run(),
        Command::Range(command) => command.run(),
        Command::TxnUpdate(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Count(command) => command.run(),
        Command::Watch(command) => command.run(),
        Command::Lease(command) => command.run(),
        Command::Fill(command) => command.run(),
        Command::Disk(command) => command.run(),
        Command::Compare(command) => command.run(),
        Command::Kubernetes(command) => command.run(),
    };
    if let Err(trouble) = result {
        report::complain(&trouble);
        std::process::exit(match trouble {
            Trouble::Mismatch(_) => 1,
            _ => 2,
        });
    }
}
