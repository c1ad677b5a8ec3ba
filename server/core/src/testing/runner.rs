//! The member of a script: one machine, its store and its log.

use super::queries::query;
use super::recovery::fault;
use super::requests::{alarm_type, checkpoints, delete, put};
use super::script::Node;
use super::txn::repeated;
use super::watch::Streams;
use super::words::{Words, Wrong, number};
use super::{Disturbance, ScriptError, TestStore, dump, print, txn};
use crate::check;
use crate::error::Refusal;
use crate::ids::{LogIndex, Term};
use crate::limits::{TXN_OPS_MAX, WATCH_RECENT_BYTES_MAX};
use crate::machine::{Applied, Machine, Position, Round};
use crate::mvcc::view::View;
use crate::pb::alarm_request::AlarmAction;
use crate::pb::{AlarmRequest, CompactionRequest, LeaseCheckpointRequest, LeaseGrantRequest};
use crate::storage::EngineRows;
use quorate_proto::internal::command::Request;
use quorate_proto::internal::{Bootstrap, ClusterVersion, Command, LeaseRevoke, Member, MemberAttributes};
use std::collections::BTreeMap;

/// An entry as it was applied first.
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) command: Command,
    pub(super) applied: Applied,
}

pub(super) struct Runner {
    pub(super) store: Box<dyn TestStore>,
    pub(super) machine: Machine,
    pub(super) log: Vec<Entry>,
    pub(super) held: BTreeMap<String, View>,
    streams: Streams,
    disturbance: Disturbance,
    round: Option<Round>,
    /// True below `round`.
    in_round: bool,
    commands: usize,
    term: Term,
    ops_max: usize,
    changes: bool,
    effects: bool,
}

impl Runner {
    pub(super) fn new(store: Box<dyn TestStore>, disturbance: Disturbance) -> Result<Self, ScriptError> {
        let machine = Machine::load(store.engine()).map_err(|fault| ScriptError(fault.to_string()))?;
        let recent_bytes_max = if disturbance == Disturbance::ColdWatch { 0 } else { WATCH_RECENT_BYTES_MAX };
        let streams = Streams::new(machine.view().revision, recent_bytes_max);
        Ok(Self {
            store,
            machine,
            streams,
            log: Vec::new(),
            held: BTreeMap::new(),
            disturbance,
            round: None,
            in_round: false,
            commands: 0,
            term: Term(1),
            ops_max: TXN_OPS_MAX,
            changes: false,
            effects: false,
        })
    }

    /// Runs a command, then what the disturbance adds.
    pub(super) fn command(&mut self, node: &Node) -> Result<Vec<String>, Wrong> {
        let mut answers = self.execute(node)?;
        answers.extend(self.streams.heard(&self.machine.view(), self.store.engine())?);
        self.commands += 1;
        match self.disturbance {
            Disturbance::None | Disturbance::LongRounds | Disturbance::ColdWatch => {}
            Disturbance::Crash => {
                if self.commands.is_multiple_of(3) {
                    self.flush()?;
                }
                self.crash()?;
            }
            Disturbance::Trim => drop(self.trim(2, usize::MAX)?),
        }
        Ok(answers)
    }

    fn execute(&mut self, node: &Node) -> Result<Vec<String>, Wrong> {
        if let Some(commands) = repeated(&node.text)? {
            let mut last = Vec::new();
            for text in commands {
                last = self.execute(&Node { line: node.line, text, children: node.children.clone() })?;
            }
            return Ok(last);
        }
        if !self.in_round && self.is_query(node) {
            let view = self.view()?;
            if let Some(lines) = query(&view, self.store.engine(), node, self.ops_max)? {
                return Ok(lines);
            }
        }
        let mut words = Words::new(&node.text);
        let name = words.next("a command")?;
        if let Some(request) = self.request(name, &mut words, node)? {
            words.end()?;
            return match self.checked(&request) {
                Ok(()) => self.apply(request),
                Err(refusal) => Ok(vec![format!("refused: {refusal}")]),
            };
        }
        let lines = self.control(name, &mut words, node)?;
        words.end()?;
        Ok(lines)
    }

