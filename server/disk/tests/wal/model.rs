//! The naive log: a vector, a vote, a marker. Every change is kept as a state of its own, so that a crash can be
//! judged: what is found must be one of the states between the last acknowledged one and the last one asked for.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_disk::file::SimDisk;
use quorate_disk::wal::{LogRecord, Recovered, Wal};

use crate::support::*;

/// What a caller may do.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// This many entries in one call, each with a payload of this length.
    Append(u64, usize),
    Vote,
    Committed,
    /// Drops this many entries from the end, or all there are.
    Truncate(u64),
    /// Purges up to this many entries before the end.
    PurgeTo(u64),
    /// Purges this far beyond the end.
    PurgeBeyond(u64),
    /// Lets the writer do one round.
    Step,
    /// Closes and opens again.
    Reopen,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    records: Vec<LogRecord>,
    next: u64,
    vote: Option<Bytes>,
    purged: Option<(u64, u64)>,
}

/// A log and what it should be.
pub(crate) struct Pair {
    disk: SimDisk,
    wal: Option<Wal>,
    answers: Answers,
    /// All states ever asked for; a call that adds three entries adds three.
    states: Vec<State>,
    committed: Vec<Bytes>,
    /// How many states and committed positions are acknowledged.
    durable: usize,
    committed_durable: usize,
    counter: u64,
}

impl Pair {
    pub(crate) fn new(disk: &SimDisk) -> Pair {
        Pair {
            disk: disk.clone(),
            wal: None,
            answers: Answers::default(),
            states: vec![State::default()],
            committed: Vec::new(),
            durable: 0,
            committed_durable: 0,
            counter: 0,
        }
    }

    /// Runs until the script ends or the disk fails; true if it ended.
    pub(crate) fn run(&mut self, script: &[Act]) -> bool {
        self.reopen() && script.iter().all(|act| self.act(act)) && self.settle()
    }

    fn act(&mut self, act: &Act) -> bool {
        let state = self.states.last().expect("there is always one").clone();
        match act {
            Act::Append(count, length) => self.append(&state, *count, *length),
            Act::Vote => {
                let vote = self.unique(8);
                self.states.push(State { vote: Some(vote.clone()), ..state });
                self.wal().save_vote(vote, self.done());
            }
            Act::Committed => {
                let committed = self.unique(8);
                self.committed.push(committed.clone());
                self.wal().save_committed(committed);
            }
            Act::Truncate(count) => {
                let keep = state.records.len().saturating_sub(*count as usize);
                let index = state.next - (state.records.len() - keep) as u64;
                let mut after = state;
                after.records.truncate(keep);
                after.next = index;
                self.states.push(after);
                self.wal().truncate_from(index, self.done());
            }
            Act::PurgeTo(keep) => {
                if let Some(index) = state.next.checked_sub(keep + 1) {
                    self.purge(state, index);
                }
            }
            Act::PurgeBeyond(gap) => {
                let index = state.next + gap;
                self.purge(state, index);
            }
            Act::Step => {
                let saved = self.committed.len();
                let worked = self.wal().step();
                if !self.hear() {
                    return false;
                }
                if worked {
                    self.committed_durable = saved;
                }
            }
            Act::Reopen => {
                if !self.settle() {
                    return false;
                }
                // Closing may fail on a cut disk without telling; the reopening then finds out.
                self.wal.take().expect("open").close();
                return self.reopen();
            }
        }
        self.reads_as_expected();
        true
    }

    fn append(&mut self, state: &State, count: u64, length: usize) {
        let mut after = state.clone();
        let mut batch = Vec::new();
        for _ in 0..count {
            let record = LogRecord { index: after.next, term: 1 + self.counter / 10, payload: self.unique(length) };
            batch.push(record.clone());
            after.records.push(record);
            after.next += 1;
            self.states.push(after.clone());
        }
        self.wal().append(batch, self.done()).expect("appendable");
    }

    fn purge(&mut self, state: State, index: u64) {
        let mut after = state;
        if after.purged.is_none_or(|(purged, _)| purged < index) {
            after.records.retain(|record| record.index > index);
            after.next = after.next.max(index + 1);
            after.purged = Some((index, self.counter));
        }
        self.states.push(after);
        self.wal().purge_through(index, self.counter, self.done());
    }

    fn unique(&mut self, length: usize) -> Bytes {
        self.counter += 1;
        let mut text = format!("{}.", self.counter).into_bytes();
        text.resize(text.len().max(length), b'.');
        text.into()
    }

    fn wal(&self) -> &Wal {
        self.wal.as_ref().expect("open")
    }

    fn done(&self) -> quorate_disk::wal::Done {
        self.answers.done(self.states.len() as u64 - 1)
    }

    /// Listens to the callbacks; false if one said that the log stopped.
    fn hear(&mut self) -> bool {
        for (state, result) in self.answers.take() {
            match result {
                Ok(()) => {
                    assert!(state as usize >= self.durable, "answered out of order");
                    self.durable = state as usize;
                }
                Err(_) => return false,
            }
        }
        true
    }

