//! Short sessions: connect, handshake, one echo, close, and again.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::client::{Client, Kit};
use super::meter::{Observed, Watch};
use super::slice::{Slice, Sliced, observe};
use super::target::Target;
use crate::accounting::Pid;
use crate::latency::{Latencies, Quantiles};
use crate::poller::{Poller, Ready, until};
use crate::progress::Progress;

/// How often the clock is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How long no session may end.
const STALL: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Churn {
    /// How many sessions there are at a time.
    pub connections: usize,
    /// How long the one message of a session is.
    pub bytes: usize,
    /// What is not counted at the beginning.
    pub warm_up: Duration,
    /// What is counted.
    pub duration: Duration,
    /// Whose processor time is counted.
    pub proxy: Option<Pid>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChurnReport {
    /// How many sessions there were at a time.
    pub connections: usize,
    /// How many sessions began and ended well.
    pub sessions: u64,
    /// How many of them each second.
    pub sessions_per_second: f64,
    /// From the connect to the end.
    pub duration: Quantiles,
    /// The proxy's processor time for one session.
    pub cpu_us_per_session: Option<f64>,
    /// What else was seen.
    pub observed: Observed,
}

/// A session under way.
#[derive(Debug)]
struct Session {
    client: Client,
    began: Instant,
    stage: Stage,
}

/// What a session has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It sends its message as soon as it is open.
    Speaking,
    /// Its Close is on the way.
    Leaving,
}

/// Short sessions in slices.
#[derive(Debug)]
pub(crate) struct ChurnSlices {
    run: Run,
    watch: Watch,
}

// === impl Churn ===

impl Churn {
    /// Sessions to be driven in slices; the first have come and gone.
    pub(crate) fn sliced(&self, target: Target) -> anyhow::Result<ChurnSlices> {
        let mut run = self.prepare(target)?;
        run.begin_all()?;
        // A session that has ended shows that the proxy has all its processes.
        run.quiesce()?;
        Ok(ChurnSlices {
            run,
            watch: Watch::on(self.proxy)?,
        })
    }

    fn prepare(&self, target: Target) -> anyhow::Result<Run> {
        Ok(Run {
            kit: Kit::new(target, self.bytes),
            poller: Poller::new()?,
            sessions: (0..self.connections).map(|_| None).collect(),
            has_more: false,
            ready: Vec::new(),
            begun: 0,
            ended: 0,
            last: Instant::now(),
            durations: Latencies::new(),
        })
    }

    /// Does it.
    pub(crate) fn run(
        &self,
        target: Target,
        mut progress: Progress,
    ) -> anyhow::Result<ChurnReport> {
        let mut run = self.prepare(target)?;
        run.begin_all()?;

        // A session that has ended shows that the proxy has all its processes.
        while run.ended == 0 {
            run.step()?;
        }
        let watch = Watch::on(self.proxy)?;
        let warm = Instant::now() + self.warm_up;
        while Instant::now() < warm {
            run.step()?;
        }
        let meter = watch.start()?;
        run.ended = 0;
        run.durations.clear();
        let end = meter.began() + self.duration;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            run.step()?;
            progress.show(|| format!("{} s to go", until(end, now).as_secs()));
        }
        let observed = meter.stop()?;
        anyhow::ensure!(run.ended > 0, "no session ended");
        Ok(ChurnReport {
            connections: self.connections,
            sessions: run.ended,
            sessions_per_second: run.ended as f64 / observed.seconds,
            duration: run.durations.quantiles(),
            cpu_us_per_session: observed.cpu_us_per(run.ended),
            observed,
        })
    }
}

// === impl ChurnSlices ===

impl Sliced for ChurnSlices {
    fn slice(&mut self, time: Duration, rate: Option<f64>) -> anyhow::Result<Slice> {
        anyhow::ensure!(rate.is_none(), "sessions follow each other, and no rate");
        let Self { run, watch } = self;
        run.ended = 0;
        run.durations.clear();
        observe(watch, || {
            let began = Instant::now();
            run.begin_all()?;
            while began.elapsed() < time {
                run.step()?;
            }
            run.quiesce()?;
            Ok((run.ended, run.durations.quantiles().p99_us))
        })
    }
}

/// A run under way.
#[derive(Debug)]
struct Run {
    kit: Kit,
    poller: Poller,
    sessions: Vec<Option<Session>>,
    /// A session that ends is followed by the next.
    has_more: bool,
    ready: Vec<Ready>,
    begun: u64,
    ended: u64,
    last: Instant,
    durations: Latencies,
}

// === impl Run ===

impl Run {
    /// Begins as many sessions as there are to be at a time.
    fn begin_all(&mut self) -> anyhow::Result<()> {
        self.has_more = true;
        self.last = Instant::now();
        for token in 0..self.sessions.len() {
            self.sessions[token] = Some(self.begin(token)?);
        }
        Ok(())
    }

    /// Begins no more, and waits for the end of those under way.
    fn quiesce(&mut self) -> anyhow::Result<()> {
        self.has_more = false;
        while self.sessions.iter().any(Option::is_some) {
            self.step()?;
        }
        Ok(())
    }

    /// Begins a session.
    fn begin(&mut self, token: usize) -> anyhow::Result<Session> {
        let began = Instant::now();
        let mut client = Client::connect(&self.kit, self.begun, &self.poller, token)?;
        client.set_due(1);
        self.begun += 1;
        Ok(Session {
            client,
            began,
            stage: Stage::Speaking,
        })
    }

    /// Waits for something to happen, and does what it asks for.
    fn step(&mut self) -> anyhow::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        self.poller.wait(&mut ready, Some(TICK))?;
        for &ready in &ready {
            self.drive(ready)
                .with_context(|| format!("after {} sessions", self.begun))?;
        }
        self.ready = ready;
        anyhow::ensure!(
            self.last.elapsed() < STALL,
            "no session has ended for {STALL:?}"
        );
        Ok(())
    }

    fn drive(&mut self, ready: Ready) -> anyhow::Result<()> {
        let Some(session) = &mut self.sessions[ready.token] else {
            return Ok(());
        };
        let client = &mut session.client;
        client.hear(ready, &mut self.kit)?;
        if client.has_ended() {
            anyhow::ensure!(
                client.inbox().closed(),
                "a session was ended before its Close"
            );
            let now = Instant::now();
            self.durations.record(now - session.began);
            self.ended += 1;
            self.last = now;
            // The old socket is dropped, and with it what epoll knows of it.
            self.sessions[ready.token] = None;
            if self.has_more {
                self.sessions[ready.token] = Some(self.begin(ready.token)?);
            }
            return Ok(());
        }
        if session.stage == Stage::Speaking && client.inbox().echoes() == 1 {
            session.stage = Stage::Leaving;
            client.say_goodbye();
        }
        client.speak(&mut self.kit, &self.poller, ready.token)
    }
}
