//! The program: command line, configuration, logging. What it proxies with is `lubdub_proxy`.

mod admin;
mod cli;
mod commands;
mod config;
mod demo;
mod logging;
mod output;
mod version;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, Options, Which};
use config::{Config, Machine, Mistakes};

/// Something went wrong while running.
const FAILURE: u8 = 1;
/// The command line could not be understood (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;
/// The configuration is wrong (EX_CONFIG of sysexits.h).
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer(&error),
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "lubdub: {error:#}");
            ExitCode::from(if error.is::<Mistakes>() {
                CONFIGURATION
            } else {
                FAILURE
            })
        }
    }
}

/// Does what was asked.
fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let Cli { command, options } = cli;
    match command.unwrap_or(Command::Run) {
        Command::Run => commands::run::run(load(options)?),
        Command::Demo { lasting } => demo::demo(lasting),
        Command::Check => Ok(output::print(&commands::check::summary(&load(options)?))?),
        Command::Config { which } => Ok(output::print(&match which {
            Which::Defaults => config::defaults(),
            Which::Example => config::example(),
            Which::Effective => load(options)?.effective(),
            Which::Reference => config::reference(),
        })?),
    }
}

/// The configuration in this environment, on this machine.
fn load(options: Options) -> Result<Config, Mistakes> {
    config::load(
        &options.sources(std::env::vars_os().collect()),
        &Machine::probe(),
    )
}

/// What clap says in place of a command line: help and the version, or what is wrong with it.
fn answer(error: &clap::Error) -> ExitCode {
    // A reader that went away early is no failure, and there is nobody else to tell.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::SUCCESS
    }
}
