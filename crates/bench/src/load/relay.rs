//! Messages there and back, as fast as they return or at a fixed rate.
//!
//! At a fixed rate messages fall due by a schedule, whatever has come back: else a proxy that stops for a while would
//! be asked nothing while it stops, and look fast (*coordinated omission*). The time of a message runs from when we
//! come to it, even if the socket then takes it later. Where the proxy is pinned to a core of its own, that we come to
//! it late is not its doing: we share ours with the backend.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::client::Kit;
use super::fleet::Fleet;
use super::meter::{Observed, Watch};
use super::slice::{Slice, Sliced, observe};
use super::target::Target;
use crate::accounting::Pid;
use crate::latency::{Latencies, Quantiles};
use crate::poller::{Alarm, until};
use crate::progress::Progress;

/// The number under which the alarm is watched.
const ALARM: usize = usize::MAX;
/// How long echoes may be late at the end.
const GRACE: Duration = Duration::from_secs(10);
/// How often the clock is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How many bytes are a GiB.
const GIB: f64 = (1_u64 << 30) as f64;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relay {
    /// How many connections send.
    pub connections: usize,
    /// How many more are open and do not send.
    pub idle: usize,
    /// How long a message is.
    pub bytes: usize,
    /// How many messages of a connection are under way at a time.
    pub in_flight: u64,
    /// Messages per second over all connections, whatever comes back.
    pub rate: Option<f64>,
    /// What is not counted at the beginning.
    pub warm_up: Duration,
    /// What is counted.
    pub duration: Duration,
    /// How many handshakes are under way at a time.
    pub at_once: usize,
    /// Whose processor time is counted.
    pub proxy: Option<Pid>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RelayReport {
    /// How many connections sent.
    pub connections: usize,
    /// How many more were open.
    pub idle: usize,
    /// The length of a message.
    pub bytes: usize,
    /// How many of each connection were under way at a time.
    pub in_flight: u64,
    /// The fixed rate, in echoes per second.
    pub rate: Option<f64>,
    /// How many messages came back.
    pub echoes: u64,
    /// How many came back each second.
    pub echoes_per_second: f64,
    /// How many the proxy relayed each second: an echo is relayed twice.
    pub messages_per_second: f64,
    /// From a message's sending to its echo.
    pub latency: Quantiles,
    /// The proxy's processor time for one message in one direction.
    pub cpu_us_per_message: Option<f64>,
    /// The same outside of the kernel.
    pub user_us_per_message: Option<f64>,
    /// The proxy's processor time for a GiB of payload in one direction.
    pub cpu_seconds_per_gib: Option<f64>,
    /// What else was seen.
    pub observed: Observed,
}

/// When messages are sent.
#[derive(Debug)]
enum Pace {
    /// Not at all.
    Silent,
    /// As soon as there is room.
    Closed,
    /// By a schedule that starts at an instant: message `i` is that of connection `i % connections`.
    Open {
        start: Instant,
        gap: f64,
        scheduled: u64,
    },
}

/// Messages in slices.
#[derive(Debug)]
pub(crate) struct RelaySlices {
    run: Run,
    watch: Watch,
}

// === impl Relay ===

impl Relay {
    /// Opens all connections, to be driven in slices.
    pub(crate) fn sliced(
        &self,
        target: Target,
        mut progress: Progress,
    ) -> anyhow::Result<RelaySlices> {
        let mut run = self.open(target, &mut progress)?;
        // Whoever has echoed on each of them has all its processes, and all pairs.
        run.begin(None)?;
        run.quiesce()?;
        Ok(RelaySlices {
            run,
            watch: Watch::on(self.proxy)?,
        })
    }

    fn open(&self, target: Target, progress: &mut Progress) -> anyhow::Result<Run> {
        let kit = Kit::new(target, self.bytes);
        let count = self.connections + self.idle;
        let fleet = Fleet::open(kit, count, self.at_once, progress)?;
        Ok(Run {
            alarm: Alarm::new(&fleet.poller, ALARM)?,
            fleet,
            connections: self.connections,
            in_flight: self.in_flight,
            pace: Pace::Silent,
            sent: vec![VecDeque::new(); self.connections],
            latencies: Latencies::new(),
            echoes: 0,
            counted_from: None,
            ready: Vec::new(),
        })
    }

    /// Does it.
    pub(crate) fn run(
        &self,
        target: Target,
        mut progress: Progress,
    ) -> anyhow::Result<RelayReport> {
        let mut run = self.open(target, &mut progress)?;
        run.begin(self.rate)?;

        let watch = Watch::on(self.proxy)?;
        let warm = Instant::now() + self.warm_up;
        while Instant::now() < warm {
            run.step()?;
        }
        let meter = watch.start()?;
        run.echoes = 0;
        run.latencies.clear();
        run.counted_from = Some(meter.began());
        let end = meter.began() + self.duration;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            run.step()?;
            progress.show(|| format!("{} s to go", until(end, now).as_secs()));
        }
        let echoes = run.echoes;
        let observed = meter.stop()?;
        if self.rate.is_some() {
            // What is still under way counts as late.
            run.quiesce()?;
        }

        anyhow::ensure!(echoes > 0, "no message came back");
        let messages = echoes * 2;
        let cpu_us_per_message = observed.cpu_us_per(messages);
        let gib = messages as f64 * self.bytes as f64 / GIB;
        Ok(RelayReport {
            connections: self.connections,
            idle: self.idle,
            bytes: self.bytes,
            in_flight: self.in_flight,
            rate: self.rate,
            echoes,
            echoes_per_second: echoes as f64 / observed.seconds,
            messages_per_second: messages as f64 / observed.seconds,
            latency: run.latencies.quantiles(),
            cpu_us_per_message,
            user_us_per_message: (observed.proxy)
                .map(|usage| usage.user_seconds * 1e6 / messages as f64),
            cpu_seconds_per_gib: (observed.proxy)
                .filter(|_| self.bytes > 0)
                .map(|usage| usage.cpu_seconds / gib),
            observed,
        })
    }
}

