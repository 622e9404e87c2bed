//! How a line of the log is written: logfmt, or a flat object of JSON. Both have the same fields by
//! the same names, and both are one line whatever the values hold.

use std::fmt::{self, Debug, Write};

use tracing::Level;
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// The fields that every line begins with, in this order.
pub(crate) const TIME: &str = "time";
pub(crate) const LEVEL: &str = "level";
pub(crate) const MESSAGE: &str = "msg";
/// Behind these, in lines of libraries only: which part of which library.
pub(crate) const TARGET: &str = "target";

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// logfmt.
    Plain,
    /// logfmt with colours, for a terminal.
    Coloured,
    /// A flat object.
    Json,
}

/// A line that is being written.
pub(super) struct Line<'b> {
    text: &'b mut String,
    form: Form,
}

/// What tracing calls the message of an event.
const TRACING_MESSAGE: &str = "message";

/// A value is shown in its own way: numbers and truth are bare, in JSON too.
enum Value<'v> {
    Bare(fmt::Arguments<'v>),
    Text(&'v str),
}

// === impl Line ===

impl<'b> Line<'b> {
    /// Begins a line behind what `text` holds already.
    pub(super) fn begin(text: &'b mut String, form: Form, level: Level) -> Self {
        if form == Form::Json {
            text.push('{');
        }
        let mut line = Self { text, form };
        let mut time = String::new();
        // It cannot fail: a String takes whatever is written to it.
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        line.value(TIME, Value::Text(&time));
        line.level(level);
        line
    }

    /// Adds a field whose value is text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.value(name, Value::Text(text));
    }

    /// Adds a field whose value is a number.
    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.value(name, Value::Bare(format_args!("{number}")));
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.text.push_str(match self.form {
            Form::Plain | Form::Coloured => "\n",
            Form::Json => "}\n",
        });
    }

    fn level(&mut self, level: Level) {
        let word = match level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        if self.form != Form::Coloured {
            return self.value(LEVEL, Value::Text(word));
        }
        let colour = match level {
            Level::ERROR => "1;31",
            Level::WARN => "33",
            Level::INFO => "32",
            Level::DEBUG | Level::TRACE => "2",
        };
        self.name(LEVEL);
        self.text.push_str(&format!("\x1b[{colour}m{word}\x1b[0m"));
    }

    /// What stands before a value.
    fn name(&mut self, name: &str) {
        let first = self.text.is_empty() || self.text.ends_with(['{', '\n']);
        match self.form {
            Form::Plain | Form::Coloured => {
                if !first {
                    self.text.push(' ');
                }
                let (dim, bright) = match self.form {
                    Form::Coloured => ("\x1b[2m", "\x1b[0m"),
                    Form::Plain | Form::Json => ("", ""),
                };
                self.text.extend([dim, name, "=", bright]);
            }
            Form::Json => {
                if !first {
                    self.text.push(',');
                }
                self.text.extend(["\"", name, "\":"]);
            }
        }
    }

    fn value(&mut self, name: &str, value: Value<'_>) {
        self.name(name);
        match value {
            Value::Bare(bare) => {
                let _ = write!(self.text, "{bare}");
            }
            Value::Text(text) if self.form != Form::Json && is_bare(text) => {
                self.text.push_str(text);
            }
            Value::Text(text) => quote(self.text, text),
        }
    }
}

impl Visit for Line<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.value(name(field), Value::Bare(format_args!("{value}")));
        } else {
            self.text(name(field), &value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(name(field), Value::Bare(format_args!("{value}")));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(name(field), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(name(field), Value::Bare(format_args!("{value}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(name(field), value);
    }

    /// What an event shows with `%` or `?`, and its message.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(name(field), &format!("{value:?}"));
    }
}

fn name(field: &Field) -> &str {
    match field.name() {
        TRACING_MESSAGE => MESSAGE,
        name => name,
    }
}

/// Whether logfmt can do without quotes: by the value alone, so that a field looks the same in each
/// line that says the same of it.
fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// Writes `text` as JSON does it, which is how parsers of logfmt read it too. What could play tricks
/// on a terminal is escaped: control characters, those of ISO 6429 among them, and whatever turns the
/// direction of writing round.
fn quote(into: &mut String, text: &str) {
    into.push('"');
    for character in text.chars() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            character if is_tricky(character) => {
                let _ = write!(into, "\\u{:04x}", u32::from(character));
            }
            character => into.push(character),
        }
    }
    into.push('"');
}

fn is_tricky(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
