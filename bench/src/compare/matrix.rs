//! The rounds: every workload at every number of clients, on both servers in turn.

use clap::Args;

use crate::{
    compare::{
        Sides,
        machine::{self, DiskLooks},
        server::{Binary, Scratch},
        table::Table,
    },
    error::Trouble,
    keyspace::Keyspace,
    load::Plan,
    report::{Summary, complain, say},
    target::Target,
    work::{fill, list, put, range, txn_update},
};

/// Flags of the matrix.
#[derive(Args)]
pub(crate) struct Matrix {
    /// Rounds. Each starts both servers once, on empty directories.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds per measurement, after half a second of warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Sizes, and keys written before measuring.
    #[command(flatten)]
    keyspace: Keyspace,
    /// Only workloads whose name contains this, such as `put`.
    #[arg(long)]
    only: Option<String>,
    /// Print each measurement as a JSON line, too.
    #[arg(long)]
    json: bool,
}

/// One row: a workload and a number of clients.
#[derive(Debug, Clone, Copy)]
struct Cell {
    kind: Kind,
    clients: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    Linearizable,
    Serializable,
    TxnUpdate,
    ListPaged,
    ListWhole,
}

/// Reads come before writes: what a server keeps in memory after many writes must not be charged to its reads. etcd 3.4
/// copies a buffer on each read that only grows with the write rate: measured, a read right after a batched fill cost
/// it five times the CPU time of one after a restart.
const CELLS: [Cell; 13] = [
    Cell { kind: Kind::Linearizable, clients: 1 },
    Cell { kind: Kind::Linearizable, clients: 100 },
    Cell { kind: Kind::Linearizable, clients: 1000 },
    Cell { kind: Kind::Serializable, clients: 1 },
    Cell { kind: Kind::Serializable, clients: 100 },
    Cell { kind: Kind::Serializable, clients: 1000 },
    Cell { kind: Kind::ListPaged, clients: 1 },
    Cell { kind: Kind::ListWhole, clients: 1 },
    Cell { kind: Kind::Put, clients: 1 },
    Cell { kind: Kind::Put, clients: 100 },
    Cell { kind: Kind::Put, clients: 1000 },
    Cell { kind: Kind::TxnUpdate, clients: 1 },
    Cell { kind: Kind::TxnUpdate, clients: 100 },
];

/// Kubernetes turns its pages over at this size.
const PAGE_KEYS: i64 = 500;

impl Cell {
    fn name(self) -> &'static str {
        match self.kind {
            Kind::Put => "put",
            Kind::Linearizable => "range, linearizable",
            Kind::Serializable => "range, serializable",
            Kind::TxnUpdate => "txn-update",
            Kind::ListPaged => "list, pages of 500",
            Kind::ListWhole => "list, whole",
        }
    }

    fn measure(self, plan: &Plan, keyspace: Keyspace) -> Result<Summary, Trouble> {
        match self.kind {
            Kind::Put => put::put(plan, keyspace),
            Kind::Linearizable => range::range(plan, keyspace, false),
            Kind::Serializable => range::range(plan, keyspace, true),
            Kind::TxnUpdate => txn_update::txn_update(plan, keyspace),
            Kind::ListPaged => list::list(plan, keyspace, PAGE_KEYS),
            Kind::ListWhole => list::list(plan, keyspace, 0),
        }
    }
}

impl Matrix {
    pub(crate) fn run(&self, sides: &Sides) -> Result<(), Trouble> {
        self.keyspace.check()?;
        let cells: Vec<Cell> =
            CELLS.into_iter().filter(|cell| self.only.as_ref().is_none_or(|only| cell.name().contains(only))).collect();
        if cells.is_empty() || self.rounds == 0 {
            return Err(Trouble::Cannot("there is nothing to measure".to_owned()));
        }
        let binaries = sides.binaries()?;
        let scratch = Scratch::new(&sides.dir)?;
        let mut disk = DiskLooks::default();
        let mut versions = [String::new(), String::new()];
        let mut table = Table::new(cells.len());
        for round in 0..self.rounds {
            // The order alternates, so that neither side always follows the other.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for side in order {
                disk.look(scratch.path())?;
                complain(&format_args!("round {} of {}: {}", round + 1, self.rounds, binaries[side].name));
                versions[side] = self.one_side(&binaries[side], &scratch, &cells, |row, summary| {
                    table.add(row, side, summary);
                })?;
            }
        }
        say(machine::describe(&disk, &binaries, &versions))?;
        say(format_args!(
            "- load: {} B keys, {} B values, {} keys written, then a restart; 8 connections, {} s per \
             measurement, {} rounds, reads before writes\n",
            self.keyspace.key_bytes, self.keyspace.value_bytes, self.keyspace.keys, self.seconds, self.rounds
        ))?;
        say(table.markdown())
    }

    /// One server's turn in a round. Returns its version.
    fn one_side(
        &self,
        binary: &Binary,
        scratch: &Scratch,
        cells: &[Cell],
        mut add: impl FnMut(usize, Summary),
    ) -> Result<String, Trouble> {
        let data = scratch.fresh(binary.name)?;
        let server = binary.start(&data)?;
        fill::fill(&server.target(), self.keyspace, fill::BATCH_OPERATIONS)?;
        // Both start measuring from a restart, which is where etcd's reads are at their best.
        server.kill();
        let server = binary.start(&data)?;
        for (row, cell) in cells.iter().enumerate() {
            let summary = cell.measure(&self.plan(server.target(), cell.clients), self.keyspace)?;
            if self.json {
                say(serde_json::json!({ "side": binary.name, "summary": summary }))?;
            }
            add(row, summary);
        }
        let version = server.version()?;
        server.kill();
        scratch.fresh(binary.name)?;
        Ok(version)
    }

    fn plan(&self, target: Target, clients: usize) -> Plan {
        Plan {
            target,
            clients,
            total: None,
            seconds: Some(self.seconds),
            warm_up_seconds: 0.5,
            threads: 0,
            json: false,
        }
    }
}