// === impl RelaySlices ===

impl Sliced for RelaySlices {
    fn slice(&mut self, time: Duration, rate: Option<f64>) -> anyhow::Result<Slice> {
        let Self { run, watch } = self;
        run.echoes = 0;
        run.latencies.clear();
        observe(watch, || {
            let began = Instant::now();
            run.counted_from = Some(began);
            run.begin(rate)?;
            while began.elapsed() < time {
                run.step()?;
            }
            run.quiesce()?;
            // An echo is relayed twice.
            Ok((run.echoes * 2, run.latencies.quantiles().p99_us))
        })
    }
}

/// A run under way.
#[derive(Debug)]
struct Run {
    fleet: Fleet,
    connections: usize,
    in_flight: u64,
    pace: Pace,
    /// When the next message of a schedule is to be sent.
    alarm: Alarm,
    /// When we came to those under way, by connection.
    sent: Vec<VecDeque<Instant>>,
    latencies: Latencies,
    echoes: u64,
    /// Echoes of messages that we came to before this are not timed.
    counted_from: Option<Instant>,
    ready: Vec<crate::poller::Ready>,
}

// === impl Run ===

impl Run {
    /// Sends the first messages, or begins a schedule.
    fn begin(&mut self, rate: Option<f64>) -> anyhow::Result<()> {
        if let Some(rate) = rate {
            self.pace = Pace::Open {
                start: Instant::now(),
                gap: 1.0 / rate,
                scheduled: 0,
            };
            return Ok(self.alarm.set(Duration::ZERO)?);
        }
        self.pace = Pace::Closed;
        for token in 0..self.connections {
            let now = Instant::now();
            (0..self.in_flight).for_each(|_| self.owe(token, now));
            self.fleet.speak(token)?;
        }
        Ok(())
    }

