//! `lubdub drain`: has a running lubdub say farewell to all of its pairs or to some, shows how far it
//! is, or calls it off.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value};

use super::ask::{self, Admin, Asking};
use super::coherent::Cohere;
use super::human;
use crate::api::{self, DrainState, Drains};
use crate::config::{self, Sources, parse_duration};
use crate::output::{self, Reader};

/// Whom to drain, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct Drain {
    /// Only pairs of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,

    /// Only pairs that lead to this upstream
    // In place of the flag for every command, whose value is a URL.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,

    /// Only pairs that came in at this listener
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,

    /// Only pairs that opened so long ago, such as 2h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    older_than: Option<Duration>,

    /// Say the farewells over this time, instead of the configured drain.spread
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    spread: Option<Duration>,

    /// Call the drain off that is under way, or a whole one that stands
    #[arg(long)]
    cancel: bool,

    /// Begin nothing: show the latest drain
    #[arg(long)]
    show: bool,

    /// Go on telling how far it is, until it is over
    #[arg(long)]
    watch: bool,

    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

/// Where drains are ordered and told of.
const PATH: &str = "/api/v1/drain";
/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(1);

impl Cohere for Drain {
    fn objection(&self) -> Option<String> {
        let chosen = self.order().len() > usize::from(self.cancel);
        if self.cancel && self.show {
            Some("--cancel and --show do not go together".to_owned())
        } else if chosen && self.cancel {
            Some(
                "--cancel stands alone: there is one drain at a time, and it calls that off"
                    .to_owned(),
            )
        } else if chosen && self.show {
            Some("--show begins nothing, so that there is nobody to choose".to_owned())
        } else {
            None
        }
    }
}

impl Drain {
    /// As the admin listener takes it.
    fn order(&self) -> Map<String, Value> {
        let written = |duration: Option<Duration>| duration.map(config::written);
        let texts = [
            ("route", self.route.clone()),
            ("upstream", self.upstream.clone()),
            ("listener", self.listener.clone()),
            ("older_than", written(self.older_than)),
            ("spread", written(self.spread)),
        ];
        let texts = texts.map(|(key, text)| (key, text.map(Value::from)));
        let cancel = ("cancel", self.cancel.then_some(Value::Bool(true)));
        texts
            .into_iter()
            .chain([cancel])
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }
}

/// Asks for it, and tells what came of it. A drain that is called off while it is watched is a failure.
pub(crate) fn drain(drain: &Drain, sources: &Sources) -> anyhow::Result<ExitCode> {
    let admin = Admin::find(&drain.asking, sources)?;
    ask::block_on(async {
        let latest = match drain.show {
            true => admin.get::<Drains>(PATH).await?.drain,
            false => Some(admin.post(PATH, &Value::Object(drain.order())).await?),
        };
        let Some(mut latest) = latest else {
            output::print("there was no drain yet\n")?;
            return Ok(ExitCode::SUCCESS);
        };
        let mut reader = output::print_on(&told(&latest))?;
        while reader == Reader::Reads && drain.watch && latest.state.is_under_way() {
            tokio::time::sleep(LOOK).await;
            let now = admin.get::<Drains>(PATH).await?.drain;
            let Some(now) = now.filter(|now| now.id == latest.id) else {
                anyhow::bail!("another drain has taken its place");
            };
            if now != latest {
                latest = now;
                reader = output::print_on(&told(&latest))?;
            }
        }
        let is_lost = drain.watch && !drain.cancel && latest.state == DrainState::Cancelled;
        Ok(if is_lost {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    })
    .with_context(|| match drain.cancel {
        true => "nothing is called off",
        false => "no drain",
    })
}

fn told(drain: &api::Drain) -> String {
    line(drain) + "\n"
}

/// A drain in a line.
pub(super) fn line(drain: &api::Drain) -> String {
    let mut line = format!(
        "drain {} {}: {}, {} told, {} still open",
        drain.id,
        drain.state.as_str(),
        human::counted(drain.matched as u64, "pair"),
        human::count(drain.told as u64),
        human::count(drain.remaining as u64)
    );
    let names = [
        ("route", &drain.route),
        ("upstream", &drain.upstream),
        ("listener", &drain.listener),
    ];
    for (kind, name) in names {
        if let Some(name) = name {
            let _ = write!(line, "; {kind} {name}");
        }
    }
    let duration =
        |seconds| config::written(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    if let Some(age) = drain.older_than_seconds {
        let _ = write!(line, "; older than {}", duration(age));
    }
    if drain.spread_seconds > 0.0 {
        let _ = write!(line, "; over {}", duration(drain.spread_seconds));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_a_line() {
        let drain = api::Drain {
            id: 3,
            state: DrainState::Running,
            whole: false,
            route: Some("chat".to_owned()),
            upstream: None,
            listener: None,
            older_than_seconds: Some(7200.0),
            spread_seconds: 300.0,
            matched: 5000,
            told: 400,
            remaining: 4610,
        };
        assert_eq!(
            line(&drain),
            "drain 3 running: 5,000 pairs, 400 told, 4,610 still open; route chat; older than 2h; over 5m"
        );
    }
}
