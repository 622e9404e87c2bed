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
        loop {
            let missing = self.take(&mut batch);
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

    /// Waits for lines and takes them, and how many are missing behind them.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        state.writing = false;
        if state.is_empty() {
            self.emptied.notify_all();
        }
        let mut state = self
            .filled
            .wait_while(state, |state| state.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.lines, batch);
        state.writing = true;
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
mod tests {
    use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

    use super::*;

    /// A reader that takes one write at a time, when it is told to and as it is told to.
    struct Paced {
        asked: SyncSender<()>,
        told: Receiver<Result<usize, ErrorKind>>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    /// The other end of it.
    struct Pace {
        asked: Receiver<()>,
        tell: Sender<Result<usize, ErrorKind>>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Paced {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.asked.send(());
            // Who is told nothing any more waits for ever, like a pipe that nobody reads.
            let Ok(told) = self.told.recv() else {
                loop {
                    thread::park();
                }
            };
            let len = told.map_err(io::Error::from)?.min(bytes.len());
            self.read.lock().unwrap().extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Pace {
        /// Waits until a write is under way.
        fn asked(&self) {
            self.asked.recv().unwrap();
        }

        fn tell(&self, what: Result<usize, ErrorKind>) {
            self.tell.send(what).unwrap();
        }

        fn read(&self) -> String {
            String::from_utf8(self.read.lock().unwrap().clone()).unwrap()
        }
    }

    const ALL: Result<usize, ErrorKind> = Ok(usize::MAX);
    /// Longer than anything in here takes.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn queue() -> (LineQueue, Pace) {
        let (ask, asked) = sync_channel(1000);
        let (tell, told) = channel();
        let read = Arc::default();
        let writer = Paced {
            asked: ask,
            told,
            read: Arc::clone(&read),
        };
        let queue = LineQueue::start(Reader {
            thread: "lines",
            writer: Box::new(writer),
            notice: Box::new(|missing| format!("{missing} missing\n")),
            on_error: Box::new(|_| {}),
        });
        (queue.unwrap(), Pace { asked, tell, read })
    }

    #[test]
    fn lines_come_in_order() {
        let (queue, pace) = queue();
        for _ in 0..3 {
            pace.tell(ALL);
        }
        queue.put("one\n");
        queue.flush(PATIENCE);
        queue.put("two\n");
        queue.flush(PATIENCE);
        assert_eq!(pace.read(), "one\ntwo\n");
    }

    #[test]
    fn a_reader_that_reads_no_more_keeps_nobody_waiting_and_hears_how_many_lines_are_missing() {
        let (queue, pace) = queue();
        queue.put("first\n");
        pace.asked();
        // Nobody reads now.
        let line = "x".repeat(ROOM / 4 - 1) + "\n";
        for _ in 0..4 {
            queue.put(&line);
        }
        for _ in 0..5 {
            queue.put("too much\n");
        }
        queue.flush(Duration::from_millis(10));
        assert_eq!(pace.read(), "");

        pace.tell(ALL);
        pace.asked();
        // There is room again, though the notice is still on its way.
        queue.put("next\n");
        for _ in 0..ROOM / PIECE + 2 {
            pace.tell(ALL);
        }
        queue.flush(PATIENCE);
        let read = pace.read();
        let short: Vec<_> = read.lines().filter(|line| line.len() < 100).collect();
        assert_eq!(short, ["first", "5 missing", "next"]);
        assert_eq!(read.lines().count(), 4 + short.len());
    }

    #[test]
    fn a_slow_reader_is_waited_for_while_it_reads_and_no_longer() {
        const PIECES: usize = 20;
        let (queue, pace) = queue();
        let line = "x".repeat(PIECE - 1) + "\n";
        for _ in 0..PIECES {
            queue.put(&line);
        }
        thread::scope(|scope| {
            let tell = pace.tell.clone();
            scope.spawn(move || {
                for _ in 0..PIECES - 2 {
                    tell.send(ALL).unwrap();
                    thread::park_timeout(Duration::from_millis(20));
                }
            });
            queue.flush(Duration::from_millis(500));
        });
        // Nobody tells of the last two.
        assert_eq!(pace.read().lines().count(), PIECES - 2);
    }

    #[test]
    fn lines_that_a_full_disk_did_not_take_are_counted_and_told_of_later() {
        let (queue, pace) = queue();
        queue.put("one\n");
        pace.asked();
        queue.put("two\nthree\n");
        pace.tell(ALL);
        pace.asked();
        // Of "two" a part is written.
        pace.tell(Ok(2));
        pace.asked();
        pace.tell(Err(ErrorKind::StorageFull));
        queue.flush(PATIENCE);
        // Still full.
        queue.put("four\n");
        pace.asked();
        pace.tell(Err(ErrorKind::StorageFull));
        queue.flush(PATIENCE);
        queue.put("five\n");
        pace.tell(ALL);
        queue.flush(PATIENCE);
        assert_eq!(pace.read(), "one\ntw\n3 missing\nfive\n");
        assert_eq!(queue.0.lock().lost, 3);
    }

    #[test]
    fn a_writer_that_was_made_non_blocking_loses_nothing() {
        let (queue, pace) = queue();
        pace.tell(Ok(1));
        for _ in 0..3 {
            pace.tell(Err(ErrorKind::WouldBlock));
        }
        pace.tell(ALL);
        queue.put("one\n");
        queue.flush(PATIENCE);
        assert_eq!(pace.read(), "one\n");
    }
}
