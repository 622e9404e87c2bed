//! One line on a terminal that says how far a long run has come. Where standard error is no
//! terminal, nothing is said.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line changes at most.
const PACE: Duration = Duration::from_millis(200);

/// The line.
#[derive(Debug)]
pub(crate) struct Progress {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody is looking.
    Off,
    /// The next change is at this time.
    On(Instant),
}

// === impl Progress ===

impl Progress {
    /// A line on standard error, if that is a terminal.
    pub(crate) fn on_terminal() -> Self {
        Self {
            state: if std::io::stderr().is_terminal() {
                State::On(Instant::now())
            } else {
                State::Off
            },
        }
    }

    /// No line at all.
    pub(crate) fn off() -> Self {
        Self { state: State::Off }
    }

    /// Shows this, unless the line was changed just now.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        if let State::On(next) = &mut self.state {
            let now = Instant::now();
            if now >= *next {
                *next = now + PACE;
                // A terminal that is gone is no reason to stop measuring.
                let _ = write!(std::io::stderr(), "\r\x1b[K{}", text());
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let State::On(_) = self.state {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
