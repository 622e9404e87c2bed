//! A table on whatever room there is: numbers are shown whole, and text gives way.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Cell, Row, Table};

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    title: &'static str,
    /// Its width where there is room for all, so that columns do not jump when what is in them changes.
    usual: usize,
    shows: Shows,
}

/// What stands in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// What is of no use if it is cut.
    Number,
    /// What can be cut or left out; the first of them is the last to be.
    Text(u8),
}

/// Text in a table, and how it looks.
pub(super) type Shown = (String, Style);

/// Text that is not worth its column with less of it.
const LEAST: usize = 5;

// === impl Column ===

impl Column {
    pub(super) const fn number(title: &'static str, usual: usize) -> Self {
        let shows = Shows::Number;
        Self {
            title,
            usual,
            shows,
        }
    }

    pub(super) const fn text(title: &'static str, usual: usize, rank: u8) -> Self {
        let shows = Shows::Text(rank);
        Self {
            title,
            usual,
            shows,
        }
    }
}

/// Draws `rows` below the titles.
pub(super) fn draw(frame: &mut Frame<'_>, columns: &[Column], rows: &[Vec<Shown>], area: Rect) {
    let widths = widths(columns, rows, area.width.into());
    let is_shown = |place: usize| widths.get(place).is_some_and(|width| *width > 0);
    let row = |cells: &[Shown]| {
        let cells = cells.iter().enumerate();
        let cells = cells.filter(|(place, _)| is_shown(*place));
        Row::new(cells.map(|(_, (text, style))| Cell::from(text.clone()).style(*style)))
    };
    let titles = columns
        .iter()
        .map(|column| (column.title.to_owned(), Style::new()));
    let titles: Vec<_> = titles.collect();
    let header = row(&titles).style(Style::new().add_modifier(Modifier::DIM));
    let rows = rows.iter().map(|cells| row(cells));
    let constraints = widths.iter().filter(|width| **width > 0);
    let constraints =
        constraints.map(|width| Constraint::Length(u16::try_from(*width).unwrap_or(u16::MAX)));
    frame.render_widget(Table::new(rows, constraints).header(header), area);
}

/// How wide each column is; nothing is left out.
fn widths(columns: &[Column], rows: &[Vec<Shown>], room: usize) -> Vec<usize> {
    let longest = |place: usize| {
        let texts = rows.iter().filter_map(|row| row.get(place));
        let texts = texts.map(|(text, _)| text.chars().count());
        texts.max().unwrap_or(0).max(columns[place].title.len())
    };
    let usual = columns.iter().map(|column| column.usual + 1).sum::<usize>();
    if usual <= room + 1 {
        // The last one takes what is left.
        let mut widths: Vec<_> = columns.iter().map(|column| column.usual).collect();
        if let Some(last) = widths.last_mut() {
            *last += room + 1 - usual;
        }
        return widths;
    }
    let mut widths = vec![0; columns.len()];
    let mut left = room + 1;
    let mut order: Vec<_> = (0..columns.len()).collect();
    order.sort_by_key(|place| match columns[*place].shows {
        Shows::Number => 0,
        Shows::Text(rank) => 1 + rank,
    });
    for place in order {
        let wanted = longest(place);
        let given = match columns[place].shows {
            Shows::Number => wanted,
            Shows::Text(_) if left > LEAST => wanted.min(left - 1),
            Shows::Text(_) => continue,
        };
        widths[place] = given;
        left = left.saturating_sub(given + 1);
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::number("PAIR", 8),
        Column::text("ROUTE", 12, 1),
        Column::text("CLIENT", 22, 0),
        Column::number("BYTES", 10),
    ];

    fn at(room: usize) -> Vec<usize> {
        let row = ["123456", "a-long-route", "198.51.100.145:43210", "1.2 KiB"];
        let row = row.map(|text| (text.to_owned(), Style::new()));
        widths(&COLUMNS, &[row.to_vec()], room)
    }

    #[test]
    fn text_gives_way_to_numbers() {
        assert_eq!(at(60), [8, 12, 22, 15]);
        assert_eq!(at(55), [8, 12, 22, 10]);
        assert_eq!(at(50), [6, 12, 20, 7]);
        assert_eq!(at(43), [6, 7, 20, 7]);
        assert_eq!(at(40), [6, 0, 20, 7]);
        assert_eq!(at(25), [6, 0, 10, 7]);
        assert_eq!(at(15), [6, 0, 0, 7]);
    }
}
