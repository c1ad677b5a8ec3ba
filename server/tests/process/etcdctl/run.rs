//! Runs a script against servers.
//!
//! A line is an etcdctl command with its arguments, or one of these:
//!
//! ```text
//!   start FLAGS              start the server with these flags (without it, it starts by itself and without flags)
//!   restart FLAGS            end it with SIGTERM and start it on the same directory
//!   second server            start another server; `<second>` is its endpoint
//!   on second: COMMAND       ask that one
//!   eventually: COMMAND      ask until the answer is the expected one
//!   w1: COMMAND              start etcdctl and leave it running under this name
//!   w1 prints                what it printed since it was last asked; waits until the block has what is expected
//!   w1 hears TEXT            write a line to its standard input
//!   w1 ends                  wait until it ends; prints the rest and its exit code
//!   w1 is interrupted        send SIGINT (Ctrl-C), then as `ends`
//!   w1 is killed             send SIGKILL; prints nothing
//!   wait for METRIC VALUE    wait until /metrics has this line
//!   fill PREFIX BYTES        put values of so many bytes under new keys until one is refused; prints the refusal
//! ```
//!
//! `<endpoint>` is the first server's endpoint.

use super::pattern::{Names, fill, matches};
use super::script::{Block, Step};
use crate::support::PATIENCE;
use crate::support::http;
use crate::support::launch::Launch;
use crate::support::server::Server;
use crate::support::tool::{self, Session};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::time::Instant;

/// Puts that `fill` tries at most.
const FILLS_MAX: u32 = 1_000;

/// A script in progress.
#[derive(Debug, Default)]
pub(crate) struct Run {
    server: Option<Server>,
    second: Option<Server>,
    sessions: BTreeMap<String, (Session, usize)>,
    names: Names,
}

/// What a block is to print, and what its commands have printed already.
struct Expected<'a> {
    whole: &'a [String],
    so_far: Vec<String>,
}

impl Expected<'_> {
    /// Whether the block is complete with these lines.
    fn fits(&self, lines: &[String], names: &mut Names) -> bool {
        let printed = [&self.so_far, lines].concat();
        matches(self.whole, without_edges(&printed), names)
    }
}

impl Run {
    /// Runs a block and returns what it printed, and whether that is what is expected.
    pub(crate) fn block(&mut self, block: &Block) -> (Vec<String>, bool) {
        let mut printed = Vec::new();
        for step in &block.steps {
            let filled = Step {
                line: step.line.clone(),
                words: step.words.iter().map(|word| fill(word, &self.names)).collect(),
                input: fill(&step.input, &self.names),
            };
            let expected = Expected { whole: &block.expected, so_far: printed.clone() };
            printed.extend(self.step(&filled, &expected));
        }
        let printed = without_edges(&printed).to_vec();
        let fits = matches(&block.expected, &printed, &mut self.names);
        (printed, fits)
    }

