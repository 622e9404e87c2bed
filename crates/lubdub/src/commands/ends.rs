//! `lubdub ends`: the latest ends of a running lubdub, and why.

use clap::Args;

use super::ask::{self, Admin, Asking};
use super::human;
use super::table::{Align, Cell, Table, Tone, is_coloured};
use super::wanted::{self, Condition, condition};
use crate::api::{self, Status};
use crate::config::Sources;
use crate::output;

/// Which ends, and how they are shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ends {
    /// Only those, such as cause=client_lapsed, pair=17, route=NAME, upstream=NAME, listener=NAME or client=10.0.0.0/8; repeatable
    #[arg(long = "where", value_name = "KEY=VALUE", value_parser = known_condition)]
    conditions: Vec<Condition>,

    /// At most so many, of the 1,000 that are kept; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,

    /// As JSON, one end in a line
    #[arg(long)]
    json: bool,

    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

/// What `--where` takes.
const KEYS: [&str; 6] = ["route", "upstream", "listener", "client", "cause", "pair"];
/// Of so few all is told.
const FEW: usize = 3;

/// Shows them, the newest first.
pub(crate) fn ends(ends: &Ends, sources: &Sources) -> anyhow::Result<()> {
    let admin = Admin::find(&ends.asking, sources)?;
    let limit = ("limit", ends.limit.to_string());
    let more: &[_] = if ends.limit == 0 { &[] } else { &[limit] };
    let path = wanted::path("/api/v1/ends", &ends.conditions, more);
    let text = ask::block_on(async {
        let found: api::Ends = admin.get(&path).await?;
        if ends.json {
            return lines(&found.ends);
        }
        // How long ago an end was goes by the clock that told of it: this machine's may be another.
        let status: Status = admin.get("/api/v1/status").await?;
        Ok(told(&found, status.now, ends.limit))
    })?;
    Ok(output::print(&text)?)
}

fn lines(ends: &[api::End]) -> anyhow::Result<String> {
    let mut text = String::new();
    for end in ends {
        text.push_str(&serde_json::to_string(end)?);
        text.push('\n');
    }
    Ok(text)
}

fn told(found: &api::Ends, now: f64, limit: usize) -> String {
    let mut text = table(&found.ends, now).written(is_coloured());
    if found.ends.len() <= FEW {
        for end in &found.ends {
            text.push_str(&in_words(end));
        }
        text.push('\n');
    }
    text.push_str(&summary(found.ends.len(), found.kept, limit));
    text
}

fn known_condition(text: &str) -> Result<Condition, String> {
    condition(text, &KEYS)
}

fn summary(shown: usize, kept: usize, limit: usize) -> String {
    let count = |n: usize| human::count(n as u64);
    let kept = human::counted(kept as u64, "end");
    match shown {
        0 => format!("none of the last {kept}; `lubdub pairs` has those that are open\n"),
        _ if shown == limit => format!(
            "the newest {} that match, of the last {kept}; there may be more (--limit)\n",
            count(shown),
        ),
        _ => format!("{} of the last {kept}\n", count(shown)),
    }
}

fn table(ends: &[api::End], now: f64) -> Table {
    let mut table = Table::new(&[
        ("AGO", Align::Right),
        ("PAIR", Align::Right),
        ("CAUSE", Align::Left),
        ("WHERE", Align::Left),
        ("CLOSE", Align::Left),
        ("LIVED", Align::Right),
        ("ROUTE", Align::Left),
        ("CLIENT", Align::Left),
        ("RTT", Align::Right),
        ("UPSTREAM", Align::Left),
        ("RTT", Align::Right),
    ]);
    for end in ends {
        table.push(vec![
            Cell::plain(human::duration(now - end.at)),
            Cell::plain(end.pair.to_string()),
            Cell::new(&*end.cause, tone(&end.cause)),
            Cell::plain(end.diagnosis.as_deref().unwrap_or("-")),
            Cell::plain(close(end)),
            Cell::plain(human::duration(end.duration_seconds)),
            Cell::plain(&*end.route),
            Cell::plain(&*end.client.address),
            Cell::plain(human::round_trip(end.client.side.last_rtt_seconds)),
            Cell::plain(&*end.upstream.name),
            Cell::plain(human::round_trip(end.upstream.side.last_rtt_seconds)),
        ]);
    }
    table
}

/// What the eye is to find: ends that no endpoint wanted.
pub(super) fn tone(cause: &str) -> Tone {
    match cause {
        "client_closed" | "upstream_closed" | "drain" | "lifetime" | "admin" => Tone::Quiet,
        "internal" => Tone::Bad,
        cause if cause.ends_with("_lapsed") || cause.ends_with("_stalled") => Tone::Bad,
        _ => Tone::Notable,
    }
}

/// The Close that passed, as in "1001 by client".
pub(super) fn close(end: &api::End) -> String {
    match &end.close {
        None => "-".to_owned(),
        Some(api::Close {
            code: Some(code),
            by,
        }) => format!("{code} by {by}"),
        Some(api::Close { code: None, by }) => format!("without a code by {by}"),
    }
}

/// An end for who asks why.
fn in_words(end: &api::End) -> String {
    let mut out = format!("\npair {}: {}\n", end.pair, end.cause_text);
    if let Some(diagnosis) = &end.diagnosis {
        let words = match diagnosis.as_str() {
            "network" => "what was sent to it did not arrive: its network, or it is gone",
            "application" => "its kernel took what was sent, its program did not answer",
            _ => "the kernel could not tell whether it was the network or the program",
        };
        out.push_str(&format!("  {diagnosis}: {words}\n"));
    }
    if let Some(silence) = end.lapsed_after_seconds {
        out.push_str(&format!("  silent for {}\n", human::duration(silence)));
    }
    for (name, side) in [
        ("client", &end.client.side),
        ("upstream", &end.upstream.side),
    ] {
        out.push_str(&format!(
            "  {name}: heard {} before the end, {} of {} pings answered, round trip {}, {} relayed\n",
            human::duration(side.last_heard_seconds),
            side.pongs_received,
            side.pings_sent,
            human::round_trip(side.last_rtt_seconds),
            human::bytes(side.bytes),
        ));
    }
    out.push_str(&human::request(
        end.request.as_deref(),
        end.request_id.as_deref(),
    ));
    if let Some(hint) = &end.hint {
        out.push_str(&format!("  hint: {hint}\n"));
    }
    out
}
