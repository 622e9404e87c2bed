//! The side-by-side run: lubdub and every peer of the machine, measured in turns, so that what
//! drifts (other load, temperature) hits all of them alike.

mod data;
mod page;
mod peer;
mod plot;
mod scenario;
mod statistics;
mod template;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid as RawPid, Signal, kill_process};

use crate::cli::CompareArgs;
use crate::load::{Target, counters};
use crate::machine::{self, Core, Machine};
use crate::progress::Progress;
use crate::report::Report;
use crate::tls::{self, Certificate};
use data::{Data, Measurement};
use peer::{Peer, Setting};
use scenario::{SCENARIOS, Scenario};

/// How long a program may take to listen.
const START: Duration = Duration::from_secs(15);
/// How long a program may take to stop.
const STOP: Duration = Duration::from_secs(5);
/// How often it is looked whether one has.
const LOOK: Duration = Duration::from_millis(20);
/// From how many addresses a storm comes.
const SOURCES: u32 = 256;
/// Where listening sockets are looked for: below the ports that the kernel gives to clients.
const PORTS: std::ops::Range<u16> = 18_080..32_000;

/// Where everybody sits: the proxy on some cores, the load generator and the backend on others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seating {
    proxy: Vec<Core>,
    others: Vec<Core>,
}

/// A program that was started, and is stopped when this is dropped.
#[derive(Debug)]
struct Running {
    child: Child,
    address: SocketAddr,
}

/// A directory that is removed when this is dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

/// What a run consists of.
#[derive(Debug)]
struct Bench<'a> {
    args: &'a CompareArgs,
    scratch: Scratch,
    certificate: Certificate,
    peers: Vec<Peer>,
    data: Data,
}

/// Measures everything, and writes the page, the plots and the data.
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<()> {
    let lubdub = match &args.lubdub {
        Some(path) => path.clone(),
        None => std::env::current_exe()?.with_file_name("lubdub"),
    };
    anyhow::ensure!(
        lubdub.exists(),
        "there is no {}: build it first",
        lubdub.display()
    );
    let known = |id: &String| SCENARIOS.iter().any(|scenario| scenario.id == id);
    if let Some(id) = args.scenario.iter().find(|id| !known(id)) {
        let all: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.id).collect();
        anyhow::bail!("there is no scenario {id}; there are {}", all.join(", "));
    }
    let mut peers = Peer::find(&lubdub)?;
    peers.retain(|peer| {
        peer.name == "lubdub" || args.peer.is_empty() || args.peer.iter().any(|p| p == peer.name)
    });

    let scratch = Scratch::make()?;
    let mut bench = Bench {
        args,
        certificate: Certificate::make(&scratch.0)?,
        scratch,
        data: Data::new(Machine::probe(), args, &peers),
        peers,
    };
    for &workers in &args.workers {
        for scenario in &SCENARIOS {
            if args.scenario.is_empty() || args.scenario.iter().any(|id| id == scenario.id) {
                bench.measure(scenario, workers)?;
            }
        }
    }
    bench.data.save(&args.out)?;
    page::write(&bench.data, &args.out)?;
    anyhow::ensure!(
        bench.data.failures.is_empty(),
        "{} measurements failed; the page names them",
        bench.data.failures.len()
    );
    Ok(())
}

/// Writes the page and the plots anew from the data.
pub(crate) fn write_page_again(out: &Path) -> anyhow::Result<()> {
    page::write(&Data::load(out)?, out)
}

// === impl Bench ===

