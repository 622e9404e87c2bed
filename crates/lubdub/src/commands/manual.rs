//! `lubdub man [COMMAND]`: manual pages, one for the program and one for each command.

use std::io;

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::coherent::Cohere;
use crate::cli::Cli;

/// Which page.
#[derive(Debug, Clone, Args)]
pub(crate) struct Page {
    /// Of this command instead of the whole program, such as probe
    command: Vec<String>,
}

impl Cohere for Page {
    fn objection(&self) -> Option<String> {
        let is_known = find(Cli::command(), &self.command).is_some();
        (!is_known).then(|| format!("there is no command '{}'", self.command.join(" ")))
    }
}

/// A page made from `command`, the definition of the command line.
pub(crate) fn page(command: Command, page: &Page) -> anyhow::Result<String> {
    let version = command.get_version().unwrap_or_default().to_owned();
    let command = find(command, &page.command).context("there is no such command")?;
    Ok(String::from_utf8(rendered(command, &version)?)?)
}

/// The subcommand that `path` leads to.
fn find(mut command: Command, path: &[String]) -> Option<Command> {
    // What subcommands are called in full, and what flags they inherit, is only known then.
    command.build();
    path.iter().try_fold(command, |command, name| {
        command.find_subcommand(name).cloned()
    })
}

fn rendered(command: Command, version: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command)
        .source(format!("lubdub {version}"))
        .manual("lubdub")
        .render(&mut page)?;
    Ok(page)
}
