//! Connections that do nothing but stay: what a pair's memory is after a storm of connects, what
//! its heartbeat costs, and whether it lives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::client::Kit;
use super::fleet::Fleet;
use super::meter::{Observed, Watch};
use super::target::Target;
use crate::accounting::Pid;
use crate::backend::Counters;
use crate::handshake::{COUNTERS_PATH, head_len};
use crate::inbox::BadEcho;
use crate::poller::until;
use crate::progress::Progress;

/// How often the clock is looked at when nothing happens.
const TICK: Duration = Duration::from_millis(100);
/// How many connections come before the storm, and go: a proxy that listens may not have all its
/// processes yet, and what it allocates once is no pair's.
const SCOUTS: usize = 16;
/// How long the echo of such a connection may take.
const FIRST_ECHO: Duration = Duration::from_secs(10);
/// How long the backend may take to tell its counters.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hold {
    /// What it is about.
    pub kind: Kind,
    /// How many connections stay.
    pub connections: usize,
    /// The length of the one message that each sends at its beginning; with none its echo would
    /// not have touched any buffer.
    pub bytes: usize,
    /// How many handshakes are under way at a time.
    pub at_once: usize,
    /// How long to wait after the storm before anything is measured.
    pub settle: Duration,
    /// How long they stay.
    pub duration: Duration,
    /// Whose memory and processor time are measured.
    pub proxy: Option<Pid>,
    /// An echo backend of this program, to be asked how many pings it has seen.
    pub backend: Option<SocketAddr>,
}

/// What holding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Memory.
    Idle,
    /// Pings: a run in which none came fails.
    Heartbeat,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HoldReport {
    /// How many connections there were.
    pub connections: usize,
    /// How many handshakes were under way at a time.
    pub at_once: usize,
    /// How long the storm took.
    pub storm_seconds: f64,
    /// The proxy's private memory before the storm, once it has served a few, in bytes.
    pub memory_before: Option<u64>,
    /// The proxy's private memory at the end, with all connections open, in bytes.
    pub memory_after: Option<u64>,
    /// What a pair adds to the proxy's private memory, in bytes.
    pub memory_per_pair: Option<f64>,
    /// How many pings clients were sent, and answered, while they stayed.
    pub pings_to_clients: u64,
    /// How many pings the backend was sent, and answered, at the same time.
    pub pings_to_backend: Option<u64>,
    /// The proxy's processor time for one ping with its pong, both sides' counted.
    pub cpu_us_per_ping: Option<f64>,
    /// How many own pings with their pongs there were each second, both sides' counted.
    pub pings_per_second: Option<f64>,
    /// How many connections were ended, or told to end, while they should have stayed; to the
    /// client or to the backend, whichever are more.
    pub lost: u64,
    /// What else was seen.
    pub observed: Observed,
}

// === impl Hold ===

