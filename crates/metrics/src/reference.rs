//! The reference page of the metrics, written from the table.
//!
//! The page is committed as `docs/reference/metrics.md`; a test fails when it is not what the table
//! says, and rewrites it when `LUBDUB_BLESS` is set.

use std::fmt::{Display, Result, Write};

use crate::closed_enum::Value;
use crate::handles::NO_ROUTE;
use crate::labels::Label;
use crate::process::PROCESS;
use crate::table::{Kind, Metric, TABLE};

/// The whole page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::new();
    write_page(&mut page).expect("a String takes whatever is written to it");
    page
}

fn write_page(page: &mut String) -> Result {
    page.push_str(INTRODUCTION);

    page.push_str("\n## Metrics\n");
    for metric in TABLE {
        write_metric(page, metric)?;
    }

    page.push_str("\n## Metrics of the process\n\n");
    page.push_str("Read from the operating system for each scrape; they have no labels.\n");
    for metric in PROCESS {
        write_metric(page, metric)?;
    }

    page.push_str("\n## Labels\n\n");
    write_values(page, "Label", Label::VALUES)?;
    for label in Label::ALL {
        if let Some(values) = label.values() {
            writeln!(page, "\n### Values of `{label}`{}\n", of_what(label))?;
            write_values(page, "Value", values)?;
        }
    }

    page.push_str("\n## How many series there are\n\n");
    write_cardinality(page)
}

/// What the label is of, where another one is written like it: so that each list has a heading of its own.
fn of_what(label: Label) -> &'static str {
    match label {
        Label::Outcome => " of handshakes",
        Label::Reload => " of reloads",
        Label::Connect => " of connects",
        Label::Direction => " of what is relayed",
        Label::Way | Label::Handover => " of hand-overs",
        Label::Reason => " of pauses",
        Label::TlsFailure => " of TLS handshakes",
        Label::Version
        | Label::Revision
        | Label::Listener
        | Label::Route
        | Label::Upstream
        | Label::Certificate
        | Label::Cause
        | Label::Side
        | Label::Diagnosis
        | Label::Opcode
        | Label::Class => "",
    }
}

const INTRODUCTION: &str = "\
<!-- Written from crates/metrics/src/table.rs: edit that, then
     LUBDUB_BLESS=1 cargo test -p lubdub-metrics --test reference -->

# Metrics

What lubdub tells Prometheus at `/metrics` of its admin listener.

Label values are configured names or come from the closed lists below: never an address, a path or
an id. Every series of lubdub's own exists from the start, for every configured listener, route,
upstream and certificate: at 0, unless it says something about the configuration.
";

fn write_metric(page: &mut String, metric: &Metric) -> Result {
    let Metric { name, help, .. } = metric;
    writeln!(page, "\n### `{name}`\n\n{help}\n")?;
    writeln!(page, "- Type: {}", metric.kind.as_str())?;
    if let Some(unit) = metric.unit {
        writeln!(page, "- Unit: {}", unit.as_str())?;
    }
    if !metric.labels.is_empty() {
        let labels = metric.labels.iter();
        let labels: Vec<_> = labels
            .map(|label| format!("`{label}`{}", of_what(*label)))
            .collect();
        writeln!(page, "- Labels: {}", labels.join(", "))?;
    }
    if let Kind::Histogram { buckets } = metric.kind {
        writeln!(page, "- Upper bounds of the buckets: {}", join(buckets))?;
    }
    Ok(())
}

fn write_values(page: &mut String, title: &str, values: &[Value]) -> Result {
    writeln!(page, "| {title} | Meaning |\n| --- | --- |")?;
    for Value { name, meaning } in values {
        writeln!(page, "| `{name}` | {meaning} |")?;
    }
    Ok(())
}

fn write_cardinality(page: &mut String) -> Result {
    let sum = |which: fn(&Metric) -> bool| -> usize {
        TABLE.iter().filter(|m| which(m)).map(Metric::series).sum()
    };
    let per_route = sum(|m| m.has(Label::Route) && !m.has(Label::Listener));
    let per_both = sum(|m| m.has(Label::Route) && m.has(Label::Listener));
    let of_none = |m: &Metric| m.has(Label::Outcome) || m.has(Label::Class);
    let unrouted = (TABLE
        .iter()
        .filter(|m| m.has(Label::Listener) && of_none(m)))
    .map(Metric::series)
    .sum::<usize>();
    let per_certificate = sum(|m| m.has(Label::Certificate));
    let per_listener =
        unrouted + sum(|m| m.has(Label::Listener) && !m.has(Label::Route)) - per_certificate;
    let per_upstream = sum(|m| m.has(Label::Upstream));
    let names = [Label::Listener, Label::Route, Label::Upstream];
    let of_none = TABLE
        .iter()
        .filter(|m| !names.iter().any(|name| m.has(*name)));
    let fixed = of_none.map(Metric::series).sum::<usize>() + PROCESS.len();

    writeln!(page, "| For each | Series |\n| --- | --- |")?;
    writeln!(page, "| process | {fixed} |")?;
    writeln!(page, "| listener (route `{NO_ROUTE}`) | {per_listener} |")?;
    writeln!(page, "| certificate of a listener | {per_certificate} |")?;
    writeln!(page, "| upstream | {per_upstream} |")?;
    writeln!(page, "| route | {per_route} |")?;
    writeln!(page, "| listener and route | {per_both} |")?;
    let one = fixed + per_listener + per_upstream + per_route + per_both;
    writeln!(
        page,
        "\nOne listener with one route to one upstream: {one} series."
    )
}

/// The items as code, one after the other.
fn join<T: Display>(items: &[T]) -> String {
    let code: Vec<_> = items.iter().map(|item| format!("`{item}`")).collect();
    code.join(", ")
}
