//! `lubdub pairs`: the live pairs of a running lubdub, or one of them with the trace of its heartbeat.

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use super::ask::{self, Admin, Asking};
use super::human;
use super::table::{Align, Cell, Table, Tone, is_coloured};
use super::trace;
use super::wanted::{self, Condition, condition, pair_id};
use crate::api::{self, Sort};
use crate::config::Sources;
use crate::output::{self, Reader};

/// Which pairs, and how they are shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Pairs {
    /// Only this one, with the trace of its heartbeat: PAIR in the list, `pair` in the log
    #[arg(value_name = "ID", value_parser = pair_id, conflicts_with_all = ["conditions", "sort", "limit"])]
    id: Option<u64>,

    /// Only those, such as route=chat, upstream=NAME, listener=NAME, client=10.0.0.0/8, silent=client or silent_for=30s; repeatable
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = known_condition)]
    conditions: Vec<Condition>,

    /// In this order
    #[arg(long, value_enum, default_value_t = Sort::Oldest)]
    sort: Sort,

    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,

    /// As JSON, one pair in a line
    #[arg(long)]
    json: bool,

    /// Again and again, each second
    #[arg(long)]
    watch: bool,

    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

/// What `--where` takes.
const KEYS: [&str; 6] = [
    "route",
    "upstream",
    "listener",
    "client",
    "silent",
    "silent_for",
];
/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(1);
/// The most that one answer has.
const PAGE: usize = 1000;
/// A side that is silent for so long, in seconds, stands out: the default `keepalive.*.interval`.
const QUIET: f64 = 30.0;

