//! All connections of a run, and the storm in which they are opened.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::client::{Client, Kit};
use crate::poller::{Poller, Ready};
use crate::progress::Progress;

/// How long nothing may happen while connections are opened.
const STALL: Duration = Duration::from_secs(30);
/// How long it may take to open all of them: who crawls is not measured for hours.
const LONGEST: Duration = Duration::from_secs(60);

/// Connections that are open.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// What they share.
    pub kit: Kit,
    /// Who watches them; each under its place in `clients`.
    pub poller: Poller,
    /// All of them.
    pub clients: Vec<Client>,
}

// === impl Fleet ===

impl Fleet {
    /// Opens `count` connections, at most `at_once` of them at a time.
    pub(crate) fn open(
        kit: Kit,
        count: usize,
        at_once: usize,
        progress: &mut Progress,
    ) -> anyhow::Result<Self> {
        let mut fleet = Self {
            kit,
            poller: Poller::new()?,
            clients: Vec::with_capacity(count),
        };
        let mut ready = Vec::new();
        let mut opened = 0;
        let began = Instant::now();
        let mut last = began;
        while opened < count {
            while fleet.clients.len() < count.min(opened + at_once.max(1)) {
                let token = fleet.clients.len();
                let client = Client::connect(&fleet.kit, token as u64, &fleet.poller, token)?;
                fleet.clients.push(client);
            }
            fleet
                .poller
                .wait(&mut ready, Some(Duration::from_secs(1)))?;
            for &ready in &ready {
                let was_open = fleet.clients[ready.token].is_open();
                fleet.hear(ready)?;
                fleet.speak(ready.token)?;
                if fleet.clients[ready.token].has_ended() {
                    anyhow::bail!("connection {} ended before the run began", ready.token);
                }
                if !was_open && fleet.clients[ready.token].is_open() {
                    opened += 1;
                    last = Instant::now();
                }
            }
            anyhow::ensure!(
                last.elapsed() < STALL,
                "{opened} of {count} connections are open, and no other has opened for {STALL:?}"
            );
            anyhow::ensure!(
                began.elapsed() < LONGEST,
                "only {opened} of {count} connections are open after {LONGEST:?}"
            );
            progress.show(|| format!("opening {opened} of {count}"));
        }
        Ok(fleet)
    }

    /// Lets a connection take in what has come.
    pub(crate) fn hear(&mut self, ready: Ready) -> anyhow::Result<()> {
        self.clients[ready.token]
            .hear(ready, &mut self.kit)
            .with_context(|| format!("connection {}", ready.token))
    }

    /// Lets a connection write what is due.
    pub(crate) fn speak(&mut self, token: usize) -> anyhow::Result<()> {
        self.clients[token]
            .speak(&mut self.kit, &self.poller, token)
            .with_context(|| format!("connection {token}"))
    }

    /// A connection has ended: it is watched no longer.
    pub(crate) fn dismiss(&mut self, token: usize) -> anyhow::Result<()> {
        self.poller.remove(self.clients[token].transport())?;
        self.clients[token].end();
        Ok(())
    }

    /// Drops all connections.
    pub(crate) fn disband(self) -> Kit {
        self.kit
    }
}
