//! The command line of the bench.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::accounting::Pid;
use crate::floor;
use crate::load::Target;
use crate::machine::Core;
use crate::tls;

/// The measuring bench of lubdub: an echo backend, a load generator and side-by-side runs.
#[derive(Debug, Parser)]
#[command(name = "lubdub-bench", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Echo messages, answer pings, until stopped
    Backend(BackendArgs),
    /// Send messages and wait for their echoes
    Relay(RelayArgs),
    /// Send large messages: relay with other defaults
    Bulk(BulkArgs),
    /// Connect, send one message, close, and again
    Churn(ChurnArgs),
    /// Hold idle connections after a storm of connects, and measure the proxy's memory
    Idle(HoldArgs),
    /// Hold connections that are pinged, and measure what a ping costs
    Heartbeat(HoldArgs),
    /// Relay bytes and look at nothing: what a proxy costs at least
    Floor(FloorArgs),
    /// Drive a scenario in slices, as standard input says; compare starts this
    #[command(hide = true)]
    Drive(DriveArgs),
    /// Measure lubdub and the peers of this machine side by side, and write the page
    Compare(CompareArgs),
    /// Write the page anew from what was measured before
    Page(PageArgs),
}

/// The echo backend.
#[derive(Debug, Args)]
pub(crate) struct BackendArgs {
    /// Where to listen; port 0 lets the kernel choose, and the address is printed
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// Speak TLS with this certificate
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Stay on this core
    #[arg(long, value_name = "CORE")]
    pub pin: Option<Core>,
}

/// The bare relay.
#[derive(Debug, Args)]
pub(crate) struct FloorArgs {
    /// How it waits
    #[arg(long)]
    pub kind: floor::Kind,
    /// Where to listen
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Where to connect to
    #[arg(long, value_name = "ADDR")]
    pub backend: SocketAddr,
}

/// A scenario in slices.
#[derive(Debug, Args)]
pub(crate) struct DriveArgs {
    /// Its name
    #[arg(long)]
    pub scenario: String,
    /// Where to connect to
    #[arg(long)]
    pub url: String,
    /// Whom to trust for wss://
    #[arg(long, value_name = "PEM")]
    pub ca: Option<PathBuf>,
    /// The process of the proxy
    #[arg(long, value_name = "PID")]
    pub proxy_pid: Option<Pid>,
    /// From how many loopback addresses to connect
    #[arg(long, value_name = "NUMBER", default_value_t = 256)]
    pub sources: u32,
}

/// What every load needs to know.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Where to connect to, such as ws://127.0.0.1:8080/
    #[arg(long)]
    pub url: String,
    /// Whom to trust for wss://
    #[arg(long, value_name = "PEM")]
    pub ca: Option<PathBuf>,
    /// The process of the proxy, whose cost is measured together with its children's
    #[arg(long, value_name = "PID")]
    pub proxy_pid: Option<Pid>,
    /// Stay on this core
    #[arg(long, value_name = "CORE")]
    pub pin: Option<Core>,
    /// How long to measure
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub seconds: Duration,
    /// How long to go on before anything is counted
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
    /// From how many loopback addresses to connect; 0: from the usual one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub sources: u32,
    /// Print JSON instead of a line
    #[arg(long)]
    pub json: bool,
}

/// Messages there and back.
#[derive(Debug, Args)]
pub(crate) struct RelayArgs {
    /// What every load needs to know.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How many connections send
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// How many more connections are open, and send nothing
    #[arg(long, default_value_t = 0)]
    pub idle: usize,
    /// How long a message is
    #[arg(long, default_value_t = 125)]
    pub bytes: usize,
    /// How many messages of a connection are under way at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub in_flight: u64,
    /// Send so many messages each second over all connections, whatever comes back
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub rate: Option<f64>,
    /// How many handshakes are under way at a time
    #[arg(long, default_value_t = 256)]
    pub at_once: usize,
}

/// Large messages there and back.
#[derive(Debug, Args)]
pub(crate) struct BulkArgs {
    /// What every load needs to know.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How many connections send
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// How long a message is
    #[arg(long, default_value_t = 1 << 20)]
    pub bytes: usize,
}

/// Short sessions.
#[derive(Debug, Args)]
pub(crate) struct ChurnArgs {
    /// What every load needs to know.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How many sessions there are at a time
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// How long the message is
    #[arg(long, default_value_t = 125)]
    pub bytes: usize,
}