    /// Only looking closes a round; so a transaction that needs an entry must not.
    fn is_query(&self, node: &Node) -> bool {
        let name = node.text.split_whitespace().next().unwrap_or_default();
        match name {
            "get" | "hash" | "size" | "leases" | "ttl-keys" | "alarms" | "members" => true,
            "txn" => txn::txn(node).is_ok_and(|txn| crate::machine::txn::is_read_only(&txn)),
            _ => false,
        }
    }

    /// What the command proposes, if it proposes.
    fn request(&self, name: &str, words: &mut Words<'_>, node: &Node) -> Result<Option<Request>, Wrong> {
        Ok(Some(match name {
            "put" => Request::Put(put(words)?),
            "del" => Request::DeleteRange(delete(words)?),
            "txn" => Request::Txn(txn::txn(node)?),
            "compact" => {
                let revision = number(words.next("the revision")?)?;
                Request::Compaction(CompactionRequest { revision, physical: false })
            }
            "lease" => match words.next("what about the lease")? {
                "grant" => {
                    let id = number(words.next("the id")?)?;
                    let ttl = words.number("ttl")?.ok_or("ttl= is missing")?;
                    Request::LeaseGrant(LeaseGrantRequest { ttl, id })
                }
                "revoke" => {
                    let id = number(words.next("the id")?)?;
                    let (term, incarnation) = (words.unsigned("term")?, words.unsigned("incarnation")?);
                    Request::LeaseRevoke(LeaseRevoke { id, incarnation, term })
                }
                "checkpoint" => Request::LeaseCheckpoint(LeaseCheckpointRequest { checkpoints: checkpoints(words)? }),
                other => return Err(format!("not understood: lease {other}")),
            },
            "alarm" => {
                let action = match words.next("the action")? {
                    "list" => AlarmAction::Get.into(),
                    "raise" => AlarmAction::Activate.into(),
                    "clear" => AlarmAction::Deactivate.into(),
                    other => super::requests::enum_number(other)?,
                };
                let member_id = words.unsigned("member")?;
                Request::Alarm(AlarmRequest { action, member_id, alarm: alarm_type(words)? })
            }
            "cluster-version" => {
                Request::ClusterVersion(ClusterVersion { version: words.next("the version")?.to_owned() })
            }
            "bootstrap" => Request::Bootstrap(bootstrap(words)?),
            "attributes" => {
                let (member_id, name) = id_and_name(words.next("ID=NAME")?)?;
                let client_urls = words.option("url").map(str::to_owned).into_iter().collect();
                Request::MemberAttributes(MemberAttributes { member_id, name, client_urls })
            }
            _ => return Ok(None),
        }))
    }

