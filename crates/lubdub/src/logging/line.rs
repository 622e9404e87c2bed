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
    /// It has no field yet.
    is_empty: bool,
}

/// What tracing calls the message of an event.
const TRACING_MESSAGE: &str = "message";

// === impl Line ===

impl<'b> Line<'b> {
    /// Begins a line behind what `text` holds already.
    pub(super) fn begin(text: &'b mut String, form: Form, level: Level) -> Self {
        if form == Form::Json {
            text.push('{');
        }
        let mut line = Self {
            text,
            form,
            is_empty: true,
        };
        line.shown(TIME, |text| SystemTime.format_time(&mut Writer::new(text)));
        line.level(level);
        line
    }

    /// Adds a field whose value is text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.shown(name, |into| into.write_str(text));
    }

    /// Adds a field whose value is a number.
    pub(super) fn number(&mut self, name: &str, number: u64) {
        self.bare(name, itoa::Buffer::new().format(number));
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
            return self.text(LEVEL, word);
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
        let first = std::mem::replace(&mut self.is_empty, false);
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

    /// Numbers and truth are bare, in JSON too.
    fn bare(&mut self, name: &str, value: &str) {
        self.name(name);
        self.text.push_str(value);
    }

    /// A value that `show` writes. It is written where it is to stand, and only what is to be quoted there is written
    /// again: most is not.
    fn shown(&mut self, name: &str, show: impl FnOnce(&mut String) -> fmt::Result) {
        self.name(name);
        let is_json = self.form == Form::Json;
        if is_json {
            self.text.push('"');
        }
        let begin = self.text.len();
        // It cannot fail: a String takes whatever is written to it.
        let _ = show(self.text);
        let value = &self.text[begin..];
        if is_json && value.bytes().all(is_plain) {
            self.text.push('"');
        } else if is_json || !is_bare(value) {
            let value = self.text.split_off(begin);
            if is_json {
                self.text.pop();
            }
            quote(self.text, &value);
        }
    }
}

impl Visit for Line<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        if value.is_finite() {
            self.bare(name(field), &text);
        } else {
            self.text(name(field), &text);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(name(field), itoa::Buffer::new().format(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(name(field), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(name(field), if value { "true" } else { "false" });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(name(field), value);
    }

    /// What an event shows with `%` or `?`, and its message.
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.shown(name(field), |text| write!(text, "{value:?}"));
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
            .all(|byte| is_plain(byte) && !matches!(byte, b' ' | b'='))
}

/// Whether a byte between quotes stands for itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
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
