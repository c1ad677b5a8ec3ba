//! Single rules of the hub, each by name.

use crate::world::{World, compact, delete, put, puts};
use bytes::Bytes;
use prost::Message;
use quorate_core::limits::{WATCH_CATCH_UP_REVISIONS_MAX, WATCH_RECENT_BYTES_MAX};
use quorate_core::mvccpb::{Event, event::EventType};
use quorate_core::watch::hub::{Create, CreateRefusal, Hub, Options, StreamKey};
use quorate_core::watch::response::{Body, Outlet, Response};
use quorate_core::watch::resume::Step;
use quorate_proto::internal::command::Request;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[derive(Clone, Default)]
struct Outgoing {
    said: Rc<RefCell<Vec<Response>>>,
    full: Rc<Cell<bool>>,
}

impl Outlet for Outgoing {
    fn offer(&self, response: Response) -> bool {
        if !self.full.get() {
            self.said.borrow_mut().push(response);
        }
        !self.full.get()
    }
}

struct Stage {
    world: World,
    hub: Hub<Outgoing>,
    outgoing: Outgoing,
    stream: StreamKey,
}

impl Stage {
    fn new() -> Self {
        let outgoing = Outgoing::default();
        let mut hub = Hub::new(1, WATCH_RECENT_BYTES_MAX);
        let stream = hub.open(outgoing.clone());
        Self { world: World::default(), hub, outgoing, stream }
    }

    /// A hub that has to go to the store for everything that was written so far.
    fn after(requests: Vec<Request>) -> Self {
        let mut stage = Self::new();
        for request in requests {
            stage.world.apply(vec![request]);
        }
        stage.hub.skip_to(stage.world.revision());
        stage
    }

    fn write(&mut self, request: Request) {
        let (round, outcomes) = self.world.apply(vec![request]);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let hub = &mut self.hub;
        self.world
            .with_source(|source| hub.publish(round.revision_after, &round.changes, source))
            .expect("memory has no faults");
    }

    fn watch(
        &mut self,
        key: &str,
        range_end: &str,
        start_revision: i64,
        options: Options,
    ) -> Result<i64, CreateRefusal> {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let range_end = Bytes::copy_from_slice(range_end.as_bytes());
        self.hub.create(self.stream, &Create { key, range_end, start_revision, watch_id: 0, options })
    }

    /// Serves everybody who is behind; answers how many reads that took.
    fn serve(&mut self) -> usize {
        let mut reads = 0;
        loop {
            let hub = &mut self.hub;
            match self.world.with_source(|source| hub.step(source, true)).expect("memory has no faults") {
                Step::Idle => return reads,
                Step::Served => {}
                Step::Read(job) => {
                    reads += 1;
                    let found = self.world.read(job);
                    self.hub.finish(found);
                }
            }
        }
    }

    /// What was said since the last call, as text.
    fn said(&self) -> Vec<String> {
        self.outgoing.said.borrow_mut().drain(..).map(|response| line(&response)).collect()
    }
}

fn line(response: &Response) -> String {
    let body = match &response.body {
        Body::Events { events, .. } => events.as_slice().iter().map(event_text).collect::<Vec<_>>().join(" "),
        Body::Compacted(floor) => format!("compacted {floor}"),
        body => format!("{body:?}").to_lowercase(),
    };
    format!("w{} @{}: {body}", response.watch_id, response.revision)
}

fn event_text(event: &Bytes) -> String {
    let event = Event::decode(&event[..]).expect("an event");
    let verb = if event.r#type() == EventType::Delete { "-" } else { "+" };
    let kv = event.kv.expect("an event has a key-value");
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let previous = event.prev_kv.map_or(String::new(), |before| format!("(was {})", text(&before.value)));
    format!("{}{verb}{}={}{previous}", kv.mod_revision, text(&kv.key), text(&kv.value))
}

const PLAIN: Options = Options { no_put: false, no_delete: false, previous: false, fragment: false, progress: false };

#[test]
fn a_watcher_from_the_past_hears_history_and_then_lives_on() {
    let mut stage = Stage::after(vec![put("a", "1"), put("b", "1"), put("a", "2"), delete("a", "")]);
    stage.watch("a", "", 2, Options { previous: true, ..PLAIN }).expect("created");
    assert_eq!((stage.serve(), stage.said()), (1, vec!["w0 @5: 2+a=1 4+a=2(was 1) 5-a=(was 2)".to_owned()]));
    stage.write(put("a", "3"));
    stage.write(put("b", "3"));
    stage.write(put("a", "4"));
    assert_eq!(stage.said(), ["w0 @6: 6+a=3", "w0 @8: 8+a=4(was 3)"]);
}

