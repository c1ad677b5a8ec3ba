//! Random histories: whatever is written, published late or not at all, read slowly, cancelled and compacted, each watcher
//! hears exactly what a plain list says it should, or is told that it cannot.

use crate::world::{Told, Unpublished, World, compact, delete, put, puts};
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use quorate_core::mvccpb::{Event, event::EventType};
use quorate_core::watch::catch_up::{Finished, Job};
use quorate_core::watch::hub::{Create, Hub, Options, StreamKey};
use quorate_core::watch::range::WatchRange;
use quorate_core::watch::response::{Body, Outlet, Response};
use quorate_core::watch::resume::Step;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

const KEYS: [&str; 6] = ["a", "ab", "b", "ba", "c", "d"];
const RANGES: [(&str, &str); 8] =
    [("a", ""), ("b", ""), ("a", "b"), ("a", "c"), ("ab", "d"), ("b", "\0"), ("", "\0"), ("c", "z")];

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Response>,
    room: usize,
    refused: bool,
}

#[derive(Clone, Default)]
struct Outgoing(Rc<RefCell<Queue>>);

impl Outlet for Outgoing {
    fn offer(&self, response: Response) -> bool {
        let mut queue = self.0.borrow_mut();
        if queue.waiting.len() >= queue.room {
            queue.refused = true;
            return false;
        }
        queue.waiting.push_back(response);
        true
    }
}

/// What a watcher should hear, and how much of it it has heard.
struct Expectation {
    range: WatchRange,
    options: Options,
    start: i64,
    heard_through: i64,
    /// The client has read that the watcher exists; what was said to the stream before is not about it.
    created: bool,
    ended: bool,
    compacted: bool,
}

impl Expectation {
    fn missing<'t>(&self, told: &'t [Told], through: i64) -> impl Iterator<Item = &'t Told> {
        let (range, options) = (self.range.clone(), self.options);
        let first = self.start.max(self.heard_through + 1);
        told.iter().filter(move |told| {
            (first..=through).contains(&told.main)
                && range.contains(&told.key)
                && !(if told.delete { options.no_delete } else { options.no_put })
        })
    }
}

struct Client {
    key: StreamKey,
    outgoing: Outgoing,
    watchers: BTreeMap<i64, Expectation>,
}

struct Play {
    world: World,
    hub: Hub<Outgoing>,
    clients: Vec<Client>,
    unpublished: VecDeque<Unpublished>,
    missed: bool,
    jobs: VecDeque<Job>,
    found: VecDeque<Finished>,
}

impl Play {
    fn new(recent_bytes_max: usize) -> Self {
        let mut play = Self {
            world: World::default(),
            hub: Hub::new(1, recent_bytes_max),
            clients: Vec::new(),
            unpublished: VecDeque::new(),
            missed: false,
            jobs: VecDeque::new(),
            found: VecDeque::new(),
        };
        for room in [1, 3, 40] {
            play.open(room);
        }
        play
    }

    fn open(&mut self, room: usize) {
        let outgoing = Outgoing::default();
        outgoing.0.borrow_mut().room = room;
        let key = self.hub.open(outgoing.clone());
        self.clients.push(Client { key, outgoing, watchers: BTreeMap::new() });
    }

    fn act(&mut self, (act, a, b, c): (u8, u8, u8, u8)) -> Result<(), TestCaseError> {
        let key = KEYS[a as usize % KEYS.len()];
        let client = b as usize % self.clients.len();
        match act % 20 {
            0..=4 => self.write(vec![put(key, "value"); 1 + c as usize % 3]),
            5 => self.write(vec![delete(key, RANGES[b as usize % RANGES.len()].1)]),
            6 => self.write(vec![puts(&["a", "ba"]), put(key, "x"), puts(&["b", "c", "ab"])]),
            7 => {
                self.write(vec![compact(self.world.revision() - i64::from(c % 6))]);
                if c % 2 == 0 {
                    self.world.trim();
                }
            }
            8..=10 => self.publish_one(),
            11 => {
                self.missed |= self.unpublished.pop_back().is_some();
            }
            12 => self.create(client, a, c),
            13 => self.cancel(client, i64::from(c % 4)),
            14 | 15 => self.read(client, 1 + c as usize % 8)?,
            16 => self.hub_step(),
            17 => match c % 3 {
                0 => self.jobs.pop_front().into_iter().for_each(|job| self.found.push_back(self.world.read(job))),
                _ => self.found.pop_front().into_iter().for_each(|found| self.hub.finish(found)),
            },
            18 => self.ask_progress(client),
            _ if c < 20 => {
                let room = self.clients[client].outgoing.0.borrow().room;
                self.hub.close(self.clients[client].key);
                self.clients.remove(client);
                self.open(room);
            }
            _ => self.hub.tick(self.clients[client].key),
        }
        Ok(())
    }

