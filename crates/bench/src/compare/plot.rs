//! A plot of one scenario as SVG: a bar for every proxy, a whisker from the least to the most, and a
//! line at the lowest bar that lubdub has to reach.

use std::fmt::Write;

use super::bars;
use super::data::{Data, Series};
use super::scenario::{BAR_WORKERS, Scenario};
use super::statistics::Spread;

const WIDTH: f64 = 720.0;
/// Where the bars begin: to the left are the names.
const LEFT: f64 = 150.0;
/// Where the longest whisker ends: to the right are the values.
const RIGHT: f64 = 90.0;
const ROW: f64 = 26.0;
const TOP: f64 = 56.0;
const GROUP: f64 = 24.0;
/// How many times longer than the longest bar a whisker may be; a longer one is cut, so that a
/// single disturbed round does not make everything else invisible.
const LONGEST_WHISKER: f64 = 1.5;

/// The rows of one number of workers.
#[derive(Debug)]
struct Group<'a> {
    workers: usize,
    rows: Vec<Row<'a>>,
}

#[derive(Debug)]
struct Row<'a> {
    peer: &'a str,
    class: &'static str,
    spread: Spread,
}

/// Readable on light and on dark pages.
const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}\
    .unit{fill:#656d76}.bar{fill:#b6c0ca}.best{fill:#7d8b99}.lubdub{fill:#c9184a}\
    line{stroke:#1f2328;stroke-width:1.5}.limit{stroke:#1a7f37;stroke-dasharray:5 3}\
    .limit-text{fill:#1a7f37}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.unit{fill:#8d96a0}.bar{fill:#444c56}\
    .best{fill:#6e7681}.lubdub{fill:#ff4d6d}line{stroke:#e6edf3}.limit{stroke:#3fb950}\
    .limit-text{fill:#3fb950}}</style>";

/// The plot of a scenario.
pub(super) fn svg(data: &Data, scenario: &Scenario) -> String {
    let groups: Vec<Group<'_>> = (data.workers(scenario.id).into_iter())
        .map(|workers| {
            let best = data.best_peer(scenario.id, workers);
            let rows = (data.peers(scenario.id, workers).into_iter())
                .filter_map(|peer| {
                    let series = Series {
                        scenario: scenario.id,
                        workers,
                        peer,
                    };
                    Some(Row {
                        peer,
                        class: match peer {
                            "lubdub" => "lubdub",
                            _ if best == Some(series) => "best",
                            _ => "bar",
                        },
                        spread: data.spread(series)?,
                    })
                })
                .collect();
            Group { workers, rows }
        })
        .collect();
    draw(scenario, &groups, bars::lowest(data, scenario))
}

/// Draws the groups, and the limit over those rows that it is about.
fn draw(scenario: &Scenario, groups: &[Group<'_>], limit: Option<f64>) -> String {
    let rows = || groups.iter().flat_map(|group| &group.rows);
    let largest = (rows().map(|row| row.spread.median))
        .chain(limit)
        .fold(f64::MIN_POSITIVE, f64::max);
    let most = (rows().map(|row| row.spread.most))
        .fold(largest, f64::max)
        .min(largest * LONGEST_WHISKER);
    let height = TOP + groups.len() as f64 * GROUP + rows().count() as f64 * ROW + 10.0;
    let x = |value: f64| LEFT + (value / most).min(1.0) * (WIDTH - LEFT - RIGHT);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>{title}</title>{STYLE}\n<text class=\"title\" x=\"10\" y=\"22\">{title}</text>\n\
         <text class=\"unit\" x=\"10\" y=\"42\">{unit}; less is better; the line spans all rounds</text>\n",
        title = escaped(scenario.title),
        unit = escaped(scenario.unit),
    );
    let mut y = TOP;
    for Group { workers, rows } in groups {
        let plural = if *workers == 1 { "" } else { "s" };
        let top = y + GROUP;
        line(
            &mut svg,
            format_args!(
                "<text class=\"unit\" x=\"10\" y=\"{}\">{workers} worker{plural}</text>",
                y + 16.0
            ),
        );
        y += GROUP;
        for Row {
            peer,
            class,
            spread,
        } in rows
        {
            let middle = y + ROW / 2.0;
            let end = x(spread.median);
            line(
                &mut svg,
                format_args!(
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                    LEFT - 8.0,
                    middle + 4.0,
                    escaped(peer)
                ),
            );
            line(
                &mut svg,
                format_args!(
                    "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"/>",
                    y + 4.0,
                    end - LEFT,
                    ROW - 8.0
                ),
            );
            line(
                &mut svg,
                format_args!(
                    "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>",
                    x(spread.least),
                    x(spread.most)
                ),
            );
            line(
                &mut svg,
                format_args!(
                    "<text x=\"{:.1}\" y=\"{}\">{:.*}</text>",
                    x(spread.most) + 8.0,
                    middle + 4.0,
                    scenario.decimals,
                    spread.median
                ),
            );
            y += ROW;
        }
        if let Some(limit) = limit.filter(|_| *workers == BAR_WORKERS) {
            let x = x(limit);
            line(
                &mut svg,
                format_args!(
                    "<line class=\"limit\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{y}\"/>"
                ),
            );
            line(
                &mut svg,
                format_args!(
                    "<text class=\"limit-text\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">\
                     to reach</text>",
                    top - 4.0
                ),
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(svg, "{text}").expect("a String takes everything");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::scenario::SCENARIOS;
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_medians() {
        let spread = |median: f64| Spread {
            median,
            least: median,
            most: median,
        };
        let row = |peer, class, median| Row {
            peer,
            class,
            spread: spread(median),
        };
        let group = |workers| Group {
            workers,
            rows: vec![row("lubdub", "lubdub", 5.0), row("a<b", "best", 10.0)],
        };
        let svg = draw(&SCENARIOS[0], &[group(1), group(2)], Some(2.5));
        assert!(
            svg.contains("class=\"lubdub\" x=\"150\" y=\"84\" width=\"240.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("class=\"best\" x=\"150\" y=\"110\" width=\"480.0\""),
            "{svg}"
        );
        assert!(svg.contains("a&lt;b"));
        // The limit stands in the first group alone.
        assert!(
            svg.contains("class=\"limit\" x1=\"270.0\" x2=\"270.0\" y1=\"80\" y2=\"132\""),
            "{svg}"
        );
        assert_eq!(svg.matches("<line ").count(), 5);
    }

    /// One round of two seconds among milliseconds once left nothing to be seen but a line.
    #[test]
    fn a_disturbed_round_does_not_hide_the_bars() {
        let row = Row {
            peer: "lubdub",
            class: "lubdub",
            spread: Spread {
                median: 1.0,
                least: 1.0,
                most: 1000.0,
            },
        };
        let group = Group {
            workers: 1,
            rows: vec![row],
        };
        let svg = draw(&SCENARIOS[0], &[group], None);
        assert!(svg.contains("width=\"320.0\""), "{svg}");
        assert!(svg.contains("x2=\"630.0\""), "{svg}");
    }

    #[test]
    fn a_limit_beyond_all_bars_still_stands_on_the_plot() {
        let svg = draw(&SCENARIOS[0], &[], Some(9.0));
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        let row = Row {
            peer: "lubdub",
            class: "lubdub",
            spread: Spread {
                median: 1.0,
                least: 1.0,
                most: 1.0,
            },
        };
        let group = Group {
            workers: 1,
            rows: vec![row],
        };
        let svg = draw(&SCENARIOS[0], &[group], Some(9.0));
        assert!(svg.contains("class=\"limit\" x1=\"630.0\""), "{svg}");
    }
}
