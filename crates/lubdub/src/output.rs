//! Standard output, for commands whose output is their result, and standard error for the rest.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Prints `text`. A reader that went away early (`lubdub config defaults | head`) is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Says what is wrong. Nobody is left to tell if this fails.
pub(crate) fn complain(what: impl Display) {
    let _ = writeln!(io::stderr(), "lubdub: {what}");
}