    fn write(&mut self, requests: Vec<quorate_proto::internal::command::Request>) {
        let (round, _) = self.world.apply(requests);
        self.unpublished.push_back(round);
    }

    fn publish_one(&mut self) {
        if let Some(round) = self.unpublished.pop_front() {
            let hub = &mut self.hub;
            self.world
                .with_source(|source| hub.publish(round.revision_after, &round.changes, source))
                .expect("memory has no faults");
        } else if std::mem::take(&mut self.missed) {
            self.hub.skip_to(self.world.revision());
        }
    }

    fn create(&mut self, client: usize, a: u8, c: u8) {
        let (key, range_end) = RANGES[a as usize % RANGES.len()];
        let now = self.hub.revision();
        let start_revision = match c % 4 {
            0 => 0,
            1 => now + i64::from(c % 5),
            _ => (now - i64::from(c % 30)).max(1),
        };
        let options = Options {
            no_put: c.is_multiple_of(11),
            no_delete: c.is_multiple_of(13),
            previous: c.is_multiple_of(2),
            fragment: false,
            progress: c.is_multiple_of(3),
        };
        let create = Create {
            key: Bytes::from_static(key.as_bytes()),
            range_end: Bytes::from_static(range_end.as_bytes()),
            start_revision,
            watch_id: 0,
            options,
        };
        let Client { key: stream, watchers, outgoing } = &mut self.clients[client];
        let id = self.hub.create(*stream, &create).expect("a free id and a range that is not empty");
        let start = if start_revision == 0 { now + 1 } else { start_revision };
        let range = WatchRange::new(key.as_bytes(), range_end.as_bytes()).expect("not empty");
        let created = Response { watch_id: id, revision: now, body: Body::Created };
        outgoing.0.borrow_mut().waiting.push_back(created);
        let expectation =
            Expectation { range, options, start, heard_through: 0, created: false, ended: false, compacted: false };
        watchers.insert(id, expectation);
    }

    fn cancel(&mut self, client: usize, id: i64) {
        let Client { key, outgoing, watchers } = &mut self.clients[client];
        let known = watchers.get(&id).is_some_and(|watcher| !watcher.ended);
        assert_eq!(self.hub.cancel(*key, id), known);
        if let Some(watcher) = watchers.get_mut(&id).filter(|_| known) {
            watcher.ended = true;
            let canceled = Response { watch_id: id, revision: self.hub.revision(), body: Body::Canceled };
            outgoing.0.borrow_mut().waiting.push_back(canceled);
        }
    }

    fn ask_progress(&mut self, client: usize) {
        let Client { key, outgoing, .. } = &self.clients[client];
        if let Some(revision) = self.hub.stream_progress(*key) {
            outgoing.offer(Response { watch_id: -1, revision, body: Body::Progress });
        }
    }

    fn hub_step(&mut self) {
        let hub = &mut self.hub;
        let may_read = self.jobs.len() + self.found.len() < 2;
        if let Step::Read(job) =
            self.world.with_source(|source| hub.step(source, may_read)).expect("memory has no faults")
        {
            self.jobs.push_back(job);
        }
    }

