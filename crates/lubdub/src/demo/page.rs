//! What the demo writes on: lines with a time and a speaker, in colour on a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::stage::{Person, Speaker};
use crate::line_queue::{LineQueue, Reader};

/// Where the demo is written. Nobody waits for its reader: the proxy's own workers write here.
pub(super) struct Page {
    lines: LineQueue,
    /// The latest error of writing.
    torn: watch::Receiver<Option<io::ErrorKind>>,
    began: Instant,
    colour: Colour,
}

/// How long the end waits for the reader.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// As wide as a time and a speaker.
const INDENT: &str = "\n                   ";

/// Whether there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    On,
    Off,
}

impl Page {
    /// Standard output, in colour on a terminal unless `NO_COLOR` is set.
    ///
    /// # Errors
    /// If there can be no thread that writes.
    pub(super) fn stdout() -> io::Result<Self> {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = if io::stdout().is_terminal() && !plain {
            Colour::On
        } else {
            Colour::Off
        };
        Self::new(Box::new(io::stdout()), colour)
    }

    pub(super) fn new(writer: Box<dyn Write + Send>, colour: Colour) -> io::Result<Self> {
        let (tear, torn) = watch::channel(None);
        let lines = LineQueue::start(Reader {
            thread: "lubdub-page",
            writer,
            notice: Box::new(|missing| {
                format!("{missing} lines are missing here: nobody read them\n")
            }),
            on_error: Box::new(move |error| {
                let _ = tear.send(Some(error.kind()));
            }),
        })?;
        Ok(Self {
            lines,
            torn,
            began: Instant::now(),
            colour,
        })
    }

    /// Writes a line: when, who, what. A further line of `text` is put under the first.
    pub(super) fn line(&self, speaker: Speaker, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        let name = speaker.as_str();
        let text = text.replace('\n', INDENT);
        self.write(&match self.colour {
            Colour::On => {
                let code = colour(speaker);
                format!("\x1b[2m{seconds:6.1} s\x1b[0m  \x1b[{code}m{name:<7}\x1b[0m  {text}\n")
            }
            Colour::Off => format!("{seconds:6.1} s  {name:<7}  {text}\n"),
        });
    }

    /// Writes `text` as it is.
    pub(super) fn write(&self, text: &str) {
        self.lines.put(text);
    }

    /// Waits until writing has failed, and says why.
    pub(super) async fn torn(&self) -> io::Error {
        let mut torn = self.torn.clone();
        let kind = torn.wait_for(Option::is_some).await;
        let kind = kind.ok().and_then(|kind| *kind);
        kind.unwrap_or(io::ErrorKind::Other).into()
    }

    /// Waits until everything is written; but nobody may ever read it.
    pub(super) fn flush(&self) {
        self.lines.flush(LAST_WORDS);
    }
}

/// The colour of a speaker, as a parameter of the control sequence SGR (ECMA-48 8.3.117).
fn colour(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Lubdub => "1;31",
        Speaker::Backend => "34",
        Speaker::Guest(Person::Ann) => "32",
        Speaker::Guest(Person::Bob) => "33",
        Speaker::Guest(Person::Cyd) => "35",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that went away.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_went_away_is_noticed() {
        let page = Page::new(Box::new(Broken), Colour::Off).unwrap();
        page.line(Speaker::Lubdub, "is anybody there?");
        page.line(Speaker::Lubdub, "nobody");
        assert_eq!(page.torn().await.kind(), io::ErrorKind::BrokenPipe);
    }
}
