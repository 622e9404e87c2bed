//! `lubdub reload`: has a running lubdub read its configuration again, or say what that would change.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::ask::{self, Admin, Asking};
use super::human;
use super::upgrade::upgrade_if_new;
use crate::config::Sources;
use crate::output;

/// What to do.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reload {
    /// Change nothing: say what a reload would change, or what is wrong
    #[arg(long)]
    dry_run: bool,

    /// Upgrade instead, if the program on disk is another one than the one that runs; needs the token, as an upgrade
    /// does. SIGUSR1 does the same and needs none
    #[arg(long, conflicts_with = "dry_run")]
    upgrade_if_new: bool,

    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

/// Where reloads are asked for.
const PATH: &str = "/api/v1/reload";

/// Asks for it, and tells what came of it. A reload that is refused is a failure.
pub(crate) fn reload(reload: &Reload, sources: &Sources) -> anyhow::Result<ExitCode> {
    if reload.upgrade_if_new
        && let Some(told) = upgrade_if_new(&reload.asking, sources)?
    {
        output::print(&told)?;
        return Ok(ExitCode::SUCCESS);
    }
    let admin = Admin::find(&reload.asking, sources)?;
    let body = json!({ "dry_run": reload.dry_run });
    let answer: Value =
        ask::block_on(async { admin.post(PATH, &body).await }).context("no reload")?;
    output::print(&told(&answer))?;
    Ok(if answer["outcome"] == "refused" {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The answer for a person.
fn told(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    let mut told = String::new();
    let changes = list("changes");
    for change in &changes {
        let [key, before, after, applies] =
            ["key", "before", "after", "applies"].map(|key| text(&change[key]));
        let _ = match change["content_of"].as_str() {
            Some(file) => writeln!(told, "{key}: content of {file} changed, {applies}"),
            None => writeln!(told, "{key}: {before} -> {after}, {applies}"),
        };
    }
    for warning in list("warnings") {
        let (setting, reason) = (text(&warning["setting"]), text(&warning["reason"]));
        let _ = writeln!(told, "warning: {setting}: {reason}");
    }
    for mistake in list("mistakes") {
        let _ = writeln!(told, "{}", text(&mistake));
    }
    let generation = &answer["generation"];
    let changes = human::counted(changes.len() as u64, "change");
    let _ = match answer["outcome"].as_str() {
        Some("applied") => writeln!(told, "reloaded: {changes}, generation {generation}"),
        Some("possible") => writeln!(told, "a reload would make {changes}"),
        _ => writeln!(told, "refused: all is as it was"),
    };
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_told_and_from_when_on() {
        let change = json!({
            "key": "keepalive.client.interval", "before": "\"30s\"", "after": "\"5s\"",
            "origin": "lubdub.toml", "applies": "from the next ping",
        });
        let mut answer = json!({
            "outcome": "applied", "generation": 2, "changes": [change], "warnings": [],
        });
        let line = "keepalive.client.interval: \"30s\" -> \"5s\", from the next ping\n";
        let end = "reloaded: 1 change, generation 2\n";
        assert_eq!(told(&answer), [line, end].concat());
        answer["outcome"] = "possible".into();
        let end = "a reload would make 1 change\n";
        assert_eq!(told(&answer), [line, end].concat());
    }

    #[test]
    fn of_a_file_it_is_told_that_it_holds_something_else() {
        let change = json!({
            "key": "admin.token_file", "before": "\"token\"", "after": "\"token\"",
            "applies": "at once", "content_of": "/etc/lubdub/token",
        });
        let answer = json!({
            "outcome": "applied", "generation": 2, "changes": [change], "warnings": [],
        });
        let line = "admin.token_file: content of /etc/lubdub/token changed, at once\n";
        assert!(told(&answer).starts_with(line), "{}", told(&answer));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let answer = json!({ "outcome": "refused", "mistakes": ["a", "b"] });
        assert_eq!(told(&answer), "a\nb\nrefused: all is as it was\n");
    }
}