    fn settle(&mut self) -> bool {
        let saved = self.committed.len();
        while self.wal().step() {
            if !self.hear() {
                return false;
            }
            self.committed_durable = saved;
        }
        self.hear()
    }

    fn reads_as_expected(&self) {
        let expected = &self.states.last().expect("there is always one").records;
        assert_eq!(read_all(self.wal()), *expected);
    }

    /// Opens the log after a clean close; false if the disk failed.
    fn reopen(&mut self) -> bool {
        match try_open(&self.disk) {
            Ok((wal, recovered)) => {
                self.wal = Some(wal);
                let found = self.found(&recovered);
                assert_eq!(self.states.last(), Some(&found));
                assert_eq!(recovered.committed.as_ref(), self.committed.last());
                self.durable = self.states.len() - 1;
                self.committed_durable = self.committed.len();
                true
            }
            Err(error) => {
                assert!(error.to_string().contains("the simulated power is off"), "{error}");
                false
            }
        }
    }

    fn found(&self, recovered: &Recovered) -> State {
        let records = read_all(self.wal());
        let last = records.last().map(|record| (record.index, record.term));
        assert_eq!(recovered.last, last);
        if let Some(first) = records.first() {
            assert_eq!(first.index, recovered.first_index);
        }
        State {
            next: recovered.first_index + records.len() as u64,
            records,
            vote: recovered.vote.clone(),
            purged: recovered.purged,
        }
    }

    /// The same log on a copy of its disk, as if only now were known.
    pub(crate) fn fork(&self) -> Pair {
        Pair {
            disk: self.disk.fork(),
            wal: None,
            answers: Answers::default(),
            states: self.states.clone(),
            committed: self.committed.clone(),
            ..*self
        }
    }

    pub(crate) fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// After a crash: opens, and fails the test unless what is found is a state that may be found.
    pub(crate) fn recover(&mut self) {
        let (wal, recovered) = open(&self.disk);
        self.wal = Some(wal);
        let found = self.found(&recovered);
        let allowed = &self.states[self.durable..];
        assert!(
            allowed.contains(&found),
            "acknowledged: {:?}\nasked for: {:?}\nfound: {found:?}",
            allowed.first(),
            allowed.last(),
        );
        match &recovered.committed {
            None => assert_eq!(self.committed_durable, 0, "a committed position was lost"),
            Some(committed) => {
                let at = self.committed.iter().position(|saved| saved == committed);
                let at = at.expect("a committed position that was never saved");
                assert!(at + 1 >= self.committed_durable, "an older committed position");
                self.committed.truncate(at + 1);
            }
        }
        if recovered.committed.is_none() {
            self.committed.clear();
        }
        self.states.push(found);
        self.durable = self.states.len() - 1;
        self.committed_durable = self.committed.len();
    }

    /// After a recovery: the log lives on as if nothing had happened.
    pub(crate) fn live_on(&mut self) {
        let script = [
            Act::Append(2, 300),
            Act::Vote,
            Act::Step,
            Act::Reopen,
            Act::Append(30, 200),
            Act::PurgeTo(3),
            Act::Committed,
            Act::Reopen,
        ];
        assert!(script.iter().all(|act| self.act(act)), "the disk is whole again");
    }
}

pub(crate) fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..6u64, 0..300usize).prop_map(|(count, length)| Act::Append(count, length)),
        1 => (1..3u64, 1000..6000usize).prop_map(|(count, length)| Act::Append(count, length)),
        1 => Just(Act::Vote),
        1 => Just(Act::Committed),
        2 => (0..12u64).prop_map(Act::Truncate),
        2 => (0..40u64).prop_map(Act::PurgeTo),
        1 => (0..5u64).prop_map(Act::PurgeBeyond),
        6 => Just(Act::Step),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_sequence_of_calls_reads_like_a_vector(script in proptest::collection::vec(acts(), 1..80)) {
        let mut pair = Pair::new(&SimDisk::new());
        prop_assert!(pair.run(&script));
        prop_assert!(pair.act(&Act::Reopen));
    }

    #[test]
    fn any_sequence_survives_two_crashes_anywhere(
        script in proptest::collection::vec(acts(), 1..60),
        first: proptest::sample::Index, second in 0..40u64, seed: u64,
    ) {
        let whole = SimDisk::new();
        Pair::new(&whole).run(&script);
        let disk = SimDisk::new();
        disk.cut_power_at(first.index(whole.operations() as usize + 1) as u64);
        let mut pair = Pair::new(&disk);
        pair.run(&script);
        disk.crash(seed);
        disk.cut_power_at(disk.operations() + second);
        try_open(&disk).ok();
        disk.crash(seed + 1);
        pair.recover();
        pair.live_on();
    }
}
