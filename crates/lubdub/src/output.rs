//! Standard output, for commands whose output is their result, and standard error for the rest.
//!
//! A command that prints its result waits for whoever reads it, as programs in a pipe do; nothing
//! else waits meanwhile. While the proxy runs, nothing is written here: the log has a queue.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long a complaint waits for its reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether anybody reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Reads,
    HasGone,
}

/// Prints `text`. A reader that went away early (`lubdub config defaults | head`) is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_on(text).map(|_| ())
}

/// Prints `text`, behind which more is to come if anybody reads on.
pub(crate) fn print_on(text: &str) -> io::Result<Reader> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::HasGone),
        Err(error) => Err(error),
    }
}

/// Says what is wrong. Nobody is left to tell if this fails, and who does not read standard error
/// must neither keep the program from its start nor from its end.
pub(crate) fn complain(what: impl Display) {
    let text = format!("lubdub: {what}\n");
    let (done, written) = channel();
    let write = move || {
        let _ = io::stderr().write_all(text.as_bytes());
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = written.recv_timeout(PATIENCE);
    }
}
