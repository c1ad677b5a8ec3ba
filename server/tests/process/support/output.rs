//! What a process prints, line by line, as it comes.

use parking_lot::{Condvar, Mutex};
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lines of one or more streams in the order they were read. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// Streams that have not ended.
    open: usize,
}

impl Output {
    /// Reads a stream on a thread of its own until it ends. Bytes that are not UTF-8 become replacement characters.
    pub(crate) fn collect(&self, stream: impl Read + Send + 'static) {
        self.0.state.lock().open += 1;
        let output = self.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            // A read error is the end of the stream: the process is gone.
            while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
                output.0.state.lock().lines.push(text);
                output.0.changed.notify_all();
                line.clear();
            }
            output.0.state.lock().open -= 1;
            output.0.changed.notify_all();
        });
    }

    /// Everything so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.state.lock().lines.clone()
    }

    /// Everything so far, as text.
    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Waits until `done` holds for the lines so far or all streams have ended; says whether it holds.
    pub(crate) fn wait(&self, within: Duration, mut done: impl FnMut(&[String]) -> bool) -> bool {
        let end = Instant::now() + within;
        let mut state = self.0.state.lock();
        loop {
            if done(&state.lines) {
                return true;
            }
            if state.open == 0 || self.0.changed.wait_until(&mut state, end).timed_out() {
                return done(&state.lines);
            }
        }
    }

    /// Waits until all streams have ended.
    pub(crate) fn wait_closed(&self, within: Duration) {
        let end = Instant::now() + within;
        let mut state = self.0.state.lock();
        while state.open > 0 && !self.0.changed.wait_until(&mut state, end).timed_out() {}
    }
}
