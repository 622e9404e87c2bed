//! Lines on their way to a reader who may have stopped reading.
//!
//! A thread of its own writes them; whoever has a line puts it into a bounded queue and goes on,
//! whatever the reader does. What does not fit is left out and counted, and a line in its place says
//! how many are missing as soon as there is room. It is used for the log (standard error) and for
//! what `lubdub demo` tells (standard output).

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lubdub_metrics::Counter;
use tokio::time::Instant;

/// Where lines are put. A clone leads to the same reader.
#[derive(Clone)]
pub(crate) struct LineQueue(Arc<Shared>);

/// What the writing thread needs besides.
pub(crate) struct Reader {
    /// The name of the thread.
    pub(crate) thread: &'static str,
    /// Where the lines go.
    pub(crate) writer: Box<dyn Write + Send>,
    /// The line that says how many are missing.
    pub(crate) notice: Box<dyn Fn(u64) -> String + Send>,
    /// Told of each error of the writer's.
    pub(crate) on_error: Box<dyn FnMut(io::Error) + Send>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything has been written.
    emptied: Condvar,
    /// Grows with what the reader takes.
    taken: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    lines: Vec<u8>,
    /// So many lines did not fit behind `lines`. Nothing is put there while there are any, so that
    /// the gap is where the notice says.
    missing: u64,
    /// So many lines never reached the reader.
    lost: u64,
    /// Counts them too, once it is known.
    counter: Option<Counter>,
    /// The thread has taken lines and is not done with them.
    writing: bool,
}

/// How far a batch came.
struct Torn {
    error: io::Error,
    /// So many bytes of it were written.
    written: usize,
}

/// What waits at a time: some six thousand pairs' ends. As much again may be with the thread.
const ROOM: usize = 4 << 20;
/// A buffer that grew beyond this in a storm is given back after it.
const KEPT: usize = 64 << 10;
/// As much is written at a time.
const PIECE: usize = 64 << 10;
/// Lines that come so soon behind others wait for as long, and are written together: the thread would have to be woken
/// for each of them. Who logs now and then is read at once.
const GATHER: Duration = Duration::from_millis(5);
/// Before a writer that cannot take anything just now (`EAGAIN`) is asked again.
const PAUSE: Duration = Duration::from_millis(20);

// === impl LineQueue ===

impl LineQueue {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there can be no further thread.
    pub(crate) fn start(reader: Reader) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            taken: AtomicU64::new(0),
        });
        let queue = Self(Arc::clone(&shared));
        thread::Builder::new()
            .name(reader.thread.to_owned())
            .spawn(move || shared.write_all(reader))?;
        Ok(queue)
    }

    /// Puts in a line, or whole lines, with their ends. Never waits for the reader.
    pub(crate) fn put(&self, line: &str) {
        let mut state = self.0.lock();
        if state.missing > 0 || state.lines.len() + line.len() > ROOM {
            state.missing += 1;
            state.lose(1);
        } else {
            state.lines.extend_from_slice(line.as_bytes());
        }
        if !state.writing {
            self.0.filled.notify_one();
        }
    }

    /// Counts lost lines with `counter` too, those before included.
    pub(crate) fn count_losses(&self, counter: Counter) {
        let mut state = self.0.lock();
        counter.increment(state.lost);
        state.counter = Some(counter);
    }

    /// Waits until everything is written, but no longer than `patience`: nobody may ever read it.
    /// While the reader takes something it goes on, ten times as long at the most.
    pub(crate) fn flush(&self, patience: Duration) {
        let mut state = self.0.lock();
        for _ in 0..10 {
            let taken = self.0.taken.load(Relaxed);
            let waited = self
                .0
                .emptied
                .wait_timeout_while(state, patience, |state| !state.is_empty());
            let (again, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            // What is left when the time is over is lost.
            if !waited.timed_out() || self.0.taken.load(Relaxed) == taken {
                return;
            }
            state = again;
        }
    }
}

impl fmt::Debug for LineQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineQueue").finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn write_all(&self, mut reader: Reader) {
        let mut batch = Vec::new();
        // What the reader has still to be told of, because writing failed: the end of a line that
        // was torn, and how many lines are missing.
        let mut torn = false;
        let mut untold = 0;
        let mut written_at = None;
        loop {
            let missing = self.take(&mut batch, written_at);
            let mut head = String::new();
            if torn {
                head.push('\n');
            }
            if untold > 0 {
                head += &(reader.notice)(untold);
            }
            batch.splice(0..0, head.bytes());
            let tail = batch.len();
            if missing > 0 {
                batch.extend_from_slice((reader.notice)(missing).as_bytes());
            }
            match self.deliver(&mut *reader.writer, &batch) {
                Ok(()) => (torn, untold) = (false, 0),
                Err(Torn { error, written }) => {
                    let lost = lines(&batch[written.clamp(head.len(), tail)..tail]);
                    self.lock().lose(lost);
                    if written >= head.len() {
                        untold = 0;
                    }
                    untold += missing + lost;
                    torn = (batch[..written].last()).map_or(torn, |last| *last != b'\n');
                    (reader.on_error)(error);
                }
            }
            written_at = Some(Instant::now());
            batch.clear();
            batch.shrink_to(KEPT);
        }
    }

    /// Writes it all, in pieces, so that it can be seen whether the reader takes anything.
    fn deliver(&self, writer: &mut dyn Write, bytes: &[u8]) -> Result<(), Torn> {
        let mut written = 0;
        while written < bytes.len() {
            let piece = &bytes[written..bytes.len().min(written + PIECE)];
            match writer.write(piece) {
                Ok(0) => {
                    let error = ErrorKind::WriteZero.into();
                    return Err(Torn { error, written });
                }
                Ok(more) => {
                    written += more;
                    self.taken.fetch_add(1, Relaxed);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares the other end has made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(PAUSE),
                Err(error) => return Err(Torn { error, written }),
            }
        }
        writer.flush().map_err(|error| Torn { error, written })
    }

    /// Waits for lines and takes them, and how many are missing behind them. `written_at` is when there were some
    /// last.
    fn take(&self, batch: &mut Vec<u8>, written_at: Option<Instant>) -> u64 {
        let mut state = self.lock();
        state.writing = false;
        if state.is_empty() {
            self.emptied.notify_all();
        }
        let mut state = self
            .filled
            .wait_while(state, |state| state.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        if written_at.is_some_and(|at| at.elapsed() < GATHER) {
            drop(state);
            thread::park_timeout(GATHER);
            state = self.lock();
        }
        std::mem::swap(&mut state.lines, batch);
        std::mem::take(&mut state.missing)
    }
}

// === impl State ===

impl State {
    fn lose(&mut self, lines: u64) {
        self.lost += lines;
        if let Some(counter) = &self.counter {
            counter.increment(lines);
        }
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.missing == 0 && !self.writing
    }
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests;
