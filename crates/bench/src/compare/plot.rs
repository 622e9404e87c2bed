//! A plot of one scenario as SVG: a bar for every proxy, and a whisker from the least to the most.

use std::fmt::Write;

use super::data::{Data, Series};
use super::scenario::Scenario;
use super::statistics::Spread;

const WIDTH: f64 = 720.0;
/// Where the bars begin: to the left are the names.
const LEFT: f64 = 150.0;
/// Where the longest whisker ends: to the right are the values.
const RIGHT: f64 = 90.0;
const ROW: f64 = 26.0;
const TOP: f64 = 56.0;
const GROUP: f64 = 24.0;

/// Readable on light and on dark pages.
const STYLE: &str = "<style>\
    text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}\
    .unit{fill:#656d76}.bar{fill:#9aa7b4}.lubdub{fill:#c9184a}\
    line{stroke:#1f2328;stroke-width:1.5}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.unit{fill:#8d96a0}.bar{fill:#57606a}\
    .lubdub{fill:#ff4d6d}line{stroke:#e6edf3}}</style>";

/// The plot of a scenario.
pub(super) fn svg(data: &Data, scenario: &Scenario) -> String {
    let groups: Vec<(usize, Vec<(&str, Spread)>)> = (data.workers(scenario.id).into_iter())
        .map(|workers| {
            let rows = (data.peers(scenario.id, workers).into_iter())
                .filter_map(|peer| {
                    let series = Series {
                        scenario: scenario.id,
                        workers,
                        peer,
                    };
                    Some((peer, data.spread(series)?))
                })
                .collect();
            (workers, rows)
        })
        .collect();
    draw(scenario, &groups)
}

fn draw(scenario: &Scenario, groups: &[(usize, Vec<(&str, Spread)>)]) -> String {
    let rows = || groups.iter().flat_map(|(_, rows)| rows);
    let most = rows()
        .map(|(_, spread)| spread.most)
        .fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + groups.len() as f64 * GROUP + rows().count() as f64 * ROW + 10.0;
    let x = |value: f64| LEFT + value / most * (WIDTH - LEFT - RIGHT);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>{title}</title>{STYLE}\n<text class=\"title\" x=\"10\" y=\"22\">{title}</text>\n\
         <text class=\"unit\" x=\"10\" y=\"42\">{unit}; less is better; the line spans all rounds</text>\n",
        title = escaped(scenario.title),
        unit = escaped(scenario.unit),
    );
    let mut y = TOP;
    for (workers, rows) in groups {
        let plural = if *workers == 1 { "" } else { "s" };
        line(
            &mut svg,
            format_args!(
                "<text class=\"unit\" x=\"10\" y=\"{}\">{workers} worker{plural}</text>",
                y + 16.0
            ),
        );
        y += GROUP;
        for (peer, spread) in rows {
            let class = if *peer == "lubdub" { "lubdub" } else { "bar" };
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
        let rows = vec![("lubdub", spread(5.0)), ("a<b", spread(10.0))];
        let svg = draw(&SCENARIOS[0], &[(1, rows)]);
        assert!(
            svg.contains("class=\"lubdub\" x=\"150\" y=\"84\" width=\"240.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("class=\"bar\" x=\"150\" y=\"110\" width=\"480.0\""),
            "{svg}"
        );
        assert!(svg.contains("a&lt;b"));
        assert_eq!(svg.matches("<line ").count(), 2);
    }
}
