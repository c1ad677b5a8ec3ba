//! Watch streams of a script: `w1: watch a`, and what stream w1 then hears.

use super::print::key_value;
use super::requests::key_range;
use super::words::{Words, Wrong, number};
use crate::ids::Revision;
use crate::machine::Finished;
use crate::mvcc::view::View;
use crate::mvccpb::{Event, event::EventType};
use crate::storage::{Engine, EngineRows, Table, codec};
use crate::watch::Source;
use crate::watch::catch_up::{History, VisitRow};
use crate::watch::hub::{Create, Hub, Options, StreamKey};
use crate::watch::response::{Body, Outlet, Response};
use crate::watch::resume::Step;
use prost::Message;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What a client has not read yet.
#[derive(Debug, Default)]
struct Queue {
    waiting: RefCell<Vec<Response>>,
    full: Cell<bool>,
}

impl Outlet for Queue {
    fn offer(&self, response: Response) -> bool {
        if !self.full.get() {
            self.waiting.borrow_mut().push(response);
        }
        !self.full.get()
    }
}

/// The hub of a script and its streams by name.
pub(super) struct Streams {
    hub: Hub<Queue>,
    names: BTreeMap<String, StreamKey>,
    /// True while the hub is not told of rounds.
    deaf: bool,
}

impl Streams {
    pub(super) fn new(revision: i64, recent_bytes_max: usize) -> Self {
        Self { hub: Hub::new(revision, recent_bytes_max), names: BTreeMap::new(), deaf: false }
    }

    pub(super) fn deafen(&mut self, deaf: bool) {
        self.deaf = deaf;
    }

    /// Publishes a round that was written.
    pub(super) fn publish(&mut self, finished: &Finished, engine: &dyn Engine) -> Result<(), Wrong> {
        if self.deaf {
            return Ok(());
        }
        let source = Source { rows: &EngineRows(engine), compact_revision: finished.view.compact_revision };
        self.hub.publish(finished.view.revision, &finished.changes, &source).map_err(|fault| fault.to_string())
    }

    /// A request of a client: the words after `NAME:`.
    pub(super) fn request(&mut self, name: &str, words: &mut Words<'_>) -> Result<(), Wrong> {
        let hub = &mut self.hub;
        let stream = *self.names.entry(name.to_owned()).or_insert_with(|| hub.open(Queue::default()));
        let revision = hub.revision();
        let answer = match words.next("a request")? {
            "watch" => {
                let create = create(words)?;
                Some(match hub.create(stream, &create) {
                    Ok(watch_id) => Response { watch_id, revision, body: Body::Created },
                    Err(why) => Response { watch_id: -1, revision, body: Body::Refused(why.to_string().into()) },
                })
            }
            "cancel" => {
                let watch_id = number(words.next("the id")?)?;
                hub.cancel(stream, watch_id).then_some(Response { watch_id, revision, body: Body::Canceled })
            }
            "progress" => {
                let revision = hub.stream_progress(stream);
                revision.map(|revision| Response { watch_id: -1, revision, body: Body::Progress })
            }
            "tick" => {
                hub.tick(stream);
                None
            }
            "full" => {
                self.queue(stream)?.full.set(true);
                None
            }
            "room" => {
                self.queue(stream)?.full.set(false);
                self.hub.room(stream);
                None
            }
            "close" => {
                self.names.remove(name);
                self.hub.close(stream);
                None
            }
            other => return Err(format!("{other} is no request of a stream")),
        };
        if let Some(answer) = answer {
            self.queue(stream)?.waiting.borrow_mut().push(answer);
        }
        Ok(())
    }

    fn queue(&self, stream: StreamKey) -> Result<&Queue, Wrong> {
        self.hub.outlet(stream).ok_or_else(|| "the stream has ended".into())
    }

    /// Serves whoever is behind, then answers what arrived.
    pub(super) fn heard(&mut self, view: &View, engine: &dyn Engine) -> Result<Vec<String>, Wrong> {
        let fault = |fault: crate::error::Fault| fault.to_string();
        if !self.deaf {
            self.hub.skip_to(view.revision);
        }
        let rows = EngineRows(engine);
        let compact_revision = view.compact_revision;
        loop {
            match self.hub.step(&Source { rows: &rows, compact_revision }, true).map_err(fault)? {
                Step::Idle => break,
                Step::Served => {}
                Step::Read(job) => {
                    let history = History { index: &view.index, compact_revision, rows: &rows };
                    let found = job.run(&history, |from, to, visit| scan(engine, from, to, visit)).map_err(fault)?;
                    self.hub.finish(found);
                }
            }
        }
        let mut lines = Vec::new();
        for (name, stream) in &self.names {
            for response in self.queue(*stream)?.waiting.take() {
                lines.extend(print(name, &response)?);
            }
        }
        Ok(lines)
    }
}

fn create(words: &mut Words<'_>) -> Result<Create, Wrong> {
    let (key, range_end) = key_range(words)?;
    Ok(Create {
        key,
        range_end,
        start_revision: words.number("from")?.unwrap_or(0),
        watch_id: words.number("id")?.unwrap_or(0),
        options: Options {
            no_put: words.flag("no-put"),
            no_delete: words.flag("no-delete"),
            previous: words.flag("prev"),
            fragment: words.flag("fragment"),
            progress: words.flag("notify"),
        },
    })
}

fn scan(
    engine: &dyn Engine,
    from: Revision,
    to: Revision,
    visit: &mut VisitRow<'_>,
) -> Result<(), crate::error::Fault> {
    let mut damage = None;
    engine.scan(
        Table::Row,
        &codec::row_key(from),
        Some(&codec::row_key(to)),
        &mut |key, row| match codec::row_revision(key) {
            Ok(revision) => visit(revision, row),
            Err(fault) => {
                damage = Some(fault);
                ControlFlow::Break(())
            }
        },
    )?;
    damage.map_or(Ok(()), Err)
}

fn print(name: &str, response: &Response) -> Result<Vec<String>, Wrong> {
    let Response { watch_id, revision, body } = response;
    let said = match body {
        Body::Created => "created".into(),
        Body::Refused(why) => format!("refused: {why}"),
        Body::Canceled => "canceled".into(),
        Body::Compacted(floor) => format!("compacted at {floor}"),
        Body::Progress => "progress".into(),
        Body::Events { events, .. } => {
            let mut lines = vec![format!("  {name}: #{watch_id} rev={revision}")];
            for event in events.as_slice() {
                lines.extend(print_event(event)?);
            }
            return Ok(lines);
        }
    };
    Ok(vec![format!("  {name}: #{watch_id} rev={revision} {said}")])
}

fn print_event(event: &[u8]) -> Result<Vec<String>, Wrong> {
    let event = Event::decode(event).map_err(|error| error.to_string())?;
    let kv = event.kv.as_ref().ok_or("an event without a key-value")?.encode_to_vec().into();
    let what = if event.r#type == i32::from(EventType::Delete) { "DELETE" } else { "PUT" };
    let mut lines = vec![format!("    {what} {}", key_value(&kv)?)];
    if let Some(before) = &event.prev_kv {
        lines.push(format!("      prev {}", key_value(&before.encode_to_vec().into())?));
    }
    Ok(lines)
}
