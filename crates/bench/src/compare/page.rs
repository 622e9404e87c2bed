//! The page: what was measured, as ratios to lubdub, and which bars are met.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::data::{Data, Series};
use super::peer::family;
use super::plot;
use super::scenario::{Bar, SCENARIOS, Scenario};
use super::statistics::{Ratio, Spread};
use crate::load::{HoldReport, RelayReport};
use crate::report::Report;

/// The number of workers that the bars are about.
const BAR_WORKERS: usize = 1;

/// Writes the page and its plots.
pub(super) fn write(data: &Data, out: &Path) -> anyhow::Result<()> {
    let plots = out.join("benchmarks");
    fs::create_dir_all(&plots)?;
    for scenario in &SCENARIOS {
        if !data.workers(scenario.id).is_empty() {
            fs::write(
                plots.join(format!("{}.svg", scenario.id)),
                plot::svg(data, scenario),
            )?;
        }
    }
    Ok(fs::write(out.join("benchmarks.md"), page(data)?)?)
}

fn page(data: &Data) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    introduction(&mut page, data)?;
    bars(&mut page, data)?;
    for scenario in &SCENARIOS {
        if !data.workers(scenario.id).is_empty() {
            section(&mut page, data, scenario)?;
        }
    }
    if !data.failures.is_empty() {
        page.push_str("\n## What failed\n\n");
        for failure in &data.failures {
            writeln!(page, "- {failure}")?;
        }
    }
    Ok(page)
}

fn introduction(page: &mut String, data: &Data) -> std::fmt::Result {
    page.push_str(
        "# Benchmarks\n\n*This page is made by `make bench`, which measures everything anew on the \
         machine that it runs on; the data behind it is in \
         [benchmarks/data.json](benchmarks/data.json).*\n\n",
    );
    if let Some(note) = &data.note {
        writeln!(page, "**Note:** {note}\n")?;
    }
    writeln!(
        page,
        "{}, {} cores, Linux {}. {} rounds, in which the proxies take turns, of {} s each. With one \
         worker the proxy sits on one core, and load generator and backend on the others; where no \
         core would be left for those, nobody is pinned.\n",
        data.machine.processor, data.machine.cores, data.machine.kernel, data.rounds, data.seconds,
    )?;
    page.push_str(
        "CPU is the user and system time of the proxy, all its threads and processes, as the \
         kernel accounts it. A message is relayed in one direction: an echo is two. Everything \
         goes through the loopback interface, where the sender of a packet also pays for most of \
         its reception. Memory is what belongs to the proxy's processes alone; socket buffers of \
         the kernel are not in it. Less is better everywhere. lubdub runs at its defaults, heartbeat \
         included; the peers only relay. How each is configured: `crates/bench/peers`.\n\n",
    );
    page.push_str("| proxy | version |\n| --- | --- |\n");
    for (name, version) in &data.versions {
        writeln!(page, "| {name} | {version} |")?;
    }
    Ok(())
}

/// Which bars are met.
fn bars(page: &mut String, data: &Data) -> std::fmt::Result {
    page.push_str(
        "\n## Bars\n\nWith one worker. A bar is met when the 95 % interval of the paired ratios \
         includes it or is below it. Of a peer's variants the best counts.\n\n\
         | what | bar | seen | |\n| --- | --- | --- | --- |\n",
    );
    for scenario in &SCENARIOS {
        for &bar in scenario.bars {
            let own = Series {
                scenario: scenario.id,
                workers: BAR_WORKERS,
                peer: "lubdub",
            };
            let (wanted, at_most, seen) = match bar {
                Bar::Peer(peer, at_most) => (
                    format!("{at_most} x {peer}"),
                    at_most,
                    best(data, scenario, peer).and_then(|best| data.ratio(own, best)),
                ),
                Bar::Own(other, at_most) => (
                    format!("{at_most} x {other}"),
                    at_most,
                    data.ratio(
                        own,
                        Series {
                            scenario: other,
                            ..own
                        },
                    ),
                ),
                Bar::Absolute(at_most) => (
                    format!("{at_most} {}", scenario.unit),
                    at_most,
                    data.spread(own).map(|spread| Ratio {
                        median: spread.median,
                        low: spread.least,
                        high: spread.most,
                    }),
                ),
            };
            let (seen, verdict) = match seen {
                None => ("not measured".to_owned(), ""),
                Some(ratio) if ratio.meets(at_most) => (show_ratio(&ratio), "met"),
                Some(ratio) => (show_ratio(&ratio), "**missed**"),
            };
            let id = scenario.id;
            writeln!(page, "| [{id}](#{id}) | {wanted} | {seen} | {verdict} |")?;
        }
    }
    Ok(())
}

