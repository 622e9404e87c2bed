//! `lubdub status`: how a running lubdub is, as a whole.

use clap::Args;
use serde_json::Value;

use super::ask::{self, Admin, Asking};
use super::drain;
use super::human;
use super::table::{Align, Cell, Table, Tone, is_coloured};
use crate::api::{self, Budget, ReloadOutcome, Status};
use crate::config::Sources;
use crate::output;

/// How it is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Shown {
    /// As JSON
    #[arg(long)]
    json: bool,

    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

const PATH: &str = "/api/v1/status";
/// From this share on a budget stands out, and here it is nearly gone; the alerts begin at the first as well.
const NOTABLE: f64 = 0.8;
const NEARLY: f64 = 0.95;
/// A certificate that has fewer days stands out.
const DAYS: f64 = 14.0;

/// Shows it.
pub(crate) fn status(shown: &Shown, sources: &Sources) -> anyhow::Result<()> {
    let admin = Admin::find(&shown.asking, sources)?;
    let text = if shown.json {
        let status: Value = ask::block_on(async { admin.get(PATH).await })?;
        format!("{status:#}\n")
    } else {
        let status: Status = ask::block_on(async { admin.get(PATH).await })?;
        told(&status, is_coloured())
    };
    Ok(output::print(&text)?)
}

fn told(status: &Status, coloured: bool) -> String {
    let mut out = format!("{}\n", headline(status));
    out.push_str(&format!(
        "{} open, {} opened, {} ended; lapses: client {}, upstream {}\n",
        human::counted(status.totals.pairs, "pair"),
        human::count(status.totals.opened),
        human::count(status.totals.ended.values().sum()),
        human::count(status.totals.lapses.client.all()),
        human::count(status.totals.lapses.upstream.all()),
    ));
    if status.lingering_pairs > 0 {
        let pairs = human::counted(status.lingering_pairs, "pair");
        let go = if status.lingering_pairs == 1 {
            "goes"
        } else {
            "go"
        };
        out.push_str(&format!("{pairs} {go} on in earlier processes\n"));
    }
    if let Some(drain) = &status.drain {
        out.push_str(&format!("{}\n", drain::line(drain)));
    }
    if let Some(reload) = &status.last_reload {
        out.push_str(&last_reload(reload, status.now));
    }
    for table in [budgets(status), upstreams(status), certificates(status)] {
        if !table.is_empty() {
            out.push('\n');
            out.push_str(&table.written(coloured));
        }
    }
    out
}

/// Which lubdub it is, and whether it takes anybody new.
pub(super) fn headline(status: &Status) -> String {
    let state = match (status.draining, status.ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not ready",
    };
    format!(
        "lubdub {} ({}), process {}, up {}, configuration {}: {state}",
        status.version,
        status.revision,
        status.pid,
        human::duration(status.uptime_seconds),
        status.generation,
    )
}

fn last_reload(reload: &api::LastReload, now: f64) -> String {
    let ago = human::duration(now - reload.at);
    match reload.outcome {
        ReloadOutcome::Applied => {
            format!(
                "last reload: applied {ago} ago, {} changed\n",
                human::counted(reload.changes as u64, "key")
            )
        }
        ReloadOutcome::Refused => {
            let mut out = format!("last reload: refused {ago} ago, all is as it was:\n");
            for mistake in &reload.mistakes {
                out.push_str(&format!("  {}\n", human::plain(mistake)));
            }
            out
        }
    }
}

fn budgets(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("BUDGET", Align::Left),
        ("USED", Align::Right),
        ("OF", Align::Right),
        ("SHARE", Align::Right),
        ("SET BY", Align::Left),
        ("AT THE END", Align::Left),
    ]);
    for budget in Budget::fullest_first(&status.budgets) {
        let share = budget.share();
        table.push(vec![
            Cell::plain(budget.title()),
            Cell::plain(human::count(budget.used)),
            Cell::plain(human::count(budget.max)),
            Cell::new(format!("{:.0}%", share * 100.0), fullness(share)),
            Cell::quiet(budget.key.as_deref().unwrap_or("-")),
            Cell::quiet(&*budget.at_the_end),
        ]);
    }
    table
}

/// How a budget of which so much is used looks.
pub(super) fn fullness(share: f64) -> Tone {
    match share {
        share if share >= NEARLY => Tone::Bad,
        share if share >= NOTABLE => Tone::Notable,
        _ => Tone::Plain,
    }
}

fn upstreams(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("UPSTREAM", Align::Left),
        ("PAIRS", Align::Right),
        ("WAITING", Align::Right),
        ("REQUESTS", Align::Right),
        ("FAILED", Align::Right),
        ("LAST WELL", Align::Right),
        ("URL", Align::Left),
    ]);
    for upstream in &status.upstreams {
        let last = match upstream.last_success {
            Some(at) => format!("{} ago", human::duration(status.now - at)),
            None => "never".to_owned(),
        };
        table.push(vec![
            Cell::plain(&*upstream.name),
            Cell::plain(human::count(upstream.pairs)),
            Cell::plain(human::count(upstream.waiting)),
            Cell::plain(human::count(upstream.requests)),
            Cell::plain(human::count(upstream.failed_connects())),
            Cell::plain(last),
            Cell::quiet(upstream.url.as_deref().unwrap_or("not configured any more")),
        ]);
    }
    table
}

fn certificates(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("CERTIFICATE", Align::Left),
        ("LISTENER", Align::Left),
        ("DAYS LEFT", Align::Right),
    ]);
    for certificate in &status.certificates {
        let days = (certificate.expires - status.now) / 86_400.0;
        let tone = if days < DAYS { Tone::Bad } else { Tone::Plain };
        table.push(vec![
            Cell::plain(&*certificate.name),
            Cell::plain(&*certificate.listener),
            Cell::new(format!("{days:.0}"), tone),
        ]);
    }
    table
}
