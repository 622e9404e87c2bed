//! How `lubdub top` looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};

use super::view::View;
use crate::api::{Budget, Drain, End, Pair, Sample, Sort};
use crate::commands::table::Tone;
use crate::commands::{drain, ends, human, status};

/// A picture that is older than this, in seconds, is told to be.
const OLD: f64 = 3.0;
/// Budgets that stand in a row.
const ABREAST: usize = 2;

pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let budgets = shown_budgets(&view.sight.status.budgets);
    let rows = u16::try_from(budgets.len().div_ceil(ABREAST)).unwrap_or(u16::MAX);
    let [head, figures, gauges, pairs, ends, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(3),
        Constraint::Length(rows + 1),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(view), head);
    draw_figures(frame, view, figures);
    draw_budgets(frame, &budgets, gauges);
    draw_pairs(frame, view, pairs);
    draw_ends(frame, view, ends);
    frame.render_widget(keys(view.sort), foot);
}

fn headline(view: &View) -> Paragraph<'static> {
    let status = &view.sight.status;
    let mut line = vec![Span::from(status::headline(status)).bold()];
    let under_way = |drain: &&Drain| status.draining || drain.state.is_under_way();
    if let Some(drain) = status.drain.as_ref().filter(under_way) {
        let words = format!("  {}", drain::line(drain));
        line.push(Span::from(words).fg(Color::Yellow));
    }
    let age = view.sight.at.elapsed().as_secs_f64();
    let second = match &view.trouble {
        Some(trouble) => {
            Line::from(format!("no answer for {}: {trouble}", human::duration(age))).fg(Color::Red)
        }
        None if age > OLD => {
            Line::from(format!("this is {} old", human::duration(age))).fg(Color::Red)
        }
        None => Line::default(),
    };
    Paragraph::new(vec![Line::from(line), second])
}

fn draw_figures(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let [numbers, chart] =
        Layout::horizontal([Constraint::Length(52), Constraint::Fill(1)]).areas(area);
    let (status, rates) = (&view.sight.status, view.rates);
    let lapsed = if rates.lapsed > 0.0 {
        Color::Red
    } else {
        Color::Reset
    };
    let lines = vec![
        Line::from(vec![
            Span::from(human::count(status.totals.pairs)).bold(),
            Span::from(" pairs"),
            Span::from(format!(
                "   {:.1} opened/s  {:.1} ended/s",
                rates.opened, rates.ended
            )),
        ]),
        Line::from(vec![
            Span::from(format!("{:.1} lapsed/s", rates.lapsed)).fg(lapsed),
            Span::from(format!("   {:.1} pings answered/s", rates.answered)),
        ]),
    ];
    frame.render_widget(Paragraph::new(lines), numbers);
    let samples = &view.sight.hour.history.samples;
    let room = usize::from(chart.width);
    let data: Vec<u64> = samples[samples.len().saturating_sub(room)..]
        .iter()
        .map(|sample: &Sample| sample.pairs)
        .collect();
    let [chart, title] =
        Layout::vertical([Constraint::Length(2), Constraint::Length(1)]).areas(chart);
    let most = data.iter().max().copied().unwrap_or(0);
    frame.render_widget(Sparkline::default().data(data).fg(Color::Cyan), chart);
    let words = format!("pairs over the last hour, at most {}", human::count(most));
    frame.render_widget(Line::from(words).dim(), title);
}

/// Those that something is used of, the fullest first; those of the process are always there.
fn shown_budgets(budgets: &[Budget]) -> Vec<&Budget> {
    let mut shown: Vec<_> = budgets
        .iter()
        .filter(|budget| budget.of.is_none() || budget.used > 0)
        .collect();
    shown.sort_by(|a, b| b.share().total_cmp(&a.share()));
    shown.truncate(4 * ABREAST);
    shown
}

