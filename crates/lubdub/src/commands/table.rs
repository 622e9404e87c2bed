//! A table on a terminal or in a pipe: columns as wide as what is in them, with colours only for a person.

use std::env;
use std::io::{IsTerminal as _, stdout};

/// How a cell is shown to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// It is not what the eye is to find first.
    Quiet,
    /// It is worth a look.
    Notable,
    /// It is bad.
    Bad,
}

/// Something in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

/// On which side of its column something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A table, row by row.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

/// Whether there is a person to show colours to: on a terminal, unless `NO_COLOR` says no (no-color.org).
pub(super) fn is_coloured() -> bool {
    let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    stdout().is_terminal() && !is_refused && !is_dumb
}

// === impl Table ===

impl Table {
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of it, with a line of titles.
    pub(super) fn written(&self, coloured: bool) -> String {
        let mut widths: Vec<_> = self.columns.iter().map(|(title, _)| width(title)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(self::width(&cell.text));
            }
        }
        let titles = self.columns.iter().map(|(title, _)| Cell::quiet(*title));
        let titles: Vec<_> = titles.collect();
        let mut out = String::new();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(&widths) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                cell.write(&mut line, *align, *width, coloured);
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

// === impl Cell ===

impl Cell {
    pub(super) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Plain)
    }

    pub(super) fn quiet(text: impl Into<String>) -> Self {
        Self::new(text, Tone::Quiet)
    }

    fn write(&self, out: &mut String, align: Align, width: usize, coloured: bool) {
        let room = " ".repeat(width.saturating_sub(self::width(&self.text)));
        if align == Align::Right {
            out.push_str(&room);
        }
        match self.tone.code().filter(|_| coloured) {
            Some(code) => out.push_str(&format!("\u{1b}[{code}m{}\u{1b}[0m", self.text)),
            None => out.push_str(&self.text),
        }
        if align == Align::Left {
            out.push_str(&room);
        }
    }
}

impl Tone {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Quiet => Some("2"),
            Self::Notable => Some("33"),
            Self::Bad => Some("31"),
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right)]);
        table.push(vec![Cell::plain("a"), Cell::plain("1,000")]);
        table.push(vec![Cell::plain("longer"), Cell::new("2", Tone::Bad)]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let written = table().written(false);
        assert_eq!(written, "NAME        N\na       1,000\nlonger      2\n");
    }

    #[test]
    fn colours_move_nothing() {
        let written = table().written(true);
        let bare = ["\u{1b}[2m", "\u{1b}[31m", "\u{1b}[0m"]
            .iter()
            .fold(written.clone(), |text, code| text.replace(code, ""));
        assert!(written.contains("\u{1b}[31m2\u{1b}[0m"));
        assert_eq!(bare, table().written(false));
    }
}
