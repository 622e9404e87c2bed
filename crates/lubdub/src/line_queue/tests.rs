//! Readers of lines that are slow, gone or full, told when to take what.

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
    for _ in 0..3 {
        queue.put(&line);
    }
    queue.put(&line.repeat(2));
    for _ in 0..4 {
        // There is room for it, but it would stand where another one is missing.
        queue.put("behind the gap\n");
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
    assert_eq!(read.lines().count(), 3 + short.len());
    assert_eq!(queue.0.lock().lost, 5);
}

#[test]
fn lines_that_are_lost_before_there_is_a_counter_are_counted_as_well() {
    let (queue, _pace) = queue();
    let counted = Arc::<AtomicU64>::default();
    let too_much = "x".repeat(ROOM + 1);
    queue.put(&too_much);
    queue.count_losses(Counter::from_arc(Arc::clone(&counted)));
    assert_eq!(counted.load(Relaxed), 1);
    queue.put(&too_much);
    assert_eq!(counted.load(Relaxed), 2);
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
    for line in ["five\n", "six\n"] {
        queue.put(line);
        pace.tell(ALL);
        queue.flush(PATIENCE);
    }
    assert_eq!(pace.read(), "one\ntw\n3 missing\nfive\nsix\n");
    assert_eq!(queue.0.lock().lost, 3);
}

#[test]
fn a_notice_that_was_not_written_is_told_later_with_what_was_lost_beside_it() {
    let (queue, pace) = queue();
    queue.put("one\n");
    pace.asked();
    queue.put("two\n");
    for _ in 0..2 {
        queue.put(&"x".repeat(ROOM));
    }
    pace.tell(ALL);
    pace.asked();
    // Neither "two" nor the notice behind it.
    pace.tell(Err(ErrorKind::StorageFull));
    queue.flush(PATIENCE);
    queue.put("three\n");
    pace.tell(ALL);
    queue.flush(PATIENCE);
    assert_eq!(pace.read(), "one\n3 missing\nthree\n");
}

#[test]
fn a_notice_that_was_written_is_not_told_again() {
    let (queue, pace) = queue();
    queue.put("one\n");
    pace.tell(Err(ErrorKind::StorageFull));
    queue.flush(PATIENCE);
    queue.put("two\n");
    pace.tell(Ok("1 missing\n".len()));
    pace.tell(Err(ErrorKind::StorageFull));
    queue.flush(PATIENCE);
    queue.put("three\n");
    pace.tell(ALL);
    queue.flush(PATIENCE);
    assert_eq!(pace.read(), "1 missing\n1 missing\nthree\n");
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
