//! `lubdub upgrade`: has a running lubdub replaced by the program that stands in its place on disk now,
//! without ending a pair.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::ask::{self, Admin, Asking};
use super::human;
use crate::config::Sources;
use crate::output;

/// What to do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Upgrade {
    /// Change nothing: only have the new program check the configuration
    #[arg(long)]
    check: bool,

    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

/// Where upgrades are asked for.
const PATH: &str = "/api/v1/upgrade";
/// A new program may take half of this to start, and thousands of pairs move.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for it, if the program on disk is another one than the one that runs, and tells what came of it. Nothing is
/// told if it is not.
pub(super) fn upgrade_if_new(asking: &Asking, sources: &Sources) -> anyhow::Result<Option<String>> {
    let asking = asking.clone().at_least(PATIENCE);
    let admin = Admin::find(&asking, sources)?;
    let body = json!({ "only_if_new": true });
    let answer: Value =
        ask::block_on(async { admin.post(PATH, &body).await }).context("no upgrade")?;
    Ok((answer["outcome"] != "current").then(|| told(&answer)))
}

/// Asks for it, and tells what came of it.
pub(crate) fn upgrade(upgrade: &Upgrade, sources: &Sources) -> anyhow::Result<()> {
    let asking = upgrade.asking.clone().at_least(PATIENCE);
    let admin = Admin::find(&asking, sources)?;
    let body = json!({ "check": upgrade.check });
    let answer: Value =
        ask::block_on(async { admin.post(PATH, &body).await }).context("no upgrade")?;
    Ok(output::print(&told(&answer))?)
}

/// The answer for a person.
fn told(answer: &Value) -> String {
    if answer["outcome"] == "possible" {
        return "the new program takes the configuration\n".to_owned();
    }
    let (successor, moved) = (&answer["successor"], answer["moved"].as_u64().unwrap_or(0));
    let kept = human::count(answer["kept"].as_u64().unwrap_or(0));
    let moved = human::counted(moved, "pair");
    format!(
        "upgraded: process {successor} goes on, {moved} moved to it, {kept} stay with the old one to their end\n"
    )
}
