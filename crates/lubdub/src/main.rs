//! The program: command line, configuration, logging. What it proxies with is `lubdub_proxy`.

mod activation;
mod admin;
mod allocator;
mod api;
mod certificates;
mod cli;
mod commands;
mod config;
mod demo;
mod line_queue;
mod logging;
mod output;
mod plural;
mod reload;
mod service_manager;
mod upgrade;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command, Options, Which};
use commands::check::OnWarning;
use config::{Config, Machine, Mistakes, Sources, Warnings};
use upgrade::Start;

/// Something went wrong while running.
const FAILURE: u8 = 1;
/// The command line could not be understood (EX_USAGE of sysexits.h).
const USAGE: u8 = 64;
/// The configuration is wrong (EX_CONFIG of sysexits.h).
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    if let Some(code) = upgrade::be_starter() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer(&error),
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            output::complain(format_args!("{error:#}"));
            ExitCode::from(if error.is::<Mistakes>() || error.is::<Warnings>() {
                CONFIGURATION
            } else {
                FAILURE
            })
        }
    }
}

/// Does what was asked.
fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { command, options } = cli;
    match command.unwrap_or(Command::Run { take_over: false }) {
        Command::Run { take_over } => {
            let start = if take_over {
                Start::TakeOver
            } else {
                Start::Alone
            };
            return commands::run::run(sources(options), start);
        }
        Command::Demo { lasting } => demo::demo(lasting)?,
        Command::Check {
            file,
            deny_warnings,
        } => {
            let options = options.or_config(file);
            let on_warning = if deny_warnings {
                OnWarning::Deny
            } else {
                OnWarning::Tell
            };
            commands::check::check(&load(options)?, on_warning)?;
        }
        Command::Config { which } => output::print(&match which {
            Which::Defaults => config::defaults(),
            Which::Example => config::example(),
            Which::Effective => load(options)?.effective(),
            Which::Reference => config::reference(),
            Which::Schema => config::json_schema(),
        })?,
        Command::Probe(probe) => return commands::probe::probe(&probe, &sources(options)),
        Command::Healthcheck { url, timeout } => {
            commands::healthcheck::healthcheck(url, timeout, &sources(options))?;
        }
        Command::Status(shown) => commands::status::status(&shown, &sources(options))?,
        Command::Pairs(pairs) => commands::pairs::pairs(&pairs, &sources(options))?,
        Command::Ends(ends) => commands::ends::ends(&ends, &sources(options))?,
        Command::Top(top) => commands::top::top(&top, &sources(options))?,
        Command::Close(close) => commands::close::close(&close, &sources(options))?,
        Command::Drain(drain) => {
            let sources = sources(options.without_upstream());
            return commands::drain::drain(&drain, &sources);
        }
        Command::Reload(reload) => return commands::reload::reload(&reload, &sources(options)),
        Command::Upgrade(upgrade) => commands::upgrade::upgrade(&upgrade, &sources(options))?,
        Command::Explain { warning } => output::print(&config::explanation(warning.as_deref()))?,
        Command::Completions { shell } => {
            output::print(&commands::completions::script(shell, Cli::command()))?;
        }
        Command::Man { command } => {
            output::print(&commands::manual::page(Cli::command(), &command)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration in this environment, on this machine.
fn load(options: Options) -> Result<Config, Mistakes> {
    config::load(&sources(options), &Machine::probe())
}

/// All that the configuration is made from, in this environment.
fn sources(options: Options) -> Sources {
    options.sources(std::env::vars_os().collect())
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
