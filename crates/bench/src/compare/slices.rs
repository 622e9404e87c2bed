//! A scenario in slices: every proxy is up and connected, each with a backend and a load generator of its
//! own, and they are driven in turn for a moment at a time, in another order in each cycle. What the
//! machine does besides then hits all of them alike, and a ratio within a cycle is hardly touched by it.
//! One of the proxies is the same lubdub a second time: what its ratio is off 1 is the error of all.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::data::Measurement;
use super::peer::Peer;
use super::scenario::Scenario;
use super::statistics::Spread;
use super::{Bench, RATE_PEERS, Running, Seating, say};
use crate::cli::DriveArgs;
use crate::load::Slice;
use crate::machine;
use crate::progress::Progress;
use crate::report::Report;

/// How many slices of each proxy are not counted at the beginning.
const WARM_UP: u64 = 3;
/// How many slices tell what a proxy can carry.
const RATE_SLICES: usize = 9;

/// What a load generator is told, as a line of JSON; it answers with a [`Slice`], or with what went wrong.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Order {
    seconds: f64,
    /// Echoes per second, if not as many as there can be.
    rate: Option<f64>,
}

/// A proxy that is up, with all that belongs to it.
#[derive(Debug)]
struct Lane<'a> {
    peer: &'a Peer,
    // Dropped in this order.
    generator: Generator,
    _proxy: Running,
    _backend: Running,
}

/// A load generator, which is a process of its own: each holds as many connections as a process can.
#[derive(Debug)]
struct Generator {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Numbers that look random, the same in each run (splitmix64).
#[derive(Debug)]
struct Dice(u64);

/// Drives a scenario as the lines of standard input say. It ends with them.
pub(crate) fn drive(args: &DriveArgs) -> anyhow::Result<()> {
    let scenario = Scenario::named(&args.scenario)?;
    let target = args.target()?;
    let mut load = scenario.sliced(target, args.proxy_pid, Progress::off())?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready")?;
    stdout.flush()?;
    for line in std::io::stdin().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let time = Duration::try_from_secs_f64(order.seconds)?;
        let slice = load.slice(time, order.rate)?;
        writeln!(stdout, "{}", serde_json::to_string(&slice)?)?;
        stdout.flush()?;
    }
    Ok(())
}