    /// One more message of a connection is to be sent, at this time.
    fn owe(&mut self, token: usize, at: Instant) {
        let client = &mut self.fleet.clients[token];
        client.set_due(client.due() + 1);
        self.sent[token].push_back(at);
    }

    /// Waits for something to happen, and does what it asks for.
    fn step(&mut self) -> anyhow::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        self.fleet.poller.wait(&mut ready, Some(TICK))?;
        for &ready in &ready {
            if ready.token == ALARM {
                self.on_alarm()?;
                continue;
            }
            let before = self.fleet.clients[ready.token].inbox().echoes();
            self.fleet.hear(ready)?;
            anyhow::ensure!(
                !self.fleet.clients[ready.token].has_ended(),
                "connection {} was ended",
                ready.token
            );
            self.on_echoes(ready.token, before);
            self.fleet.speak(ready.token)?;
        }
        self.ready = ready;
        Ok(())
    }

    /// Times the echoes of a connection from number `before` on, and makes the next messages due.
    fn on_echoes(&mut self, token: usize, before: u64) {
        let echoes = self.fleet.clients[token].inbox().echoes();
        if echoes == before {
            return;
        }
        let now = Instant::now();
        for _ in before..echoes {
            let sent = self.sent[token].pop_front();
            let sent = sent.expect("as many are kept as are under way");
            if self.counted_from.is_some_and(|from| sent >= from) {
                self.latencies.record(now.saturating_duration_since(sent));
            }
            if matches!(self.pace, Pace::Closed) {
                self.owe(token, now);
            }
        }
        self.echoes += echoes - before;
    }

    /// Sends what is due by the schedule.
    fn on_alarm(&mut self) -> anyhow::Result<()> {
        loop {
            let Pace::Open {
                start,
                gap,
                scheduled,
            } = &mut self.pace
            else {
                return Ok(self.alarm.clear()?);
            };
            let next = *start + Duration::from_secs_f64(*scheduled as f64 * *gap);
            let now = Instant::now();
            if next > now {
                return Ok(self.alarm.set(next - now)?);
            }
            let token = (*scheduled % self.connections as u64) as usize;
            *scheduled += 1;
            self.owe(token, now);
            self.fleet.speak(token)?;
        }
    }

    /// Sends no more, and waits for all echoes.
    fn quiesce(&mut self) -> anyhow::Result<()> {
        self.pace = Pace::Silent;
        self.alarm.clear()?;
        let limit = Instant::now() + GRACE;
        let missing = |run: &Self| run.sent.iter().map(VecDeque::len).sum::<usize>();
        while missing(self) > 0 {
            anyhow::ensure!(
                Instant::now() < limit,
                "{} echoes are still missing {GRACE:?} after the end",
                missing(self)
            );
            self.step()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Backend;

    /// Whoever shares the core with us holds us up, which says nothing of a proxy.
    #[test]
    fn that_we_are_late_does_not_count() {
        let backend = Backend::bind("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let url = format!("ws://{}/", backend.address().unwrap());
        std::thread::spawn(|| backend.run());
        let target = Target::new(&url, || unreachable!(), 0).unwrap();
        let relay = Relay {
            connections: 4,
            idle: 0,
            bytes: 125,
            in_flight: 1,
            rate: None,
            warm_up: Duration::ZERO,
            duration: Duration::ZERO,
            at_once: 4,
            proxy: None,
        };
        let mut run = relay.open(target, &mut Progress::off()).unwrap();
        let late = Duration::from_millis(1500);
        run.counted_from = Some(Instant::now());
        run.begin(Some(20.0)).unwrap();
        std::thread::park_timeout(late);
        while run.echoes < 20 {
            run.step().unwrap();
        }
        let worst = run.latencies.quantiles().p999_us;
        assert!(worst < late.as_secs_f64() * 1e6 / 2.0, "{worst}");
    }
}