fn draw_budgets(frame: &mut Frame<'_>, budgets: &[&Budget], area: Rect) {
    let columns = Layout::horizontal([Constraint::Fill(1); ABREAST]).split(area);
    for (place, budget) in budgets.iter().enumerate() {
        let Some(column) = columns.get(place % ABREAST) else {
            continue;
        };
        let row = u16::try_from(place / ABREAST).unwrap_or(u16::MAX);
        if row >= column.height {
            continue;
        }
        let line = Rect {
            y: column.y + row,
            height: 1,
            ..*column
        };
        frame.render_widget(gauge(budget), line);
    }
}

/// A budget in a line: its name, a bar, and what is used of what there is.
fn gauge(budget: &Budget) -> Line<'static> {
    const WIDTH: usize = 16;
    let share = budget.share().clamp(0.0, 1.0);
    let bar = match status::fullness(share) {
        Tone::Plain => Style::new().fg(Color::Green),
        tone @ (Tone::Quiet | Tone::Notable | Tone::Bad) => style(tone),
    };
    let full = (0..WIDTH)
        .filter(|place| *place as f64 + 0.5 <= share * WIDTH as f64)
        .count();
    let name = budget.title();
    Line::from(vec![
        Span::from(format!("{name:<22.22} ")),
        Span::from("\u{2588}".repeat(full)).style(bar),
        Span::from("\u{2591}".repeat(WIDTH - full)).dim(),
        Span::from(format!(
            " {} of {}",
            human::count(budget.used),
            human::count(budget.max)
        )),
    ])
}

fn draw_pairs(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let header = titles(&[
        "PAIR", "AGE", "ROUTE", "CLIENT", "SILENT", "RTT", "UPSTREAM", "SILENT", "RTT", "BYTES",
    ]);
    let widths = [
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(12),
        Constraint::Length(22),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(12),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Fill(1),
    ];
    let rows = view.sight.pairs.pairs.iter().map(pair);
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn pair(pair: &Pair) -> Row<'static> {
    let (client, upstream) = (&pair.client.side, &pair.upstream.side);
    Row::new([
        pair.id.to_string(),
        human::duration(pair.age_seconds),
        pair.route.clone(),
        pair.client.address.clone(),
        human::duration(client.last_heard_seconds),
        human::round_trip(client.last_rtt_seconds),
        pair.upstream.name.clone(),
        human::duration(upstream.last_heard_seconds),
        human::round_trip(upstream.last_rtt_seconds),
        human::bytes(client.bytes + upstream.bytes),
    ])
}

fn draw_ends(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let header = titles(&["AGO", "PAIR", "CAUSE", "CLOSE", "LIVED", "ROUTE", "CLIENT"]);
    let widths = [
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(27),
        Constraint::Length(18),
        Constraint::Length(8),
        Constraint::Length(12),
        Constraint::Fill(1),
    ];
    let now = view.sight.status.now;
    let rows = view.sight.ends.ends.iter().map(|it| end(it, now));
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn end(end: &End, now: f64) -> Row<'static> {
    let cause = match &end.diagnosis {
        Some(diagnosis) => format!("{} {diagnosis}", end.cause),
        None => end.cause.clone(),
    };
    Row::new([
        Cell::from(human::duration(now - end.at)),
        Cell::from(end.pair.to_string()),
        Cell::from(cause).style(style(ends::tone(&end.cause))),
        Cell::from(ends::close(end)),
        Cell::from(human::duration(end.duration_seconds)),
        Cell::from(end.route.clone()),
        Cell::from(end.client.address.clone()),
    ])
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Notable => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red),
    }
}

fn titles(titles: &[&'static str]) -> Row<'static> {
    Row::new(titles.to_vec()).style(Style::new().add_modifier(Modifier::DIM))
}

fn keys(sort: Sort) -> Line<'static> {
    Line::from(format!("q ends   s sorts the pairs: {}", words(sort))).dim()
}

fn words(sort: Sort) -> &'static str {
    match sort {
        Sort::Rtt => "longest round trip first",
        Sort::Silence => "longest silence first",
        Sort::Bytes => "most bytes first",
        Sort::Newest => "newest first",
        Sort::Oldest => "oldest first",
    }
}
