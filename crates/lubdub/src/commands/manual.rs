//! `lubdub man [COMMAND]`: manual pages, one for the program and one for each command.

use std::io;

use anyhow::Context as _;
use clap::Command;
use clap_mangen::Man;

/// The page of the subcommand that `path` leads to, made from the definition of the command line.
pub(crate) fn page(mut command: Command, path: &[String]) -> anyhow::Result<String> {
    // What subcommands are called in full, and what flags they inherit, is only known then.
    command.build();
    let version = command.get_version().unwrap_or_default().to_owned();
    let subcommand = path.iter().try_fold(command, |command, name| {
        command.find_subcommand(name).cloned()
    });
    let subcommand =
        subcommand.with_context(|| format!("there is no command {}", path.join(" ")))?;
    Ok(String::from_utf8(rendered(subcommand, &version)?)?)
}

fn rendered(command: Command, version: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command)
        .source(format!("lubdub {version}"))
        .manual("lubdub")
        .render(&mut page)?;
    Ok(page)
}