impl Hold {
    /// Does it. What was lost is in the report: whether that is a failure is for the caller to say.
    pub(crate) fn run(&self, target: Target, mut progress: Progress) -> anyhow::Result<HoldReport> {
        let kit = scout(Kit::new(target, self.bytes), &mut progress)?;
        let watch = Watch::on(self.proxy)?;
        let memory_before = watch.memory()?;
        let began = Instant::now();
        let mut fleet = Fleet::open(kit, self.connections, self.at_once, &mut progress)?;
        let storm = began.elapsed();

        for token in 0..self.connections {
            fleet.clients[token].set_due(1);
            fleet.speak(token)?;
        }
        stay(&mut fleet, self.settle, &mut progress)?;
        let silent = (fleet.clients.iter())
            .filter(|client| client.inbox().echoes() == 0 && !client.has_ended())
            .count();
        anyhow::ensure!(
            silent == 0,
            "{silent} connections had no echo after {:?}",
            self.settle
        );

        let pings_before = pings(&fleet);
        let backend_before = self.backend.map(counters).transpose()?;
        let meter = watch.start()?;
        stay(&mut fleet, self.duration, &mut progress)?;
        let observed = meter.stop()?;
        let backend_after = self.backend.map(counters).transpose()?;
        let memory_after = Watch::on(self.proxy)?.memory()?;

        let pings_to_clients = pings(&fleet) - pings_before;
        let pings_to_backend =
            (backend_after.zip(backend_before)).map(|(after, before)| after.pings - before.pings);
        if self.kind == Kind::Heartbeat {
            anyhow::ensure!(pings_to_clients > 0, "no client was pinged");
        }
        let gone = (fleet.clients.iter())
            .filter(|client| !client.is_open() || client.inbox().closed())
            .count() as u64;
        let gone_from_backend = backend_after.map_or(0, |counters| {
            (self.connections as u64).saturating_sub(counters.open)
        });
        let all_pings = pings_to_backend.map(|pings| pings + pings_to_clients);
        Ok(HoldReport {
            connections: self.connections,
            at_once: self.at_once,
            storm_seconds: storm.as_secs_f64(),
            memory_before,
            memory_after,
            memory_per_pair: (memory_after.zip(memory_before)).map(|(after, before)| {
                after.saturating_sub(before) as f64 / self.connections as f64
            }),
            pings_to_clients,
            pings_to_backend,
            cpu_us_per_ping: all_pings.and_then(|pings| observed.cpu_us_per(pings)),
            pings_per_second: all_pings.map(|pings| pings as f64 / observed.seconds),
            lost: gone.max(gone_from_backend),
            observed,
        })
    }
}

/// Lets a few connections come and go, each with an echo.
fn scout(kit: Kit, progress: &mut Progress) -> anyhow::Result<Kit> {
    let mut fleet = Fleet::open(kit, SCOUTS, SCOUTS, progress)?;
    for token in 0..SCOUTS {
        fleet.clients[token].set_due(1);
        fleet.speak(token)?;
    }
    let limit = Instant::now() + FIRST_ECHO;
    let silent = |fleet: &Fleet| {
        (fleet.clients.iter()).any(|client| client.is_open() && client.inbox().echoes() == 0)
    };
    while silent(&fleet) {
        anyhow::ensure!(Instant::now() < limit, "no echo after {FIRST_ECHO:?}");
        stay(&mut fleet, TICK, progress)?;
    }
    Ok(fleet.disband())
}

/// Answers pings for so long. Connections that end meanwhile stay in the fleet as such.
fn stay(fleet: &mut Fleet, time: Duration, progress: &mut Progress) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    let mut ready = Vec::new();
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(());
        }
        progress.show(|| format!("holding, {} s to go", until(end, now).as_secs()));
        fleet
            .poller
            .wait(&mut ready, Some(until(end, now).min(TICK)))?;
        for &ready in &ready {
            let heard = fleet.hear(ready).and_then(|()| fleet.speak(ready.token));
            match heard {
                Err(error) if error.is::<BadEcho>() => return Err(error),
                Ok(()) if !fleet.clients[ready.token].has_ended() => {}
                // A reset or an end.
                _ => fleet.dismiss(ready.token)?,
            }
        }
    }
}

/// How many pings the clients have seen.
fn pings(fleet: &Fleet) -> u64 {
    fleet
        .clients
        .iter()
        .map(|client| client.inbox().pings())
        .sum()
}

/// Asks the echo backend what it has counted.
pub(crate) fn counters(address: SocketAddr) -> anyhow::Result<Counters> {
    let ask = || -> anyhow::Result<Counters> {
        let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        write!(
            socket,
            "GET {COUNTERS_PATH} HTTP/1.1\r\nHost: {address}\r\n\r\n"
        )?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        let body = head_len(&answer).context("its answer has no end")?;
        Ok(serde_json::from_slice(&answer[body..])?)
    };
    ask().with_context(|| format!("cannot ask the backend at {address} for its counters"))
}