/// Connections that stay. Nothing is sent but one message at the beginning.
#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    /// What every load needs to know.
    #[command(flatten)]
    pub load: LoadArgs,
    /// How many connections stay
    #[arg(long, default_value_t = 9_000)]
    pub connections: usize,
    /// How long the message is
    #[arg(long, default_value_t = 125)]
    pub bytes: usize,
    /// How many handshakes are under way at a time in the storm
    #[arg(long, default_value_t = 2_000)]
    pub at_once: usize,
    /// How long to wait between the storm and the measurement
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub settle: Duration,
    /// An echo backend of this program, to be asked how many pings it has seen
    #[arg(long, value_name = "ADDR")]
    pub backend: Option<SocketAddr>,
}

/// A side-by-side run.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The program to be measured; if not given, the one beside this program
    #[arg(long, value_name = "PATH")]
    pub lubdub: Option<PathBuf>,
    /// How often everything is measured that a bar is about, in turns; the rest is measured three
    /// times at most
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// How long each measurement takes
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = seconds)]
    pub seconds: Duration,
    /// How often what is measured in slices is: every proxy once in each cycle. Latency is six times as often
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    pub cycles: u64,
    /// How long a slice is
    #[arg(long, value_name = "SECONDS", default_value = "0.1", value_parser = seconds)]
    pub slice: Duration,
    /// With how many worker threads or processes, such as 1,2
    #[arg(long, value_delimiter = ',', default_value = "1")]
    pub workers: Vec<usize>,
    /// Only these scenarios, by their names on the page
    #[arg(long, value_delimiter = ',')]
    pub scenario: Vec<String>,
    /// Only these peers; lubdub always takes part
    #[arg(long, value_delimiter = ',')]
    pub peer: Vec<String>,
    /// Where the page, the plots and the data go
    #[arg(long, value_name = "DIR", default_value = "docs/reference")]
    pub out: PathBuf,
    /// A sentence to stand at the top of the page, such as what else the machine was doing
    #[arg(long)]
    pub note: Option<String>,
}

/// The page anew.
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// Where the page, the plots and the data are
    #[arg(long, value_name = "DIR", default_value = "docs/reference")]
    pub out: PathBuf,
}

// === impl CompareArgs ===

impl fmt::Display for CompareArgs {
    /// The arguments that decide what is measured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers: Vec<String> = self.workers.iter().map(usize::to_string).collect();
        write!(
            f,
            "--rounds {} --seconds {} --cycles {} --slice {} --workers {}",
            self.rounds,
            self.seconds.as_secs_f64(),
            self.cycles,
            self.slice.as_secs_f64(),
            workers.join(",")
        )?;
        for (name, chosen) in [("scenario", &self.scenario), ("peer", &self.peer)] {
            if !chosen.is_empty() {
                write!(f, " --{name} {}", chosen.join(","))?;
            }
        }
        Ok(())
    }
}

// === impl LoadArgs ===

impl LoadArgs {
    /// Where the load goes.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        target(&self.url, self.ca.as_deref(), self.sources)
    }
}

// === impl DriveArgs ===

impl DriveArgs {
    /// Where the load goes.
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        target(&self.url, self.ca.as_deref(), self.sources)
    }
}

fn target(url: &str, ca: Option<&Path>, sources: u32) -> anyhow::Result<Target> {
    let trust = || match ca {
        Some(ca) => tls::client(ca),
        None => anyhow::bail!("wss:// needs --ca"),
    };
    Target::new(url, trust, sources)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        Err(_) => Err("must be a number of seconds".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("must be a positive number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_side_by_side_run_tells_how_to_repeat_it() {
        let said = "--rounds 5 --seconds 0.5 --cycles 9 --slice 0.06 --workers 1,4 --scenario idle --peer nginx,envoy";
        let words = "lubdub-bench compare --note busy".split(' ');
        let Command::Compare(args) = Cli::parse_from(words.chain(said.split(' '))).command else {
            panic!("that was the command");
        };
        assert_eq!(args.to_string(), said);
    }

    #[test]
    fn times_and_rates_have_to_make_sense() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err());
        assert!(seconds("soon").is_err());
        assert_eq!(rate("1e4"), Ok(10_000.0));
        assert!(rate("0").is_err());
        assert!(rate("inf").is_err());
    }
}
