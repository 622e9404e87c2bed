//! The side-by-side run: lubdub and every peer of the machine, measured in turns, so that what
//! drifts (other load, temperature) hits all of them alike. What can be driven for a moment at a time is
//! measured in slices, the rest in whole runs.

mod bars;
mod data;
mod page;
mod peer;
mod plan;
mod plot;
mod scenario;
mod slices;
mod statistics;
mod template;

use std::fmt;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid as RawPid, Signal, kill_process};

use crate::cli::CompareArgs;
use crate::load::{Target, counters};
use crate::machine::{self, Core, Machine};
use crate::progress::Progress;
use crate::report::Report;
use crate::tls::{self, Certificate};
pub(crate) use slices::drive;

use data::{Data, Measurement};
use peer::{Peer, Setting, family};
use plan::Turn;
use scenario::{SCENARIOS, Scenario};

/// How long a program may take to listen.
const START: Duration = Duration::from_secs(15);
/// How long a program may take to stop.
const STOP: Duration = Duration::from_secs(5);
/// How often it is looked whether one has.
const LOOK: Duration = Duration::from_millis(20);
/// From how many addresses a storm comes.
const SOURCES: u32 = 256;
/// Half of what the slower of these can carry is the rate of latency.
const RATE_PEERS: [&str; 2] = ["lubdub", "nginx"];
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
    cores: Vec<Core>,
    scratch: Scratch,
    certificate: Certificate,
    peers: Vec<Peer>,
    data: Data,
}

/// How far the run has come.
#[derive(Debug)]
struct Course {
    began: Instant,
    done: usize,
    all: usize,
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
    check_names(args)?;
    let mut peers = Peer::find(&lubdub)?;
    peers.retain(|peer| {
        family(peer.name) == "lubdub"
            || args.peer.is_empty()
            || args.peer.iter().any(|p| p == peer.name)
    });

    let scratch = Scratch::make()?;
    let mut bench = Bench {
        args,
        cores: machine::cores()?,
        certificate: Certificate::make(&scratch.0)?,
        scratch,
        peers: peers.clone(),
        data: Data::new(Machine::probe()?, args, &peers),
    };
    let is_wanted = |scenario: &Scenario| {
        args.scenario.is_empty() || args.scenario.iter().any(|id| id == scenario.id)
    };
    for &workers in &args.workers {
        for scenario in SCENARIOS.iter().filter(|s| s.is_sliced() && is_wanted(s)) {
            bench.slice(scenario, workers)?;
            // A run that is broken off leaves what it has measured.
            bench.data.save(&args.out)?;
        }
    }
    let plan = plan::plan(&peers, &args.workers, args.rounds, |scenario| {
        !scenario.is_sliced() && is_wanted(scenario)
    });
    let mut course = Course {
        began: Instant::now(),
        done: 0,
        all: plan.len(),
    };
    let mut round = 0;
    for turn in &plan {
        if turn.round != round {
            round = turn.round;
            bench.data.save(&args.out)?;
        }
        let line = bench.measure(turn);
        course.done += 1;
        say(&format!("{course} {line}"))?;
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

/// Whether there are such scenarios and peers.
fn check_names(args: &CompareArgs) -> anyhow::Result<()> {
    let ids: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.id).collect();
    if let Some(id) = args.scenario.iter().find(|id| !ids.contains(&id.as_str())) {
        anyhow::bail!("there is no scenario {id}; there are {}", ids.join(", "));
    }
    let names = Peer::names();
    if let Some(name) = args
        .peer
        .iter()
        .find(|name| !names.contains(&name.as_str()))
    {
        anyhow::bail!("there is no peer {name}; there are {}", names.join(", "));
    }
    Ok(())
}

// === impl Bench ===

impl Bench<'_> {
    /// Takes a turn, and says in a line what came out.
    fn measure(&mut self, turn: &Turn<'_>) -> String {
        let &Turn {
            scenario,
            peer,
            workers,
            round,
        } = turn;
        let label = format!(
            "{} x{workers} round {} {}",
            scenario.id,
            round + 1,
            peer.name
        );
        match self.measure_once(turn) {
            Ok(report) => {
                let line = format!("{label}: {report}");
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
                line
            }
            Err(error) => {
                self.data.failures.push(format!("{label}: {error:#}"));
                format!("{label}: FAILED: {error:#}")
            }
        }
    }