    /// What a server refuses before it proposes.
    fn checked(&self, request: &Request) -> Result<(), Refusal> {
        match request {
            Request::Put(put) => check::put(put),
            Request::DeleteRange(delete) => check::delete_range(delete),
            Request::Txn(txn) => check::txn(txn, self.ops_max),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, request: Request) -> Result<Vec<String>, Wrong> {
        let command = Command { request: Some(request), ..Command::default() };
        let position = Position { term: self.term, index: LogIndex(self.log.len() as u64 + 1) };
        let mut round = self.round.take().unwrap_or_default();
        let (changes, effects) = (round.changes.len(), round.effects.len());
        let rows = EngineRows(self.store.engine());
        let applied = self.machine.apply(&mut round, &rows, position, &command).map_err(fault)?;
        let mut lines = match &applied.outcome {
            Ok(response) => print::response(response)?,
            Err(refusal) => vec![format!("refused: {refusal}")],
        };
        if self.changes {
            for change in &round.changes[changes..] {
                lines.push(print::change(change)?);
            }
        }
        if self.effects {
            lines.extend(round.effects[effects..].iter().map(print::effect));
        }
        self.round = Some(round);
        self.log.push(Entry { position, command, applied });
        if !self.in_round && self.disturbance != Disturbance::LongRounds {
            self.finish_round()?;
        }
        Ok(lines)
    }

    /// Writes what was applied; the view is the one to publish then.
    pub(super) fn finish_round(&mut self) -> Result<(), Wrong> {
        if let Some(round) = self.round.take() {
            let finished = self.machine.finish(round);
            if !finished.changes.is_sorted_by_key(|change| change.revision) {
                return Err("changes are not in the order of revisions".into());
            }
            self.store.engine().write(&finished.writes).map_err(fault)?;
            self.streams.publish(&finished, self.store.engine())?;
        }
        Ok(())
    }

    fn view(&mut self) -> Result<View, Wrong> {
        self.finish_round()?;
        Ok(self.machine.view())
    }

    pub(super) fn flush(&mut self) -> Result<(), Wrong> {
        self.finish_round()?;
        self.store.engine().flush().map_err(fault)
    }

    fn control(&mut self, name: &str, words: &mut Words<'_>, node: &Node) -> Result<Vec<String>, Wrong> {
        if let Some(stream) = name.strip_suffix(':') {
            self.finish_round()?;
            self.streams.request(stream, words)?;
            return Ok(vec!["ok".into()]);
        }
        match name {
            "round" => return self.round(node),
            "trim" => return self.trim_command(words),
            "dump" => {
                self.finish_round()?;
                return dump::tables(self.store.engine(), words.rest().first().copied());
            }
            "at" => return self.at(words, node),
            "cost" => return self.cost(words, node),
            "counts" => return self.counts(),
            "deaf" => self.streams.deafen(words.next("on or off")? == "on"),
            "flush" => self.flush()?,
            "crash" => self.crash()?,
            "reopen" => self.reopen()?,
            "hold" => {
                let view = self.view()?;
                self.held.insert(words.next("a name")?.to_owned(), view);
            }
            "release" => {
                self.held.remove(words.next("a name")?).ok_or("no such view")?;
            }
            "changes" => self.changes = words.next("on or off")? == "on",
            "effects" => self.effects = words.next("on or off")? == "on",
            "max-ops" => self.ops_max = words.next("the limit")?.parse().map_err(|_| "no limit")?,
            "term" => self.term = Term(words.next("the term")?.parse().map_err(|_| "no term")?),
            other => return Err(format!("{other} is no command")),
        }
        Ok(vec!["ok".into()])
    }

    fn round(&mut self, node: &Node) -> Result<Vec<String>, Wrong> {
        self.in_round = true;
        self.round.get_or_insert_default();
        let answers: Result<Vec<_>, Wrong> = node.children.iter().map(|child| self.execute(child)).collect();
        self.in_round = false;
        if self.disturbance != Disturbance::LongRounds {
            self.finish_round()?;
        }
        Ok(answers?.concat())
    }

    fn at(&mut self, words: &mut Words<'_>, node: &Node) -> Result<Vec<String>, Wrong> {
        self.finish_round()?;
        let view = self.held.get(words.next("a name")?).ok_or("no such view")?;
        let text = words.rest().join(" ");
        let node = Node { line: node.line, text, children: node.children.clone() };
        query(view, self.store.engine(), &node, self.ops_max)?.ok_or_else(|| "a view only answers queries".into())
    }

    fn cost(&self, words: &mut Words<'_>, node: &Node) -> Result<Vec<String>, Wrong> {
        let name = words.next("a command")?;
        let cost = match self.request(name, words, node)? {
            Some(Request::Put(put)) => check::cost::put(&put),
            Some(Request::Txn(txn)) => check::cost::txn(&txn),
            Some(Request::LeaseGrant(_)) => check::cost::lease_grant(),
            _ => return Err("only puts, transactions and grants have a cost".into()),
        };
        Ok(vec![format!("cost={cost}")])
    }

    fn counts(&self) -> Result<Vec<String>, Wrong> {
        let counts = self.log.last().ok_or("nothing was applied")?.applied.counts;
        let (puts, bytes, deletes) = (counts.puts, counts.put_bytes, counts.deletes);
        Ok(vec![format!(
            "puts={puts} put-bytes={bytes} deletes={deletes} ranges={} txns={}",
            counts.ranges, counts.txns
        )])
    }
}

fn id_and_name(word: &str) -> Result<(u64, String), Wrong> {
    let (id, name) = word.split_once('=').ok_or("a member is ID=NAME")?;
    Ok((id.parse().map_err(|_| "no id")?, name.to_owned()))
}

fn bootstrap(words: &mut Words<'_>) -> Result<Bootstrap, Wrong> {
    let cluster_id = words.unsigned("cluster")?;
    let member = |word: &str| {
        let (id, name) = id_and_name(word)?;
        Ok(Member { id, name, ..Member::default() })
    };
    Ok(Bootstrap { cluster_id, members: words.rest().into_iter().map(member).collect::<Result<_, Wrong>>()? })
}
