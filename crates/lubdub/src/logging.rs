//! The log: lines of logfmt or JSON on standard error.
//!
//! Nothing waits for it: what is logged goes into a queue that a thread of its own empties
//! ([`LineQueue`]), and whatever else would write to standard error while lubdub runs (panics, the
//! last error) goes there too. Every kind of line is declared in [`events`].

// The declaration is for the page and for tests; the program itself logs events.
#[cfg_attr(not(test), expect(dead_code))]
mod events;
#[cfg(test)]
mod fields;
mod line;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use lubdub_metrics::Metrics;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload::{self, Handle};

use self::line::{Form, Line, MESSAGE, TARGET};
use crate::config::{LogFormat, LogSettings};
use crate::line_queue::{LineQueue, Reader};

/// The log of this process.
#[derive(Debug)]
pub(crate) struct Log {
    queue: LineQueue,
    dial: LogDial,
}

/// Changes how much is logged, and in what form.
#[derive(Debug, Clone)]
pub(crate) struct LogDial {
    form: CurrentForm,
    filter: Handle<Targets, Registry>,
}

/// Writes events as lines.
struct Lines {
    queue: LineQueue,
    form: CurrentForm,
}

/// What lines look like now: a reload may change it.
#[derive(Debug, Clone)]
struct CurrentForm(Arc<AtomicU8>);

/// What the targets of lubdub's own crates begin with.
const OURS: &str = "lubdub";
/// How long the end of the process waits for who reads the log.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The buffer of a line that was longer is given back.
const LONG_LINE: usize = 16 << 10;

impl Log {
    /// Begins to log as `settings` say.
    ///
    /// # Errors
    /// If something else in the process already logs, or a thread cannot be started.
    pub(crate) fn start(settings: LogSettings) -> anyhow::Result<Self> {
        let form = CurrentForm::new(form(settings.format));
        let queue = queue(form.clone())?;
        let lines = Lines {
            queue: queue.clone(),
            form: form.clone(),
        };
        let (subscriber, filter) = subscriber(settings.level, lines);
        tracing::subscriber::set_global_default(subscriber)?;
        // The usual one writes to standard error itself, and would wait for its reader.
        let (of_panics, in_form) = (queue.clone(), form.clone());
        std::panic::set_hook(Box::new(move |panic| {
            log_panic(&of_panics, in_form.get(), panic);
        }));
        let dial = LogDial { form, filter };
        Ok(Self { queue, dial })
    }

    /// What changes it later.
    pub(crate) fn dial(&self) -> LogDial {
        self.dial.clone()
    }

    /// Counts lines that are dropped in `lubdub_log_lines_dropped_total`.
    pub(crate) fn count_losses(&self, metrics: &Metrics) {
        self.queue.count_losses(metrics.log_lines_dropped().clone());
    }
}

impl LogDial {
    /// Logs as `settings` say from now on.
    pub(crate) fn turn(&self, settings: LogSettings) {
        self.form.set(form(settings.format));
        // It fails only where the subscriber is gone, and nobody logs then.
        let _ = self.filter.reload(targets(settings.level));
    }
}

impl Drop for Log {
    /// What was logged last should be read, but who does not read must not keep the process.
    fn drop(&mut self) {
        self.queue.flush(LAST_WORDS);
    }
}

/// Logs warnings and errors of everybody, for those who tell the rest in their own words.
///
/// # Errors
/// If a thread cannot be started.
pub(crate) fn warnings<S>() -> io::Result<impl Layer<S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let form = CurrentForm::new(Form::Plain);
    let queue = queue(form.clone())?;
    Ok(Lines { queue, form }.with_filter(LevelFilter::WARN))
}

fn form(format: LogFormat) -> Form {
    match format {
        LogFormat::Json => Form::Json,
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            if io::stderr().is_terminal() && !plain {
                Form::Coloured
            } else {
                Form::Plain
            }
        }
    }
}

fn queue(form: CurrentForm) -> io::Result<LineQueue> {
    LineQueue::start(Reader {
        thread: "lubdub-log",
        writer: Box::new(io::stderr()),
        notice: Box::new(move |lines| dropped(form.get(), lines)),
        // Whoever closed standard error wants no log.
        on_error: Box::new(|_| {}),
    })
}

/// The line in place of `lines` that are missing. It is written at any `log.level`: whoever reads the
/// log must know that it has a gap.
fn dropped(form: Form, lines: u64) -> String {
    let mut text = String::new();
    let mut line = Line::begin(&mut text, form, events::DROPPED.level);
    line.text(MESSAGE, events::DROPPED.message);
    line.number("lines", lines);
    line.end();
    text
}

fn subscriber(
    level: Level,
    lines: Lines,
) -> (
    impl Subscriber + Send + Sync + use<>,
    Handle<Targets, Registry>,
) {
    let (filter, handle) = reload::Layer::new(targets(level));
    (Registry::default().with(lines.with_filter(filter)), handle)
}

/// Libraries are heard when something is wrong, and never more than lubdub itself.
fn targets(level: Level) -> Targets {
    let ours = LevelFilter::from_level(level);
    Targets::new()
        .with_target(OURS, ours)
        .with_default(ours.min(LevelFilter::WARN))
}

// === impl CurrentForm ===

impl CurrentForm {
    const ALL: [Form; 3] = [Form::Plain, Form::Coloured, Form::Json];

    fn new(form: Form) -> Self {
        Self(Arc::new(AtomicU8::new(form as u8)))
    }

    fn get(&self) -> Form {
        Self::ALL[usize::from(self.0.load(Relaxed))]
    }

    fn set(&self, form: Form) {
        self.0.store(form as u8, Relaxed);
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        with_buffer(|text| {
            let metadata = event.metadata();
            let mut line = Line::begin(text, self.form.get(), *metadata.level());
            if !metadata.target().starts_with(OURS) {
                line.text(TARGET, metadata.target());
            }
            event.record(&mut line);
            line.end();
            self.queue.put(text);
        });
    }
}

/// Lends an empty buffer, this thread's if nobody has it: a value may log while it is logged.
fn with_buffer(write: impl FnOnce(&mut String)) {
    thread_local! {
        static BUFFER: RefCell<String> = const { RefCell::new(String::new()) };
    }
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            buffer.clear();
            write(&mut buffer);
            buffer.shrink_to(LONG_LINE);
        }
        Err(_) => write(&mut String::new()),
    });
}

/// Not as an event: the panic may come out of the writing of one.
fn log_panic(queue: &LineQueue, form: Form, panic: &PanicHookInfo<'_>) {
    let mut text = String::new();
    let mut line = Line::begin(&mut text, form, events::PANICKED.level);
    line.text(MESSAGE, events::PANICKED.message);
    let thread = std::thread::current();
    line.text("thread", thread.name().unwrap_or("unnamed"));
    if let Some(location) = panic.location() {
        line.text("at", &location.to_string());
    }
    let payload = panic.payload();
    let reason = (payload.downcast_ref::<&str>().copied())
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    line.text("reason", reason.unwrap_or("not said"));
    // RUST_BACKTRACE asks for it, as usual.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        line.text("backtrace", &backtrace.to_string());
    }
    line.end();
    queue.put(&text);
}