    /// The client takes responses off its queue and looks at each.
    fn read(&mut self, client: usize, count: usize) -> Result<(), TestCaseError> {
        for _ in 0..count {
            let popped = self.clients[client].outgoing.0.borrow_mut().waiting.pop_front();
            let Some(response) = popped else { break };
            prop_assert!(response.revision <= self.hub.revision());
            let floor = self.world.floor();
            let watchers = &mut self.clients[client].watchers;
            if response.watch_id == -1 {
                for watcher in watchers.values().filter(|watcher| watcher.created && !watcher.ended) {
                    prop_assert_eq!(
                        watcher.missing(&self.world.told, response.revision).next(),
                        None,
                        "progress overtook"
                    );
                    prop_assert!(watcher.start <= response.revision + 1 && !watcher.compacted);
                }
                continue;
            }
            let watcher = watchers.get_mut(&response.watch_id).expect("responses are for watchers");
            prop_assert!(watcher.created || response.body == Body::Created);
            hear(watcher, &response, &self.world.told, floor)?;
        }
        let mut queue = self.clients[client].outgoing.0.borrow_mut();
        if queue.refused && queue.waiting.len() * 2 <= queue.room {
            queue.refused = false;
            drop(queue);
            self.hub.room(self.clients[client].key);
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), TestCaseError> {
        while !self.unpublished.is_empty() || self.missed {
            self.publish_one();
        }
        let mut idle = 0;
        while idle < 3 {
            idle += 1;
            for client in 0..self.clients.len() {
                if !self.clients[client].outgoing.0.borrow().waiting.is_empty() {
                    idle = 0;
                }
                self.read(client, usize::MAX)?;
            }
            if self.hub.has_turn() || !self.jobs.is_empty() || !self.found.is_empty() {
                idle = 0;
            }
            self.hub_step();
            while let Some(job) = self.jobs.pop_front() {
                self.found.push_back(self.world.read(job));
            }
            while let Some(found) = self.found.pop_front() {
                self.hub.finish(found);
            }
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), TestCaseError> {
        let mut watchers = 0;
        for client in &self.clients {
            let now = self.world.revision();
            for watcher in client.watchers.values().filter(|watcher| !watcher.ended && !watcher.compacted) {
                watchers += 1;
                prop_assert_eq!(watcher.missing(&self.world.told, now).next(), None, "events are missing");
            }
            let mut waiting = client.watchers.values().filter(|watcher| !watcher.ended).peekable();
            let some = waiting.peek().is_some();
            let expected = some && waiting.all(|watcher| !watcher.compacted && watcher.start <= now.max(1) + 1);
            let progress = self.hub.stream_progress(client.key);
            if !expected {
                prop_assert_eq!(progress, None);
            } else if client.watchers.values().all(|watcher| watcher.start <= now) {
                prop_assert_eq!(progress, Some(now));
            }
        }
        let counts = self.hub.counts();
        prop_assert_eq!((counts.watchers, counts.slow_watchers), (watchers, 0));
        Ok(())
    }
}

fn hear(watcher: &mut Expectation, response: &Response, told: &[Told], floor: i64) -> Result<(), TestCaseError> {
    match &response.body {
        Body::Refused(_) => prop_assert!(false, "nothing is refused here"),
        Body::Created => watcher.created = true,
        Body::Canceled => {
            prop_assert!(watcher.ended);
        }
        Body::Compacted(at) => {
            prop_assert!(!watcher.compacted && response.revision == 0 && *at <= floor);
            prop_assert!(watcher.start.max(watcher.heard_through + 1) < *at, "compacted without need");
            watcher.compacted = true;
        }
        Body::Progress => {
            prop_assert!(watcher.options.progress && !watcher.compacted && watcher.start <= response.revision + 1);
            prop_assert_eq!(watcher.missing(told, response.revision).next(), None, "progress overtook");
            watcher.heard_through = watcher.heard_through.max(response.revision);
        }
        Body::Events { events, .. } => {
            prop_assert!(!watcher.compacted, "events after the end");
            let events: Vec<Event> =
                events.as_slice().iter().map(|event| Event::decode(&event[..]).expect("an event")).collect();
            let last = events.last().and_then(|event| event.kv.as_ref()).expect("an event with a key").mod_revision;
            prop_assert!(last <= response.revision);
            let expected: Vec<&Told> = watcher.missing(told, last).collect();
            // The same length and the same order: nothing twice, nothing left out, and revisions whole.
            prop_assert_eq!(events.len(), expected.len());
            for (event, told) in events.iter().zip(expected) {
                check_event(event, told, watcher.options, floor)?;
            }
            watcher.heard_through = last;
        }
    }
    Ok(())
}

fn check_event(event: &Event, told: &Told, options: Options, floor: i64) -> Result<(), TestCaseError> {
    let kv = event.kv.as_ref().map(|kv| Bytes::from(kv.encode_to_vec()));
    prop_assert_eq!((kv, event.r#type() == EventType::Delete), (Some(told.kv.clone()), told.delete));
    let previous = event.prev_kv.as_ref().map(|kv| Bytes::from(kv.encode_to_vec()));
    let may_lack = told.main <= floor;
    if !options.previous {
        prop_assert_eq!(previous, None);
    } else if previous.is_some() || !may_lack {
        prop_assert_eq!(&previous, &told.previous);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn every_watcher_hears_what_the_list_says(
        acts in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..400),
        // Room for nothing, for a handful of changes, for all of them.
        recent_bytes_max in prop::sample::select(vec![0, 3_000, 1 << 20]),
    ) {
        let mut play = Play::new(recent_bytes_max);
        for act in acts {
            play.act(act)?;
        }
        play.settle()?;
        play.check_end()?;
    }
}
