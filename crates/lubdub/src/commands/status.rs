//! `lubdub status`: how a running lubdub is, as a whole.

use clap::Args;
use serde_json::Value;

use super::ask::{self, Admin, Asking};
use super::human;
use super::table::{Align, Cell, Table, Tone, is_coloured};
use crate::api::{self, DrainState, ReloadOutcome, Status};
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
/// From this share on a budget stands out.
const NEARLY: f64 = 0.8;
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
        "{} pairs open, {} opened, {} ended; lapses: client {}, upstream {}\n",
        human::count(status.totals.pairs),
        human::count(status.totals.opened),
        human::count(status.totals.ended.values().sum()),
        human::count(lapses(&status.totals.lapses.client)),
        human::count(lapses(&status.totals.lapses.upstream)),
    ));
    if status.lingering_pairs > 0 {
        let pairs = human::count(status.lingering_pairs);
        out.push_str(&format!("{pairs} pairs go on in earlier processes\n"));
    }
    if let Some(drain) = &status.drain {
        out.push_str(&format!("{}\n", drain_in_words(drain)));
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

/// How far a drain is.
pub(super) fn drain_in_words(drain: &api::Drain) -> String {
    let state = match drain.state {
        DrainState::Waiting => "waits for drain.delay",
        DrainState::Running => "is under way",
        DrainState::Done => "is done",
        DrainState::Cancelled => "was called off",
    };
    let of = [
        ("route", &drain.route),
        ("upstream", &drain.upstream),
        ("listener", &drain.listener),
    ];
    let of = of
        .iter()
        .filter_map(|(kind, name)| Some(format!(" of {kind} {}", name.as_deref()?)));
    format!(
        "drain {}{} {state}: {} of {} pairs told, {} still open",
        drain.id,
        of.collect::<String>(),
        human::count(drain.told as u64),
        human::count(drain.matched as u64),
        human::count(drain.remaining as u64),
    )
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

fn lapses(side: &api::SideLapses) -> u64 {
    side.unknown + side.network + side.application
}

fn last_reload(reload: &api::LastReload, now: f64) -> String {
    let ago = human::duration(now - reload.at);
    match reload.outcome {
        ReloadOutcome::Applied => {
            format!(
                "last reload: applied {ago} ago, {} keys changed\n",
                reload.changes
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
    for budget in &status.budgets {
        let share = share(budget);
        let tone = if share >= NEARLY {
            Tone::Bad
        } else {
            Tone::Plain
        };
        let name = match &budget.of {
            Some(of) => format!("{} of {of}", budget.name),
            None => budget.name.clone(),
        };
        table.push(vec![
            Cell::plain(name),
            Cell::plain(human::count(budget.used)),
            Cell::plain(human::count(budget.max)),
            Cell::new(format!("{:.0}%", share * 100.0), tone),
            Cell::quiet(budget.key.as_deref().unwrap_or("-")),
            Cell::quiet(&*budget.at_the_end),
        ]);
    }
    table
}

/// How much of a budget is used.
#[expect(clippy::cast_precision_loss, reason = "a share is shown in per cent")]
pub(super) fn share(budget: &api::Budget) -> f64 {
    match budget.max {
        0 => 1.0,
        max => budget.used as f64 / max as f64,
    }
}

fn upstreams(status: &Status) -> Table {
    let mut table = Table::new(&[
        ("UPSTREAM", Align::Left),
        ("PAIRS", Align::Right),
        ("WAITING", Align::Right),
        ("REQUESTS", Align::Right),
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