impl Bench<'_> {
    /// Measures one scenario in all rounds, the peers taking turns.
    fn measure(&mut self, scenario: &Scenario, workers: usize) -> anyhow::Result<()> {
        let rate = match scenario.needs_rate() {
            false => None,
            // Half of what the slower of the two that the bar compares can carry.
            true => match self.data.saturation(workers) {
                Some(saturation) => Some(saturation / 2.0),
                None => {
                    say(&format!(
                        "{}: skipped, it needs relay-125 before it",
                        scenario.id
                    ))?;
                    return Ok(());
                }
            },
        };
        let peers: Vec<Peer> = (self.peers.iter())
            .filter(|peer| peer.takes_part(scenario, workers))
            .cloned()
            .collect();
        for round in 0..self.args.rounds {
            for turn in 0..peers.len() {
                // Each round begins with another one.
                let peer = &peers[(turn + round as usize) % peers.len()];
                let report = self.measure_once(scenario, peer, workers, rate);
                let label = format!(
                    "{} x{workers} round {} {}",
                    scenario.id,
                    round + 1,
                    peer.name
                );
                match report {
                    Ok(report) => {
                        say(&format!("{label}: {report}"))?;
                        if report.lost() > 0 {
                            let lost = report.lost();
                            self.data
                                .failures
                                .push(format!("{label}: {lost} pairs were lost"));
                        }
                        self.data.measurements.push(Measurement {
                            scenario: scenario.id.to_owned(),
                            workers,
                            peer: peer.name.to_owned(),
                            round,
                            value: scenario.value(&report),
                            report,
                        });
                    }
                    Err(error) => {
                        say(&format!("{label}: FAILED: {error:#}"))?;
                        self.data.failures.push(format!("{label}: {error:#}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Starts backend and proxy afresh, and measures.
    fn measure_once(
        &self,
        scenario: &Scenario,
        peer: &Peer,
        workers: usize,
        rate: Option<f64>,
    ) -> anyhow::Result<Report> {
        let seating = Seating::of(workers, machine::cores());
        let backend = start_backend(&seating)?;
        let setting = Setting {
            listen: free_address()?,
            backend: backend.address,
            workers,
            tls: scenario.tls.then_some(&self.certificate),
            ping_every: scenario.ping_every(),
            directory: &self.scratch.0,
        };
        let command = peer.command(&setting)?;
        let proxy = Running::start(command, &seating.proxy, setting.listen)
            .with_context(|| format!("cannot start {}", peer.name))?;

        let scheme = if scenario.tls { "wss" } else { "ws" };
        let target = Target::new(
            &format!("{scheme}://{}/", proxy.address),
            || tls::client(&self.certificate.cert),
            SOURCES,
        )?;
        let circumstances = scenario::Circumstances {
            duration: self.args.seconds,
            proxy: proxy.child.id(),
            backend: backend.address,
            rate,
        };
        machine::on_cores(&seating.others, || {
            scenario.run(target, &circumstances, Progress::on_terminal())
        })?
    }
}

// === impl Seating ===

impl Seating {
    /// The proxy takes the first cores, one for each worker; the rest is for the others. Where
    /// nothing is left for them, nobody is told where to sit.
    fn of(workers: usize, cores: usize) -> Self {
        if workers < cores {
            Self {
                proxy: (0..workers).collect(),
                others: (workers..cores).collect(),
            }
        } else {
            Self {
                proxy: Vec::new(),
                others: Vec::new(),
            }
        }
    }
}

// === impl Running ===

impl Running {
    /// Starts a program on these cores, and waits until it listens.
    fn start(mut command: Command, cores: &[Core], address: SocketAddr) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = machine::on_cores(cores, || command.spawn())??;
        let mut running = Self { child, address };
        let limit = Instant::now() + START;
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                anyhow::bail!("it ended at once: {status}");
            }
            anyhow::ensure!(Instant::now() < limit, "it does not listen after {START:?}");
            std::thread::sleep(LOOK);
        }
        Ok(running)
    }

    fn stop(&mut self) -> std::io::Result<()> {
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(RawPid::from_raw)
        {
            kill_process(pid, Signal::TERM)?;
        }
        let limit = Instant::now() + STOP;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > limit {
                self.child.kill()?;
                self.child.wait()?;
                break;
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself needs no stopping.
        let _ = self.stop();
    }
}

// === impl Scratch ===

impl Scratch {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("lubdub-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start_backend(seating: &Seating) -> anyhow::Result<Running> {
    let address = free_address()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["backend", "--listen", &address.to_string()]);
    let running =
        Running::start(command, &seating.others, address).context("cannot start the backend")?;
    counters(address)?;
    Ok(running)
}

/// An address at which nobody listens.
fn free_address() -> anyhow::Result<SocketAddr> {
    PORTS
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no port is free")
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_and_load_sit_apart_where_there_is_room() {
        let seating = Seating::of(1, 2);
        assert_eq!((seating.proxy, seating.others), (vec![0], vec![1]));
        let seating = Seating::of(2, 4);
        assert_eq!((seating.proxy, seating.others), (vec![0, 1], vec![2, 3]));
        let seating = Seating::of(2, 2);
        assert_eq!((seating.proxy, seating.others), (vec![], vec![]));
    }
}