impl Bench<'_> {
    /// Measures a scenario in slices. Who fails is left out from then on, and named.
    pub(super) fn slice(&mut self, scenario: &Scenario, workers: usize) -> anyhow::Result<()> {
        let peers = self.peers.clone();
        let mut lanes = Vec::new();
        for peer in &peers {
            if !peer.takes_part(scenario, workers) || !peer.is_sliced() {
                continue;
            }
            match self.lane(scenario, peer, workers) {
                Ok(lane) => lanes.push(lane),
                Err(error) => self.fail(scenario, workers, peer, &error),
            }
        }
        for _ in 0..WARM_UP {
            self.cycle(scenario, workers, &mut lanes, None, None);
        }
        let rate = if scenario.needs_rate() {
            Some(self.rate_of(&mut lanes)?)
        } else {
            None
        };
        let mut dice = Dice(1);
        let cycles = scenario.cycles(self.args.cycles);
        for cycle in 0..cycles {
            dice.shuffle(&mut lanes);
            self.cycle(scenario, workers, &mut lanes, rate, Some(cycle));
        }
        say(&format!(
            "{} x{workers}: {cycles} cycles of {} proxies",
            scenario.id,
            lanes.len()
        ))?;
        Ok(())
    }

    /// Drives everybody once.
    fn cycle(
        &mut self,
        scenario: &Scenario,
        workers: usize,
        lanes: &mut Vec<Lane<'_>>,
        rate: Option<f64>,
        cycle: Option<u64>,
    ) {
        let order = Order {
            seconds: self.args.slice.as_secs_f64(),
            rate,
        };
        let mut failed = Vec::new();
        for (place, lane) in lanes.iter_mut().enumerate() {
            match lane.generator.drive(order) {
                Ok(slice) => {
                    if let Some(round) = cycle {
                        self.data.measurements.push(Measurement {
                            scenario: scenario.id.to_owned(),
                            workers,
                            peer: lane.peer.name.to_owned(),
                            round,
                            value: scenario.value_of_slice(&slice),
                            report: Report::Slice(slice),
                        });
                    }
                }
                Err(error) => failed.push((place, error)),
            }
        }
        for (place, error) in failed.into_iter().rev() {
            let lane = lanes.remove(place);
            self.fail(scenario, workers, lane.peer, &error);
        }
    }

    fn fail(&mut self, scenario: &Scenario, workers: usize, peer: &Peer, error: &anyhow::Error) {
        let failure = format!("{} x{workers} {}: {error:#}", scenario.id, peer.name);
        // Who reads along learns of it at once; the page names it as well.
        let _ = say(&format!("FAILED: {failure}"));
        self.data.failures.push(failure);
    }

    /// Half of what the slower of those that a bar compares can carry, in echoes per second.
    fn rate_of(&self, lanes: &mut [Lane<'_>]) -> anyhow::Result<f64> {
        let order = Order {
            seconds: self.args.slice.as_secs_f64(),
            rate: None,
        };
        let mut slowest = f64::INFINITY;
        for lane in lanes {
            if !RATE_PEERS.contains(&lane.peer.name) {
                continue;
            }
            let seen = (0..RATE_SLICES)
                .map(|_| Ok(lane.generator.drive(order)?.per_second() / 2.0))
                .collect::<anyhow::Result<Vec<f64>>>()?;
            slowest = slowest.min(Spread::of(&seen).context("it was measured")?.median);
        }
        anyhow::ensure!(slowest.is_finite(), "nobody says which rate is to be kept");
        Ok(slowest / 2.0)
    }

    fn lane<'p>(
        &self,
        scenario: &Scenario,
        peer: &'p Peer,
        workers: usize,
    ) -> anyhow::Result<Lane<'p>> {
        let seating = Seating::of(workers, &self.cores);
        let (backend, proxy) = self.start(scenario, peer, workers)?;
        let mut command = Command::new(std::env::current_exe()?);
        let scheme = if scenario.tls { "wss" } else { "ws" };
        command
            .args(["drive", "--scenario", scenario.id])
            .args(["--url", &format!("{scheme}://{}/", proxy.address)])
            .args(["--proxy-pid", &proxy.child.id().to_string()]);
        if scenario.tls {
            command.arg("--ca").arg(&self.certificate.cert);
        }
        let generator = machine::on_cores(&seating.others, || Generator::start(command))??;
        Ok(Lane {
            peer,
            generator,
            _proxy: proxy,
            _backend: backend,
        })
    }
}

// === impl Generator ===

impl Generator {
    /// Starts it, and waits until all its connections are open.
    fn start(mut command: Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().context("it was piped")?;
        let answers = child.stdout.take().context("it was piped")?;
        let mut generator = Self {
            child,
            orders,
            answers: BufReader::new(answers),
        };
        let said = generator.answer()?;
        anyhow::ensure!(said == "ready", "the load generator said {said}");
        Ok(generator)
    }

    fn drive(&mut self, order: Order) -> anyhow::Result<Slice> {
        writeln!(self.orders, "{}", serde_json::to_string(&order)?)?;
        let said = self.answer()?;
        serde_json::from_str(&said).with_context(|| format!("the load generator said {said}"))
    }

    fn answer(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let len = self.answers.read_line(&mut line)?;
        anyhow::ensure!(len > 0, "the load generator has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // It holds nothing that has to be saved.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Dice ===

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fisher and Yates.
    fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let place = self.roll() % (last as u64 + 1);
            things.swap(last, place as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_always_follows_the_same() {
        let mut dice = Dice(1);
        let mut lanes = [0, 1, 2, 3];
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            dice.shuffle(&mut lanes);
            seen.insert(lanes);
        }
        // There are 24 orders of four.
        assert_eq!(seen.len(), 24);
    }
}