    /// Starts backend and proxy afresh, and measures.
    fn measure_once(&self, turn: &Turn<'_>) -> anyhow::Result<Report> {
        let &Turn {
            scenario,
            peer,
            workers,
            ..
        } = turn;
        let seating = Seating::of(workers, &self.cores);
        let (backend, proxy) = self.start(scenario, peer, workers)?;
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
        };
        machine::on_cores(&seating.others, || {
            scenario.run(target, &circumstances, Progress::on_terminal())
        })?
    }

    /// Starts a backend, and a proxy in front of it.
    fn start(
        &self,
        scenario: &Scenario,
        peer: &Peer,
        workers: usize,
    ) -> anyhow::Result<(Running, Running)> {
        let seating = Seating::of(workers, &self.cores);
        let backend = start_backend(&seating)?;
        // Several run at a time, and their files have the same names.
        let directory = self.scratch.0.join(peer.name);
        fs::create_dir_all(&directory)?;
        let setting = Setting {
            listen: free_address()?,
            backend: backend.address,
            workers,
            tls: scenario.tls.then_some(&self.certificate),
            ping_every: scenario.ping_every(),
            directory: &directory,
        };
        let cores = if peer.uses_all_cores() {
            &self.cores
        } else {
            &seating.proxy
        };
        let proxy = Running::start(peer.command(&setting)?, cores, setting.listen)
            .with_context(|| format!("cannot start {}", peer.name))?;
        Ok((backend, proxy))
    }
}

// === impl Course ===

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.all - self.done;
        let each = self.began.elapsed().as_secs_f64() / self.done.max(1) as f64;
        let minutes = each * left as f64 / 60.0;
        write!(f, "[{}/{}, {minutes:.0} min to go]", self.done, self.all)
    }
}

// === impl Seating ===

impl Seating {
    /// The proxy takes the first cores, one for each worker; the rest is for the others. Where
    /// nothing is left for them, nobody is told where to sit.
    fn of(workers: usize, cores: &[Core]) -> Self {
        if workers < cores.len() {
            let (proxy, others) = cores.split_at(workers);
            Self {
                proxy: proxy.to_vec(),
                others: others.to_vec(),
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

/// An address at which nobody listens, and nobody did for long. Connections that have ended keep their own ports toward
/// the same address for a minute: after three runs with thousands of them there was none left.
fn free_address() -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    PORTS
        .map(|_| PORTS.start + NEXT.fetch_add(1, Relaxed) % (PORTS.end - PORTS.start))
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
        let seating = Seating::of(1, &[0, 1]);
        assert_eq!((seating.proxy, seating.others), (vec![0], vec![1]));
        let seating = Seating::of(2, &[2, 3, 6, 7]);
        assert_eq!((seating.proxy, seating.others), (vec![2, 3], vec![6, 7]));
        let seating = Seating::of(2, &[0, 1]);
        assert_eq!((seating.proxy, seating.others), (vec![], vec![]));
    }

    #[test]
    fn an_address_is_not_given_again_at_once() {
        let [first, second] = [(); 2].map(|()| free_address().unwrap());
        assert_ne!(first, second);
        assert!(TcpListener::bind(first).is_ok() && PORTS.contains(&second.port()));
    }

    #[test]
    fn a_run_says_how_long_it_will_take() {
        let course = Course {
            began: Instant::now() - Duration::from_secs(600),
            done: 50,
            all: 100,
        };
        assert_eq!(course.to_string(), "[50/100, 10 min to go]");
    }
}
