//! The page: what was measured, as ratios to lubdub, and which bars are met. What somebody has
//! written about it by hand is taken from a file of its own, so that it outlives the page.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;

use super::bars::{judge, show};
use super::data::{Data, Series};
use super::plot;
use super::scenario::{BAR_WORKERS, SCENARIOS, Scenario};
use crate::load::{HoldReport, RelayReport, Slice};
use crate::report::Report;

/// What was written by hand, beside the page.
const NOTES: &str = "benchmarks-notes.md";
/// The pairs for which memory is computed, and how they are written.
const FAR: f64 = 100_000.0;
const FAR_SHOWN: &str = "100,000";
const MEBIBYTE: f64 = (1_u64 << 20) as f64;

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
    let notes = match fs::read_to_string(out.join(NOTES)) {
        Ok(notes) => notes,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {NOTES}")),
    };
    Ok(fs::write(out.join("benchmarks.md"), page(data, &notes)?)?)
}

fn page(data: &Data, notes: &str) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    introduction(&mut page, data)?;
    bars(&mut page, data)?;
    if !notes.trim().is_empty() {
        writeln!(
            page,
            "\n## Notes\n\n*Written by hand, in [{NOTES}]({NOTES}).*\n\n{}",
            notes.trim()
        )?;
    }
    scale(&mut page, data)?;
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
    let Data {
        machine,
        arguments,
        note,
        rounds,
        seconds,
        cycles,
        slice_seconds,
        ..
    } = data;
    writeln!(
        page,
        "# Benchmarks\n\n*This page is made by `make bench`, which measures everything anew on the \
         machine that it runs on. As it stands: `make bench BENCH_ARGS=\"{arguments}\"`. The data \
         behind it is in [benchmarks/data.json](benchmarks/data.json).*\n"
    )?;
    if let Some(note) = note {
        writeln!(page, "**Note:** {note}\n")?;
    }
    let latency = match data.slices("latency") {
        many if many > *cycles => format!(" ({many} of latency, which differs most)"),
        _ => String::new(),
    };
    writeln!(
        page,
        "{}, {} cores, Linux {}.\n\n\
         **In slices** (relay, latency, bulk, churn): all proxies are up at once, each with a backend and a \
         load generator of its own, connected and silent. They are driven in turn, {:.0} ms each, in \
         another order in each of {cycles} cycles{latency}. A slice begins and ends in silence, and its cost is all \
         that the proxy spent in between. *lubdub-again* is the same program once more: what its ratio is \
         off 1 is the error of the others. *floor-epoll* and *floor-tokio* are bare relays that look at \
         nothing, on epoll and on tokio.\n\n\
         **In whole runs** (heartbeat, sparse, idle): {rounds} rounds of what a bar is about, fewer of the \
         rest; in each everything is measured once, for {seconds} s, and the proxies take turns. For each \
         measurement proxy and backend are started anew.\n\n\
         With one worker the proxy sits on one core, and load generator and backend on the others; where no \
         core would be left for those, nobody is pinned.\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        slice_seconds * 1000.0,
    )?;
    page.push_str(
        "CPU is the user and system time of the proxy, all its threads and processes, as the \
         kernel accounts it, in nanoseconds by the scheduler's clock. A message is relayed in one \
         direction: an echo is two. Everything goes through the loopback interface, where the \
         sender of a packet also pays for most of its reception. Memory is what belongs to the \
         proxy's processes alone, less what did before the storm; socket buffers of the kernel are \
         not in it. Less is better everywhere.\n\n\
         Ratios are lubdub's value divided by the peer's of the same cycle or round. Of slices it is the \
         median with its 95 % interval (by order: nothing is assumed of how they spread), of rounds the \
         geometric mean with its own (Student's t, on logarithms). Values are medians. \
         *Cores busy* is how much of its cores the proxy used: where one worker used all of one, \
         it was the limit, and where it did not, load generator and backend were. The best peer of \
         a table is bold.\n\n\
         lubdub runs at its defaults; the peers only relay. At the default of 30 s the first ping \
         of a pair is due 15 to 30 s after its handshake, so in a measurement of a few seconds the \
         heartbeat is armed but hardly beats: what beating costs is measured in heartbeat. How \
         each proxy is configured: `crates/bench/peers`.\n\n",
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
        "\n## Bars\n\nWith one worker. A bar is met when the 95 % interval of the paired ratios is below \
         it, or at most 3 % beyond it (*within the noise*). Where it is neither that nor all above the \
         bar, nothing is decided. Of a peer's variants the best counts. The control is the same program \
         twice, in the same cycles.\n\n\
         | what | at most | seen | | control |\n| --- | --- | --- | --- | --- |\n",
    );
    for scenario in &SCENARIOS {
        let id = scenario.id;
        // What was left out has no place on the page.
        let what = match data.workers(id).is_empty() {
            true => id.to_owned(),
            false => format!("[{id}](#{id})"),
        };
        for &bar in scenario.bars {
            let it = judge(data, scenario, bar);
            writeln!(
                page,
                "| {what} | {} | {} | {} | {} |",
                it.wanted, it.seen, it.verdict, it.control
            )?;
        }
    }
    Ok(())
}

