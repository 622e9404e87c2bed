//! How `lubdub top` looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::columns::{self, Column, Shown};
use super::view::View;
use crate::api::{Budget, Drain, End, Pair, Sample, Sort};
use crate::commands::table::Tone;
use crate::commands::{drain, ends, human, status};
use crate::plural::plural;

/// Where there are as many columns, budgets stand in two; else each has a line of its own.
const WIDE: u16 = 100;
/// So many budgets are shown.
const BUDGETS: usize = 8;
/// The longest name of a budget that is shown whole, and its longest bar.
const NAME: usize = 22;
const BAR: usize = 16;
/// What the figures need, and what a chart beside them and its title need.
const FIGURES: u16 = 48;
const CHART: u16 = 32;

const PAIRS: [Column; 10] = [
    Column::number("PAIR", 8),
    Column::number("AGE", 8),
    Column::text("ROUTE", 12, 1),
    Column::text("CLIENT", 22, 0),
    Column::number("SILENT", 8),
    Column::number("RTT", 7),
    Column::text("UPSTREAM", 12, 2),
    Column::number("SILENT", 8),
    Column::number("RTT", 7),
    Column::number("BYTES", 8),
];
const ENDS: [Column; 7] = [
    Column::number("AGO", 8),
    Column::number("PAIR", 8),
    Column::text("CAUSE", 27, 0),
    Column::number("CLOSE", 18),
    Column::number("LIVED", 8),
    Column::text("ROUTE", 12, 2),
    Column::text("CLIENT", 15, 1),
];

pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let budgets = shown_budgets(&view.sight.status.budgets);
    let abreast = if frame.area().width < WIDE { 1 } else { 2 };
    let height = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX);
    let headline = headline(view, frame.area().width);
    let [head, figures, gauges, pairs, ends, foot] = Layout::vertical([
        Constraint::Length(height(headline.len())),
        Constraint::Length(3),
        Constraint::Length(height(budgets.len().div_ceil(abreast) + 1)),
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(headline), head);
    draw_figures(frame, view, figures);
    draw_budgets(frame, &budgets, abreast, gauges);
    let rows: Vec<_> = view.sight.pairs.pairs.iter().map(pair).collect();
    columns::draw(frame, &PAIRS, &rows, pairs);
    let now = view.sight.status.now;
    let rows: Vec<_> = view.sight.ends.ends.iter().map(|it| end(it, now)).collect();
    columns::draw(frame, &ENDS, &rows, ends);
    frame.render_widget(keys(view.sort), foot);
}

/// Which lubdub it is and how it is, with a line for what is wrong, or an empty one.
fn headline(view: &View, width: u16) -> Vec<Line<'static>> {
    let status = &view.sight.status;
    let styled = |text: &str, style: Style| {
        let lines = wrapped(text, width.into()).into_iter();
        lines.map(move |line| Line::from(line).style(style))
    };
    let mut lines: Vec<_> = styled(&status::headline(status), Style::new().bold()).collect();
    let under_way = |drain: &&Drain| status.draining || drain.state.is_under_way();
    if let Some(drain) = status.drain.as_ref().filter(under_way) {
        lines.extend(styled(&drain::line(drain), Style::new().fg(Color::Yellow)));
    }
    match view.warning() {
        Some(warning) => lines.extend(styled(&warning, Style::new().fg(Color::Red))),
        None => lines.push(Line::default()),
    }
    lines
}