/// The variant of a peer with the smallest median.
fn best<'a>(data: &'a Data, scenario: &'a Scenario, peer: &str) -> Option<Series<'a>> {
    (data.peers(scenario.id, BAR_WORKERS).into_iter())
        .filter(|name| family(name) == peer)
        .filter_map(|name| {
            let series = Series {
                scenario: scenario.id,
                workers: BAR_WORKERS,
                peer: name,
            };
            Some((series, data.spread(series)?.median))
        })
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(series, _)| series)
}

fn section(page: &mut String, data: &Data, scenario: &Scenario) -> std::fmt::Result {
    let Scenario {
        id,
        title,
        about,
        unit,
        decimals,
        ..
    } = scenario;
    writeln!(
        page,
        "\n## {id}\n\n{title}. {about}\n\n![{title}](benchmarks/{id}.svg)"
    )?;
    for workers in data.workers(id) {
        writeln!(
            page,
            "\n{workers} worker{}:\n\n| proxy | {unit} | least to most | lubdub / it (95 %) | besides |\n\
             | --- | ---: | ---: | ---: | --- |",
            if workers == 1 { "" } else { "s" }
        )?;
        for peer in data.peers(id, workers) {
            let series = Series {
                scenario: id,
                workers,
                peer,
            };
            let Some(spread) = data.spread(series) else {
                continue;
            };
            let own = Series {
                peer: "lubdub",
                ..series
            };
            let ratio = match data.ratio(own, series) {
                Some(ratio) if peer != "lubdub" => show_ratio(&ratio),
                _ => String::new(),
            };
            writeln!(
                page,
                "| {peer} | {:.decimals$} | {:.decimals$} to {:.decimals$} | {ratio} | {} |",
                spread.median,
                spread.least,
                spread.most,
                besides(data, series)
            )?;
        }
    }
    Ok(())
}

/// What else is worth a look: medians over the rounds.
fn besides(data: &Data, series: Series<'_>) -> String {
    let relayed = |value: fn(&RelayReport) -> Option<f64>| {
        median(data, series, |report| report.relayed().and_then(value))
    };
    let held =
        |value: fn(&HoldReport) -> f64| median(data, series, |report| report.held().map(value));
    let Some(first) = data.series(series).next().map(|m| &m.report) else {
        return String::new();
    };
    match first {
        Report::Relay(first) => match first.rate {
            Some(rate) => format!(
                "p50 {:.0} us, p99.9 {:.0} us at {rate:.0} echoes/s",
                relayed(|report| Some(report.latency.p50_us)),
                relayed(|report| Some(report.latency.p999_us)),
            ),
            None => format!(
                "{:.0} messages/s, {:.2} us in user space, p99 {:.0} us",
                relayed(|report| Some(report.messages_per_second)),
                relayed(|report| report.user_us_per_message),
                relayed(|report| Some(report.latency.p99_us)),
            ),
        },
        Report::Bulk(first) => {
            let rate = relayed(|report| Some(report.messages_per_second));
            let mebibytes = first.bytes as f64 / f64::from(1 << 20);
            format!("{:.0} MiB/s", rate * mebibytes)
        }
        Report::Churn(_) => format!(
            "{:.0} sessions/s",
            median(data, series, |report| report
                .churned()
                .map(|report| report.sessions_per_second))
        ),
        Report::Idle(_) | Report::Heartbeat(_) => {
            let lost: u64 = data.series(series).map(|m| m.report.lost()).sum();
            let storm = held(|report| report.storm_seconds);
            format!("storm {storm:.1} s, {lost} lost")
        }
    }
}

/// The median of one result over the rounds.
fn median(data: &Data, series: Series<'_>, value: impl Fn(&Report) -> Option<f64>) -> f64 {
    let values: Vec<f64> = (data.series(series))
        .filter_map(|measurement| value(&measurement.report))
        .collect();
    Spread::of(&values).map_or(f64::NAN, |spread| spread.median)
}

fn show_ratio(ratio: &Ratio) -> String {
    format!(
        "{:.2} ({:.2} to {:.2})",
        ratio.median, ratio.low, ratio.high
    )
}
