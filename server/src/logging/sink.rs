//! The queue between those who log and the outputs, and the thread that writes.
//!
//! The rule: logging never waits. The queue is bounded by lines and by bytes; a line that finds it full is dropped and
//! counted, and the count is written as soon as there is room. Whoever ends the process waits for the queue once, for a
//! bounded time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::json;
use time::OffsetDateTime;

use super::LogError;
use super::config::{LogFormat, LogLevel, LogOutput};
use super::fields::Fields;
use super::line::{self, Head};

/// Lines that may wait. At 200 bytes a line this is 1.6 MiB, some seconds of a busy member at level debug.
const QUEUE_LINES_MAX: usize = 8192;
/// Bytes that may wait, for lines that are long.
const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long the end of the process waits for the last lines.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);

/// How often a full queue is asked for room at the end; the standard channel cannot wait with a limit.
const FLUSH_RETRY: Duration = Duration::from_millis(1);

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

#[derive(Debug, Default)]
struct Load {
    queued_bytes: AtomicUsize,
    dropped_lines: AtomicU64,
}

/// Takes lines; never waits.
#[derive(Debug, Clone)]
pub struct LogSink {
    queue: SyncSender<Message>,
    load: Arc<Load>,
}

/// Keeps the outputs open. Dropping it writes what is queued, waiting two seconds at most.
#[derive(Debug)]
pub struct LogGuard {
    queue: SyncSender<Message>,
}

impl LogSink {
    /// Opens the outputs and starts the thread that writes to them. Files are created if they do not exist and are
    /// appended to.
    pub fn open(outputs: &[LogOutput]) -> Result<(Self, LogGuard), LogError> {
        let outputs = outputs.iter().map(open_output).collect::<Result<Vec<_>, _>>()?;
        Self::start(outputs)
    }

    fn start(outputs: Vec<Box<dyn Write + Send>>) -> Result<(Self, LogGuard), LogError> {
        let (queue, messages) = sync_channel(QUEUE_LINES_MAX);
        let load = Arc::new(Load::default());
        let writer = Writer { outputs, load: Arc::clone(&load) };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run(&messages))
            .map_err(LogError::Thread)?;
        Ok((Self { queue: queue.clone(), load }, LogGuard { queue }))
    }

    /// Queues a line, or drops it when the queue is full.
    pub(super) fn push(&self, line: Vec<u8>) {
        let bytes = line.len();
        let queued = self.load.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if queued + bytes > QUEUE_BYTES_MAX || self.queue.try_send(Message::Line(line)).is_err() {
            self.load.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.load.dropped_lines.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl LogGuard {
    /// Waits until everything logged so far is written, two seconds at most. Returns whether it was.
    pub fn flush(&self) -> bool {
        let deadline = Instant::now() + FLUSH_TIME_MAX;
        let (done, wait) = sync_channel(1);
        let mut request = Message::Flush(done);
        loop {
            match self.queue.try_send(request) {
                Ok(()) => break,
                Err(TrySendError::Full(returned)) if Instant::now() < deadline => {
                    request = returned;
                    std::thread::sleep(FLUSH_RETRY);
                }
                Err(_) => return false,
            }
        }
        wait.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.flush();
    }
}

struct Writer {
    outputs: Vec<Box<dyn Write + Send>>,
    load: Arc<Load>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Line(line) => {
                    self.load.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                    self.write(&line);
                }
                Message::Flush(done) => {
                    self.report_dropped();
                    for output in &mut self.outputs {
                        // Nobody is left to be told that the log cannot be written.
                        let _ = output.flush();
                    }
                    // The one who asked may have stopped waiting.
                    let _ = done.send(());
                }
            }
            self.report_dropped();
        }
    }

    fn write(&mut self, line: &[u8]) {
        for output in &mut self.outputs {
            // An output that fails, a full disk above all, loses this line; the others still get it.
            let _ = output.write_all(line);
        }
    }

    fn report_dropped(&mut self) {
        let dropped = self.load.dropped_lines.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let head = Head { level: LogLevel::Warn, time: OffsetDateTime::now_utc(), file: None, line: None };
            let fields = Fields {
                message: "log lines were dropped because the log outputs are too slow".to_owned(),
                others: vec![("dropped-lines".to_owned(), json!(dropped))],
            };
            self.write(&line::write(LogFormat::Json, &head, &fields));
        }
    }
}

fn open_output(output: &LogOutput) -> Result<Box<dyn Write + Send>, LogError> {
    Ok(match output {
        LogOutput::Stderr | LogOutput::Journal => Box::new(io::stderr()),
        LogOutput::Stdout => Box::new(io::stdout()),
        LogOutput::File(path) => {
            let file: File = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|source| LogError::Open { path: path.display().to_string(), source })?;
            Box::new(file)
        }
    })
}

#[cfg(test)]
mod tests;