#[test]
fn history_that_the_hub_remembers_needs_no_read() {
    let mut stage = Stage::new();
    for value in ["1", "2", "3"] {
        stage.write(put("a", value));
    }
    stage.watch("a", "", 3, PLAIN).expect("created");
    assert_eq!((stage.serve(), stage.said()), (0, vec!["w0 @4: 3+a=2 4+a=3".to_owned()]));
}

#[test]
fn a_transaction_is_one_response() {
    let mut stage = Stage::new();
    stage.watch("a", "z", 0, PLAIN).expect("created");
    stage.watch("b", "", 0, PLAIN).expect("created");
    stage.write(puts(&["a", "b", "c"]));
    let mut said = stage.said();
    said.sort();
    assert_eq!(said, ["w0 @2: 2+a=txn 2+b=txn 2+c=txn", "w1 @2: 2+b=txn"]);
}

#[test]
fn filters_leave_out_kinds_of_change_and_never_send_nothing() {
    let mut stage = Stage::new();
    stage.watch("a", "", 0, Options { no_put: true, ..PLAIN }).expect("created");
    stage.watch("a", "", 0, Options { no_delete: true, ..PLAIN }).expect("created");
    stage.watch("a", "", 0, Options { no_put: true, no_delete: true, ..PLAIN }).expect("created");
    stage.write(put("a", "1"));
    stage.write(delete("a", ""));
    assert_eq!(stage.said(), ["w1 @2: 2+a=1", "w0 @3: 3-a="]);
}

#[test]
fn a_start_in_the_future_is_silent_until_then_also_about_progress() {
    let mut stage = Stage::new();
    stage.watch("a", "", 4, Options { progress: true, ..PLAIN }).expect("created");
    for value in ["2", "3"] {
        stage.write(put("a", value));
        stage.hub.tick(stage.stream);
        assert_eq!(stage.hub.stream_progress(stage.stream), None);
    }
    assert_eq!(stage.said(), [""; 0]);
    stage.write(put("a", "4"));
    assert_eq!(stage.said(), ["w0 @4: 4+a=4"]);
    assert_eq!(stage.hub.stream_progress(stage.stream), Some(4));
}

#[test]
fn a_start_below_the_floor_is_cancelled_and_its_id_stays_known() {
    let mut stage = Stage::new();
    for value in ["1", "2", "3", "4"] {
        stage.write(put("a", value));
    }
    stage.write(compact(4));
    stage.watch("a", "", 3, PLAIN).expect("created");
    stage.watch("a", "", 4, PLAIN).expect("created");
    stage.serve();
    assert_eq!(stage.said(), ["w0 @0: compacted 4", "w1 @5: 4+a=3 5+a=4"]);
    assert_eq!(stage.hub.counts().watchers, 1);
    assert_eq!(stage.hub.stream_progress(stage.stream), None, "it still counts as unsynced");
    assert!(stage.hub.cancel(stage.stream, 0));
    assert_eq!(stage.hub.stream_progress(stage.stream), Some(5));
    assert!(!stage.hub.cancel(stage.stream, 0));
}

#[test]
fn the_delete_at_exactly_the_floor_is_heard() {
    let mut stage = Stage::after(vec![put("a", "1"), delete("a", ""), put("b", "1"), compact(3)]);
    stage.world.trim();
    stage.watch("a", "z", 3, Options { previous: true, ..PLAIN }).expect("created");
    stage.serve();
    assert_eq!(stage.said(), ["w0 @4: 3-a= 4+b=1"], "its value before is compacted away");
}

#[test]
fn refused_creates_name_the_reason() {
    let mut stage = Stage::new();
    assert_eq!(stage.watch("b", "a", 0, PLAIN), Err(CreateRefusal::EmptyRange));
    assert_eq!(stage.watch("b", "b", 0, PLAIN), Err(CreateRefusal::EmptyRange));
    let negative = stage.watch("b", "", -1, PLAIN).expect_err("refused");
    assert_eq!(negative.to_string(), "etcdserver: mvcc: required revision has been compacted");
    assert_eq!(stage.watch("b", "", 0, PLAIN), Ok(0), "a refused create takes no id");
    let create = Create { watch_id: 7, ..Create::default() };
    assert_eq!(stage.hub.create(stage.stream, &create), Ok(7));
    assert_eq!(stage.hub.create(stage.stream, &create), Err(CreateRefusal::DuplicateId));
}