/// What cannot be measured within the limit of open files.
fn scale(page: &mut String, data: &Data) -> std::fmt::Result {
    let idle = "idle";
    let peers = data.peers(idle, BAR_WORKERS);
    if peers.is_empty() {
        return Ok(());
    }
    let files = data.machine.files;
    writeln!(
        page,
        "\n## Scale\n\nA process of this machine can hold at most {files} file descriptors, two for \
         each pair. What is said of more is not measured but computed, from the memory before the \
         storm and the slope that [idle](#idle) has measured:\n\n\
         | proxy | MiB before the storm | KiB per pair | MiB for {FAR_SHOWN} pairs, computed |\n\
         | --- | ---: | ---: | ---: |"
    )?;
    for peer in peers {
        let series = Series {
            scenario: idle,
            workers: BAR_WORKERS,
            peer,
        };
        let held = |value: fn(&HoldReport) -> Option<f64>| {
            data.median(series, |report| report.held().and_then(value))
        };
        let before = held(|report| report.memory_before.map(|bytes| bytes as f64));
        if let Some((before, each)) = before.zip(held(|report| report.memory_per_pair)) {
            writeln!(
                page,
                "| {peer} | {:.1} | {:.2} | {:.0} |",
                before / MEBIBYTE,
                each / 1024.0,
                (before + each * FAR) / MEBIBYTE
            )?;
        }
    }
    let heartbeat = Series {
        scenario: "heartbeat",
        workers: BAR_WORKERS,
        peer: "lubdub",
    };
    if let Some(cores) = data.median(heartbeat, Report::proxy_load) {
        writeln!(
            page,
            "\nThe pings of {FAR_SHOWN} pairs at 30 s are measured, though on fewer pairs: in \
             [heartbeat](#heartbeat) they take {cores:.2} of a core."
        )?;
    }
    Ok(())
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
        let best = data.best_peer(id, workers);
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
                Some(ratio) if peer != "lubdub" => show(&ratio),
                _ => String::new(),
            };
            let mark = if best == Some(series) { "**" } else { "" };
            writeln!(
                page,
                "| {mark}{peer}{mark} | {:.decimals$} | {:.decimals$} to {:.decimals$} | {ratio} | {} |",
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
    let all =
        |value: &dyn Fn(&Report) -> Option<f64>| data.median(series, value).unwrap_or(f64::NAN);
    let relayed =
        |value: fn(&RelayReport) -> Option<f64>| all(&|report| report.relayed().and_then(value));
    let held = |value: fn(&HoldReport) -> Option<f64>| all(&|report| report.held().and_then(value));
    let cores = all(&Report::proxy_load);
    let busy = format!("{cores:.2} cores busy");
    let Some(first) = data.series(series).next().map(|m| &m.report) else {
        return String::new();
    };
    match first {
        Report::Slice(_) => {
            let sliced = |value: fn(&Slice) -> f64| all(&|report| report.slice().map(value));
            format!(
                "{:.0}/s, p99 {:.0} us, {busy}",
                sliced(Slice::per_second),
                sliced(|slice| slice.p99_us)
            )
        }
        Report::Relay(_) | Report::Bulk(_) => format!(
            "{:.0} messages/s, {:.2} us in user space, p99 {:.0} us, {busy}",
            relayed(|report| Some(report.messages_per_second)),
            relayed(|report| report.user_us_per_message),
            relayed(|report| Some(report.latency.p99_us)),
        ),
        Report::Churn(_) => busy,
        Report::Idle(_) => storm(data, series),
        Report::Heartbeat(_) => format!(
            "{:.0} pings/s, {:.2} KiB per pair, {}, {busy}",
            held(|report| report.pings_per_second),
            held(|report| report.memory_per_pair) / 1024.0,
            storm(data, series)
        ),
    }
}

/// How long a storm took, and how many pairs were lost in all rounds.
fn storm(data: &Data, series: Series<'_>) -> String {
    let seconds = data.median(series, |report| Some(report.held()?.storm_seconds));
    let lost: u64 = data.series(series).map(|m| m.report.lost()).sum();
    format!("storm {:.1} s, {lost} lost", seconds.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{held, sliced};

    fn held_data() -> Data {
        let idle = |value| (value, Report::Idle(held(0.0, 0)));
        Data::empty()
            .with("idle", "lubdub", vec![idle(2.0), idle(2.1), idle(2.0)])
            .with("idle", "nginx", vec![idle(18.0), idle(18.0), idle(17.0)])
    }

    #[test]
    fn what_was_written_by_hand_outlives_the_page() {
        let page = page(&held_data(), "\nWhy it is **so**.\n\n").unwrap();
        assert!(page.contains("## Notes\n"), "{page}");
        assert!(page.contains("\n\nWhy it is **so**.\n\n## Scale"), "{page}");
        let bare = super::page(&held_data(), "  \n").unwrap();
        assert!(!bare.contains("## Notes"), "{bare}");
    }

    #[test]
    fn scale_is_computed_from_the_slope_and_says_so() {
        let page = page(&held_data(), "").unwrap();
        assert!(page.contains("at most 20000 file descriptors"), "{page}");
        // 10 MiB, and 2 KiB for each of 100,000.
        assert!(page.contains("| lubdub | 10.0 | 2.00 | 205 |"), "{page}");
    }

    #[test]
    fn the_page_says_how_to_repeat_it_and_whose_variant_is_best() {
        let page = page(&held_data(), "").unwrap();
        assert!(page.contains("`make bench BENCH_ARGS=\"--rounds 3\"`"));
        assert!(page.contains("| **nginx** | 18.00 |"), "{page}");
        assert!(page.contains("| [idle](#idle) | 2.3 KiB of private memory per pair | 2.03 ("));
    }

    #[test]
    fn a_value_that_is_missing_is_not_a_zero() {
        let data = Data::empty().with("churn", "lubdub", vec![(5.0, sliced())]);
        let page = page(&data, "").unwrap();
        assert!(page.contains("| [churn](#churn) | 1 x haproxy | not measured |  |"));
        assert!(
            page.contains("| idle | 2.3 KiB"),
            "a link to nowhere: {page}"
        );
        assert!(!page.contains("## Scale"), "{page}");
    }
}