/// `text` in lines that are as long as there is room for, with whole words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if last == 0 => line.push_str(word),
            Some(line) if last + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn draw_figures(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let (status, rates) = (&view.sight.status, view.rates);
    let lapsed = if rates.lapsed > 0.0 {
        Color::Red
    } else {
        Color::Reset
    };
    let mut lines = vec![
        Line::from(vec![
            Span::from(human::count(status.totals.pairs)).bold(),
            Span::from(format!(" {}", plural(status.totals.pairs, "pair"))),
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
    let samples = &view.sight.hour.history.samples;
    if area.width < FIGURES + CHART {
        lines.push(most_pairs(samples));
        frame.render_widget(Paragraph::new(lines), area);
        return;
    }
    let [numbers, chart] =
        Layout::horizontal([Constraint::Length(FIGURES), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(lines), numbers);
    let samples = &samples[samples.len().saturating_sub(chart.width.into())..];
    let [chart, title] =
        Layout::vertical([Constraint::Length(2), Constraint::Length(1)]).areas(chart);
    let data = samples.iter().map(|sample| sample.pairs);
    frame.render_widget(Sparkline::default().data(data).fg(Color::Cyan), chart);
    frame.render_widget(most_pairs(samples), title);
}

fn most_pairs(samples: &[Sample]) -> Line<'static> {
    let most = samples.iter().map(|sample| sample.pairs).max().unwrap_or(0);
    let words = format!("last hour: at most {}", human::counted(most, "pair"));
    Line::from(words).dim()
}

/// Those that something is used of, the fullest first; those of the process are always there.
fn shown_budgets(budgets: &[Budget]) -> Vec<&Budget> {
    let is_used = |budget: &&Budget| budget.of.is_none() || budget.used > 0;
    let mut shown = Budget::fullest_first(budgets.iter().filter(is_used));
    shown.truncate(BUDGETS);
    shown
}

fn draw_budgets(frame: &mut Frame<'_>, budgets: &[&Budget], abreast: usize, area: Rect) {
    let columns = Layout::horizontal(vec![Constraint::Fill(1); abreast])
        .spacing(2)
        .split(area);
    let numbers: Vec<_> = budgets.iter().map(|budget| numbers(budget)).collect();
    let longest = numbers.iter().map(String::len).max().unwrap_or(0);
    for (place, (budget, numbers)) in budgets.iter().zip(numbers).enumerate() {
        let Some(column) = columns.get(place % abreast) else {
            continue;
        };
        let row = u16::try_from(place / abreast).unwrap_or(u16::MAX);
        if row >= column.height {
            continue;
        }
        let line = Rect {
            y: column.y + row,
            height: 1,
            ..*column
        };
        let room = usize::from(column.width).saturating_sub(longest + 1);
        frame.render_widget(gauge(budget, numbers, room), line);
    }
}

/// What is used of what there is.
fn numbers(budget: &Budget) -> String {
    format!(
        "{} of {}",
        human::count(budget.used),
        human::count(budget.max)
    )
}

/// A budget in a line: its name and a bar, as far as there is room for them before its numbers.
fn gauge(budget: &Budget, numbers: String, room: usize) -> Line<'static> {
    let share = budget.share().clamp(0.0, 1.0);
    let bar = match status::fullness(share) {
        Tone::Plain => Style::new().fg(Color::Green),
        tone @ (Tone::Quiet | Tone::Notable | Tone::Bad) => style(tone),
    };
    let name = room.min(NAME);
    let width = room.saturating_sub(name + 1).min(BAR);
    let full = (0..width)
        .filter(|place| *place as f64 + 0.5 <= share * width as f64)
        .count();
    let title = budget.title();
    Line::from(vec![
        Span::from(format!("{title:<name$.name$} ")),
        Span::from("\u{2588}".repeat(full)).style(bar),
        Span::from("\u{2591}".repeat(width - full)).dim(),
        Span::from(if width > 0 { " " } else { "" }),
        Span::from(numbers),
    ])
}

fn pair(pair: &Pair) -> Vec<Shown> {
    let (client, upstream) = (&pair.client.side, &pair.upstream.side);
    let texts = [
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
    ];
    texts.map(|text| (text, Style::new())).to_vec()
}

fn end(end: &End, now: f64) -> Vec<Shown> {
    let cause = match &end.diagnosis {
        Some(diagnosis) => format!("{} {diagnosis}", end.cause),
        None => end.cause.clone(),
    };
    let plain = |text: String| (text, Style::new());
    vec![
        plain(human::duration(now - end.at)),
        plain(end.pair.to_string()),
        (cause, style(ends::tone(&end.cause))),
        plain(ends::close(end)),
        plain(human::duration(end.duration_seconds)),
        plain(end.route.clone()),
        plain(end.client.address.clone()),
    ]
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Notable => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red),
    }
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

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;
    use crate::commands::top::view::Sight;

    fn view() -> View {
        let side = json!({
            "last_heard_seconds": 0.682, "last_rtt_seconds": 0.023, "pings_sent": 9,
            "pongs_received": 9, "bytes": 700, "frames": 7, "held": false,
        });
        let with = |more: serde_json::Value| {
            let mut all = side.clone();
            let more = more.as_object().unwrap().clone();
            all.as_object_mut().unwrap().extend(more);
            all
        };
        let address = json!({"address": "198.51.100.145", "peer": "198.51.100.145:40122"});
        let (client, upstream) = (
            with(address),
            with(json!({"name": "chat", "address": "127.0.0.1:9001"})),
        );
        let budget = |name: &str, used: u64, max: u64| {
            json!({
                "name": name, "of": null, "key": null, "used": used, "max": max, "at_the_end": "",
            })
        };
        let lapses = json!({"unknown": 0, "network": 0, "application": 0});
        let status = json!({
            "version": "0.1.0", "revision": "7e7e0f4", "pid": 11229, "generation": 17, "now": 900.0,
            "started": 0.0, "uptime_seconds": 239.0, "ready": true, "draining": false,
            "lingering_pairs": 0, "drain": null, "last_reload": null,
            "budgets": [
                budget("pairs", 12_345, 200_000),
                budget("upstream_connections", 12_346, 400_000),
                budget("handshakes", 3, 512),
            ],
            "listeners": [], "routes": [], "upstreams": [], "certificates": [],
            "totals": {
                "pairs": 12_345, "opened": 0, "ended": {},
                "lapses": {"client": lapses, "upstream": lapses},
            },
            "rtt": {"bounds_seconds": [], "client": [], "upstream": []},
        });
        let pair = json!({
            "id": 123_456, "listener": "public", "route": "chat", "request": null,
            "request_id": null, "opened": 0.0, "age_seconds": 88.0, "client": client,
            "upstream": upstream,
        });
        let end = json!({
            "pair": 123_321, "at": 898.0, "cause": "client_lapsed", "cause_text": "",
            "diagnosis": "network", "close": {"code": 1001, "by": "lubdub"}, "hint": null,
            "listener": "public", "route": "chat", "request": null, "request_id": null,
            "opened": 0.0, "duration_seconds": 118.0, "lapsed_after_seconds": null,
            "client": client, "upstream": upstream,
        });
        let sample = json!({
            "at": 0.0, "pairs": 13_579, "opened": 0, "ended": {},
            "lapses": {"client": lapses, "upstream": lapses},
            "rtt": {"client": [], "upstream": []},
        });
        let history = json!({"step_seconds": 10.0, "bounds_seconds": [], "samples": [sample]});
        View::new(
            Sight::told(
                serde_json::from_value(status).unwrap(),
                serde_json::from_value(json!({
                    "total": 1, "matched": 1, "next": null, "pairs": [pair],
                }))
                .unwrap(),
                serde_json::from_value(json!({"kept": 1, "ends": [end]})).unwrap(),
                serde_json::from_value(history).unwrap(),
            ),
            "10.0.0.7:9901".to_owned(),
        )
    }

    fn drawn(view: &View, width: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, 30)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_narrow_terminal_shows_every_number() {
        let view = view();
        for width in [50, 60, 79, 80, 100, 140] {
            let drawn = drawn(&view, width);
            for number in [
                "process 11229",
                "configuration 17: ready",
                "12,345 pairs",
                "0.0 pings answered/s",
                "at most 13,579",
                "12,345 of 200,000",
                "12,346 of 400,000",
                "3 of 512",
                "123456",
                "1m 28s",
                "682ms",
                "23ms",
                "1.4 KiB",
                "123321",
                "1001 by lubdub",
                "1m 58s",
            ] {
                assert!(drawn.contains(number), "{number} at {width}:\n{drawn}");
            }
            assert_eq!(drawn.matches("23ms").count(), 2, "{width}:\n{drawn}");
            assert!(drawn.contains('\u{2591}'), "{width}:\n{drawn}");
        }
    }

    #[test]
    fn who_does_not_answer_is_named() {
        use crate::commands::ask::NoAnswer;

        let mut view = view();
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        view.hear(Err(anyhow::Error::new(refused)
            .context(NoAnswer::There)
            .context("http://10.0.0.7:9901/api/v1/status")));
        let told = drawn(&view, 100);
        let line = "lubdub at 10.0.0.7:9901 does not answer, heard ";
        assert!(told.contains(line), "{told}");
        assert!(told.contains(" ago: connection refused"), "{told}");
        view.hear(Err(anyhow::anyhow!("401 Unauthorized")));
        let told = drawn(&view, 100);
        assert!(told.contains("no news, heard "), "{told}");
        assert!(told.contains(" ago: 401 Unauthorized"), "{told}");
    }
}