#[test]
fn a_full_queue_costs_a_watcher_its_place_but_no_event() {
    let mut stage = Stage::new();
    stage.watch("a", "", 0, PLAIN).expect("created");
    stage.write(put("a", "1"));
    stage.outgoing.full.set(true);
    stage.write(put("a", "2"));
    stage.write(put("a", "3"));
    assert_eq!((stage.hub.counts().slow_watchers, stage.hub.stream_progress(stage.stream)), (1, None));
    assert_eq!(stage.serve(), 0, "nobody reads for a queue that is full");
    stage.outgoing.full.set(false);
    stage.hub.room(stage.stream);
    stage.serve();
    stage.write(put("a", "4"));
    assert_eq!(stage.said(), ["w0 @2: 2+a=1", "w0 @4: 3+a=2 4+a=3", "w0 @5: 5+a=4"]);
}

#[test]
fn a_slow_watcher_that_meets_a_compaction_is_told() {
    let mut stage = Stage::new();
    stage.watch("a", "", 0, PLAIN).expect("created");
    stage.outgoing.full.set(true);
    for value in ["1", "2", "3"] {
        stage.write(put("a", value));
    }
    stage.write(compact(4));
    stage.outgoing.full.set(false);
    stage.hub.room(stage.stream);
    stage.serve();
    stage.write(put("a", "4"));
    assert_eq!(stage.said(), ["w0 @0: compacted 4"]);
}

#[test]
fn dropped_rounds_are_read_from_the_store() {
    let mut stage = Stage::new();
    stage.watch("a", "", 0, PLAIN).expect("created");
    stage.write(put("a", "1"));
    stage.world.apply(vec![put("a", "2")]);
    stage.world.apply(vec![put("a", "3")]);
    stage.write(put("a", "4"));
    assert_eq!(stage.said(), ["w0 @2: 2+a=1"]);
    assert_eq!(stage.serve(), 1);
    stage.write(put("a", "5"));
    assert_eq!(stage.said(), ["w0 @5: 3+a=2 4+a=3 5+a=4", "w0 @6: 6+a=5"]);
}

#[test]
fn progress_is_due_when_nothing_happened_since_the_last_tick() {
    let mut stage = Stage::new();
    stage.watch("a", "", 0, Options { progress: true, ..PLAIN }).expect("created");
    stage.watch("a", "", 0, PLAIN).expect("created");
    stage.hub.tick(stage.stream);
    stage.write(put("b", "1"));
    stage.hub.tick(stage.stream);
    stage.write(put("a", "1"));
    stage.hub.tick(stage.stream);
    stage.hub.tick(stage.stream);
    let said = stage.said();
    assert_eq!(said, ["w0 @1: progress", "w0 @2: progress", "w0 @3: 3+a=1", "w1 @3: 3+a=1", "w0 @3: progress"]);
}

#[test]
fn one_read_serves_all_watchers_of_a_revision_and_holds_a_thousand_revisions() {
    let mut stage = Stage::new();
    let many = WATCH_CATCH_UP_REVISIONS_MAX + 500;
    for number in 0..many {
        stage.world.apply(vec![put("a", &number.to_string())]);
    }
    stage.hub.skip_to(stage.world.revision());
    for (key, range_end) in [("a", ""), ("a", "b"), ("b", ""), ("a", "")] {
        stage.watch(key, range_end, 1, PLAIN).expect("created");
    }
    assert_eq!(stage.serve(), 2);
    let sizes = |id: i64| -> Vec<usize> {
        let said = stage.outgoing.said.borrow();
        let events = said.iter().filter(|response| response.watch_id == id).map(|response| match &response.body {
            Body::Events { events, .. } => events.as_slice().len(),
            body => panic!("expected events, got {body:?}"),
        });
        events.collect()
    };
    assert_eq!([sizes(0), sizes(1), sizes(2), sizes(3)], [vec![1000, 500], vec![1000, 500], vec![], vec![1000, 500]]);
}

#[test]
fn a_watcher_cancelled_while_its_history_is_read_hears_nothing_of_it() {
    let mut stage = Stage::after(vec![put("a", "1")]);
    stage.watch("a", "", 1, PLAIN).expect("created");
    let hub = &mut stage.hub;
    let Step::Read(job) = stage.world.with_source(|source| hub.step(source, true)).expect("memory has no faults")
    else {
        panic!("history is in the store");
    };
    assert!(stage.hub.cancel(stage.stream, 0));
    stage.watch("a", "", 0, PLAIN).expect("created");
    stage.hub.finish(stage.world.read(job));
    assert_eq!(stage.said(), [""; 0]);
}