/// Shows them.
pub(crate) fn pairs(pairs: &Pairs, sources: &Sources) -> anyhow::Result<()> {
    let admin = Admin::find(&pairs.asking, sources)?;
    let coloured = is_coloured();
    ask::block_on(async {
        loop {
            let text = match pairs.id {
                Some(id) => pairs.one(&admin, id, coloured).await?,
                None => pairs.list(&admin, coloured).await?,
            };
            // A person sees the newest in the place of the one before.
            let place = if pairs.watch && !pairs.json && stdout().is_terminal() {
                "\u{1b}[H\u{1b}[2J"
            } else {
                ""
            };
            let reader = output::print_on(&format!("{place}{text}"))?;
            if !pairs.watch || reader == Reader::HasGone {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    })
}

impl Pairs {
    async fn one(&self, admin: &Admin, id: u64, coloured: bool) -> anyhow::Result<String> {
        let path = format!("/api/v1/pairs/{id}");
        let text = match self.json {
            true => admin
                .get(&path)
                .await
                .map(|pair: Value| format!("{pair}\n")),
            false => admin
                .get(&path)
                .await
                .map(|pair| trace::told(&pair, coloured)),
        };
        text.with_context(|| format!("pair {id} cannot be shown"))
    }

    async fn list(&self, admin: &Admin, coloured: bool) -> anyhow::Result<String> {
        let (total, matched, found) = self.ask(admin).await?;
        let summary = summary(total, matched, found.len());
        match self.json {
            true => lines(&found),
            false => Ok(format!("{}{summary}\n", table(&found).written(coloured))),
        }
    }

    /// Page by page, until there are as many as are wanted.
    async fn ask(&self, admin: &Admin) -> anyhow::Result<(usize, usize, Vec<api::Pair>)> {
        let wanted = if self.limit == 0 {
            usize::MAX
        } else {
            self.limit
        };
        let mut found: Vec<api::Pair> = Vec::new();
        let mut after = None;
        loop {
            let limit = PAGE.min(wanted - found.len());
            let mut more = vec![
                ("limit", limit.to_string()),
                ("sort", self.sort.as_str().to_owned()),
            ];
            more.extend(after.map(|after| ("after", after)));
            let path = wanted::path("/api/v1/pairs", &self.conditions, &more);
            let page: api::Pairs = admin.get(&path).await?;
            found.extend(page.pairs);
            after = page.next;
            if after.is_none() || found.len() >= wanted {
                return Ok((page.total, page.matched, found));
            }
        }
    }
}

fn known_condition(text: &str) -> Result<Condition, String> {
    condition(text, &KEYS)
}

fn lines(pairs: &[api::Pair]) -> anyhow::Result<String> {
    let mut out = String::new();
    for pair in pairs {
        out.push_str(&serde_json::to_string(pair)?);
        out.push('\n');
    }
    Ok(out)
}

fn summary(total: usize, matched: usize, shown: usize) -> String {
    let count = |n: usize| human::count(n as u64);
    let all = human::counted(total as u64, "pair");
    match (matched == total, shown == matched) {
        (true, true) => all,
        (false, true) => format!("{} of {all}", count(matched)),
        (true, false) => format!("{} of {all} shown (--limit)", count(shown)),
        (false, false) => format!(
            "{} shown of {} that match, of {all} (--limit)",
            count(shown),
            count(matched),
        ),
    }
}

fn table(pairs: &[api::Pair]) -> Table {
    let mut table = Table::new(&[
        ("PAIR", Align::Right),
        ("AGE", Align::Right),
        ("ROUTE", Align::Left),
        ("CLIENT", Align::Left),
        ("SILENT", Align::Right),
        ("RTT", Align::Right),
        ("PONGS", Align::Right),
        ("UPSTREAM", Align::Left),
        ("SILENT", Align::Right),
        ("RTT", Align::Right),
        ("PONGS", Align::Right),
        ("BYTES UP", Align::Right),
        ("DOWN", Align::Right),
        ("REQUEST", Align::Left),
    ]);
    for pair in pairs {
        let (client, upstream) = (&pair.client.side, &pair.upstream.side);
        let request = pair.request.as_deref().unwrap_or("-");
        table.push(vec![
            Cell::plain(pair.id.to_string()),
            Cell::plain(human::duration(pair.age_seconds)),
            Cell::plain(&*pair.route),
            Cell::plain(&*pair.client.address),
            silence(client),
            Cell::plain(human::round_trip(client.last_rtt_seconds)),
            pongs(client),
            Cell::plain(format!("{} {}", pair.upstream.name, pair.upstream.address)),
            silence(upstream),
            Cell::plain(human::round_trip(upstream.last_rtt_seconds)),
            pongs(upstream),
            Cell::plain(human::bytes(client.bytes)),
            Cell::plain(human::bytes(upstream.bytes)),
            Cell::quiet(human::plain(request)),
        ]);
    }
    table
}

/// How long a side has been silent.
pub(super) fn silence(side: &api::Side) -> Cell {
    let tone = if side.last_heard_seconds > QUIET {
        Tone::Notable
    } else {
        Tone::Plain
    };
    Cell::new(human::duration(side.last_heard_seconds), tone)
}

/// Pongs of pings: one may be on its way.
pub(super) fn pongs(side: &api::Side) -> Cell {
    let missing = side.pings_sent.saturating_sub(side.pongs_received);
    let tone = match missing {
        0 | 1 => Tone::Plain,
        _ => Tone::Notable,
    };
    Cell::new(format!("{}/{}", side.pongs_received, side.pings_sent), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_shown_is_told() {
        assert_eq!(summary(1, 1, 1), "1 pair");
        assert_eq!(summary(0, 0, 0), "0 pairs");
        assert_eq!(summary(1, 0, 0), "0 of 1 pair");
        assert_eq!(
            summary(20_000, 20_000, 50),
            "50 of 20,000 pairs shown (--limit)"
        );
        assert_eq!(summary(20, 3, 3), "3 of 20 pairs");
        assert_eq!(
            summary(2000, 300, 50),
            "50 shown of 300 that match, of 2,000 pairs (--limit)"
        );
    }
}
