//! Guards the product from its measuring tools: an echo backend that is never the bottleneck, a
//! load generator, and side-by-side runs with other proxies. Never published; nothing of it is in
//! lubdub.

#![forbid(unsafe_code)]

mod accounting;
mod backend;
mod cli;
mod compare;
mod echo;
mod floor;
mod handshake;
mod inbox;
mod latency;
mod load;
mod machine;
mod message;
mod poller;
mod progress;
mod report;
#[cfg(test)]
mod smoke;
mod tls;
mod transport;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use backend::Backend;
use cli::{BackendArgs, Cli, Command, HoldArgs, LoadArgs};
use load::{Churn, Hold, Kind, Relay};
use progress::Progress;
use report::Report;

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "lubdub-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked.
fn dispatch(command: Command) -> anyhow::Result<()> {
    machine::raise_file_limit()?;
    match command {
        Command::Backend(args) => backend(&args),
        Command::Relay(args) => {
            let relay = Relay {
                connections: args.connections,
                idle: args.idle,
                bytes: args.bytes,
                in_flight: args.in_flight,
                rate: args.rate,
                warm_up: args.load.warm_up,
                duration: args.load.seconds,
                at_once: args.at_once,
                proxy: args.load.proxy_pid,
            };
            let found = |target| relay.run(target, Progress::on_terminal());
            tell(&args.load, |target| Ok(Report::Relay(found(target)?)))
        }
        Command::Bulk(args) => {
            let relay = Relay {
                connections: args.connections,
                idle: 0,
                bytes: args.bytes,
                in_flight: 1,
                rate: None,
                warm_up: args.load.warm_up,
                duration: args.load.seconds,
                at_once: args.connections,
                proxy: args.load.proxy_pid,
            };
            let found = |target| relay.run(target, Progress::on_terminal());
            tell(&args.load, |target| Ok(Report::Bulk(found(target)?)))
        }
        Command::Churn(args) => {
            let churn = Churn {
                connections: args.connections,
                bytes: args.bytes,
                warm_up: args.load.warm_up,
                duration: args.load.seconds,
                proxy: args.load.proxy_pid,
            };
            let found = |target| churn.run(target, Progress::on_terminal());
            tell(&args.load, |target| Ok(Report::Churn(found(target)?)))
        }
        Command::Idle(args) => {
            let hold = hold(&args, Kind::Idle);
            let found = |target| hold.run(target, Progress::on_terminal());
            tell(&args.load, |target| Ok(Report::Idle(found(target)?)))
        }
        Command::Heartbeat(args) => {
            let hold = hold(&args, Kind::Heartbeat);
            let found = |target| hold.run(target, Progress::on_terminal());
            tell(&args.load, |target| Ok(Report::Heartbeat(found(target)?)))
        }
        Command::Floor(args) => floor::run(args.kind, args.listen, args.backend),
        Command::Drive(args) => compare::drive(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Page(args) => compare::write_page_again(&args.out),
    }
}

/// Runs the echo backend.
fn backend(args: &BackendArgs) -> anyhow::Result<()> {
    machine::pin(args.pin.as_slice())?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(tls::server(cert, key)?),
        _ => None,
    };
    let backend = Backend::bind(args.listen, tls)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {}", backend.address()?)?;
    stdout.flush()?;
    backend.run()
}

/// Runs a load and tells what it found. A run that lost connections is a failure.
fn tell(
    args: &LoadArgs,
    load: impl FnOnce(load::Target) -> anyhow::Result<Report>,
) -> anyhow::Result<()> {
    machine::pin(args.pin.as_slice())?;
    let report = load(args.target()?)?;
    let text = if args.json {
        serde_json::to_string(&report)?
    } else {
        report.to_string()
    };
    writeln!(std::io::stdout(), "{text}")?;
    anyhow::ensure!(
        report.lost() == 0,
        "{} connections were lost",
        report.lost()
    );
    Ok(())
}

fn hold(args: &HoldArgs, kind: Kind) -> Hold {
    Hold {
        kind,
        connections: args.connections,
        bytes: args.bytes,
        at_once: args.at_once,
        settle: args.settle,
        duration: args.load.seconds,
        proxy: args.load.proxy_pid,
        backend: args.backend,
    }
}
