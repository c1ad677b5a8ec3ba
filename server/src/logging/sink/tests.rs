//! The queue under a healthy output, a stuck one and a failing one.

use super::*;
use std::sync::Mutex;
use std::sync::mpsc::channel;

/// An output that keeps what it is given.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no writer panics").clone()).expect("lines are text")
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output that says when it was reached and then waits to be let go.
struct Stuck {
    reached: SyncSender<()>,
    release: Receiver<()>,
    then: Memory,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.reached.try_send(());
        let _ = self.release.recv();
        self.then.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output whose disk is full.
struct Failing;

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_reach_every_output_in_order_and_a_failing_one_harms_no_other() {
    let memory = Memory::default();
    let (sink, guard) = LogSink::start(vec![Box::new(Failing), Box::new(memory.clone())]).expect("a writer");
    for number in 0..100 {
        sink.push(format!("{number}\n").into_bytes());
    }
    assert!(guard.flush());
    let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
    assert_eq!(memory.text(), expected);
}

#[test]
fn a_stuck_output_costs_lines_and_never_time_and_the_loss_is_told() {
    let memory = Memory::default();
    let (reached, was_reached) = sync_channel(1);
    let (release, released) = channel();
    let stuck = Stuck { reached, release: released, then: memory.clone() };
    let (sink, guard) = LogSink::start(vec![Box::new(stuck)]).expect("a writer");
    sink.push(b"first\n".to_vec());
    was_reached.recv().expect("the writer reaches the output");
    for _ in 0..QUEUE_LINES_MAX + 10 {
        sink.push(b"more\n".to_vec());
    }
    drop(release);
    assert!(guard.flush());
    let text = memory.text();
    assert!(text.contains("\"dropped-lines\":10}"), "{}", &text[text.len().saturating_sub(200)..]);
    assert_eq!(text.lines().filter(|line| *line == "more").count(), QUEUE_LINES_MAX);
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let memory = Memory::default();
    let (reached, was_reached) = sync_channel(1);
    let (release, released) = channel();
    let stuck = Stuck { reached, release: released, then: memory.clone() };
    let (sink, guard) = LogSink::start(vec![Box::new(stuck)]).expect("a writer");
    sink.push(b"first\n".to_vec());
    was_reached.recv().expect("the writer reaches the output");
    let megabyte = vec![b'x'; 1024 * 1024];
    for _ in 0..QUEUE_BYTES_MAX / megabyte.len() + 3 {
        sink.push(megabyte.clone());
    }
    drop(release);
    assert!(guard.flush());
    assert!(memory.text().contains("\"dropped-lines\":3}"));
}

#[test]
fn a_file_is_appended_to() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("member.log");
    for text in ["one\n", "two\n"] {
        let (sink, guard) = LogSink::open(&[LogOutput::File(path.clone())]).expect("a writable file");
        sink.push(text.as_bytes().to_vec());
        drop(guard);
    }
    assert_eq!(std::fs::read_to_string(&path).expect("the file was written"), "one\ntwo\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let error = LogSink::open(&[LogOutput::File(dir.path().join("none/member.log"))]).expect_err("no such directory");
    assert!(error.to_string().contains("none/member.log: "), "{error}");
}