    fn step(&mut self, step: &Step, expected: &Expected<'_>) -> Vec<String> {
        let words: Vec<&str> = step.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["start", flags @ ..] => {
                assert!(self.server.is_none(), "the server runs already: {}", step.line);
                self.started(Launch::fresh().flags(flags.iter().copied()).start());
                Vec::new()
            }
            ["restart", flags @ ..] => {
                self.endpoint();
                let mut server = self.server.take().expect("started above");
                server.terminate();
                self.started(server.restart_with(flags));
                Vec::new()
            }
            ["second", "server"] => {
                let server = Launch::fresh().start();
                self.names.insert("second".to_owned(), server.endpoint());
                self.second = Some(server);
                Vec::new()
            }
            ["wait", "for", metric, value] => {
                let endpoint = self.endpoint();
                let line = format!("{metric} {value}");
                http::wait_until(&endpoint, "/metrics", |body| body.lines().any(|found| found == line));
                Vec::new()
            }
            ["fill", prefix, bytes] => {
                let endpoint = self.endpoint();
                let value = "x".repeat(bytes.parse().expect("a number of bytes"));
                (0..FILLS_MAX)
                    .map(|number| ask(&endpoint, &["put", &format!("{prefix}{number}")], &value))
                    .find(|printed| printed != &["OK"])
                    .expect("the store fills up")
            }
            ["on", "second:", rest @ ..] => {
                let second = self.second.as_ref().expect("`second server` comes first").endpoint();
                ask(&second, rest, &step.input)
            }
            ["eventually:", "on", "second:", rest @ ..] => {
                let second = self.second.as_ref().expect("`second server` comes first").endpoint();
                self.ask_until(&second, rest, step, expected)
            }
            ["eventually:", rest @ ..] => {
                let endpoint = self.endpoint();
                self.ask_until(&endpoint, rest, step, expected)
            }
            [name, rest @ ..] if name.ends_with(':') => {
                let endpoint = self.endpoint();
                let mut session = Session::start(&endpoint, rest);
                session.say(&step.input);
                self.sessions.insert(name.trim_end_matches(':').to_owned(), (session, 0));
                Vec::new()
            }
            [name, rest @ ..] if self.sessions.contains_key(*name) => self.session(name, rest, step, expected),
            _ => {
                let endpoint = self.endpoint();
                ask(&endpoint, &words, &step.input)
            }
        }
    }

    fn session(&mut self, name: &str, order: &[&str], step: &Step, expected: &Expected<'_>) -> Vec<String> {
        let (mut session, seen) = self.sessions.remove(name).expect("looked up by the caller");
        let rest = |session: &Session| session.stdout.lines().split_off(seen);
        match order {
            ["prints"] => {
                let mut names = self.names.clone();
                session.stdout.wait(PATIENCE, |lines| expected.fits(&lines[seen..], &mut names));
                let printed = rest(&session);
                self.sessions.insert(name.to_owned(), (session, seen + printed.len()));
                without_edges(&printed).to_vec()
            }
            ["hears", words @ ..] => {
                session.say(&format!("{}\n", words.join(" ")));
                self.sessions.insert(name.to_owned(), (session, seen));
                Vec::new()
            }
            ["ends"] | ["is", "interrupted"] => {
                if order.len() == 2 {
                    session.process.signal(Signal::INT);
                }
                session.close_input();
                let code = session.process.wait();
                let printed = rest(&session);
                let complaints = session.complaints();
                marked(printed, complaints, code)
            }
            ["is", "killed"] => {
                session.process.kill();
                Vec::new()
            }
            _ => panic!("no such order: {}", step.line),
        }
    }

    fn ask_until(&mut self, endpoint: &str, words: &[&str], step: &Step, expected: &Expected<'_>) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let printed = ask(endpoint, words, &step.input);
            if expected.fits(&printed, &mut self.names.clone()) || Instant::now() > end {
                return printed;
            }
        }
    }

    /// The first server's endpoint; starts it if it does not run yet.
    fn endpoint(&mut self) -> String {
        if self.server.is_none() {
            self.started(Launch::fresh().start());
        }
        self.server.as_ref().expect("started above").endpoint()
    }

    fn started(&mut self, server: Server) {
        self.names.insert("endpoint".to_owned(), server.endpoint());
        self.server = Some(server);
    }
}

/// Without blank lines at either end: a script cannot show them, and between two looks at a running command they fall to
/// one or the other.
fn without_edges(lines: &[String]) -> &[String] {
    let Some(first) = lines.iter().position(|line| !line.is_empty()) else {
        return &[];
    };
    let last = lines.iter().rposition(|line| !line.is_empty()).unwrap_or(first);
    &lines[first..=last]
}

fn ask(endpoint: &str, words: &[&str], input: &str) -> Vec<String> {
    let answer = tool::etcdctl(endpoint, words, input);
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    marked(lines(&answer.stdout), lines(&answer.stderr), answer.code)
}

fn marked(mut printed: Vec<String>, complaints: Vec<String>, code: i32) -> Vec<String> {
    printed.extend(complaints.into_iter().map(|line| format!("! {line}")));
    if code != 0 {
        printed.push(format!("! exit {code}"));
    }
    printed
}
