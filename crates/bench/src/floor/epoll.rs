//! The relay on epoll: level-triggered, one read for each wake-up.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use super::SCRATCH;
use crate::poller::{Interest, Poller, Ready};

/// The number under which the listener is watched.
const LISTENER: usize = usize::MAX;

/// One side of a pair; the other is its neighbour in the table.
#[derive(Debug)]
struct Leg {
    socket: TcpStream,
    /// What the socket has not taken yet.
    backlog: Vec<u8>,
    /// No more comes from it.
    has_ended: bool,
    is_paused: bool,
    /// What it is watched for, if for anything.
    watched: Option<Interest>,
}

/// Every leg: a client's at an even place, its backend's at the next.
#[derive(Debug)]
struct Relay {
    poller: Poller,
    backend: SocketAddr,
    legs: Vec<Option<Leg>>,
    free: Vec<usize>,
    scratch: Box<[u8]>,
}

pub(super) fn run(listener: &TcpListener, backend: SocketAddr) -> anyhow::Result<()> {
    let mut relay = Relay {
        poller: Poller::new()?,
        backend,
        legs: Vec::new(),
        free: Vec::new(),
        scratch: vec![0; SCRATCH].into_boxed_slice(),
    };
    relay.poller.add(listener, LISTENER, Interest::Read)?;
    let mut ready = Vec::new();
    loop {
        relay.poller.wait(&mut ready, None)?;
        for &event in &ready {
            if event.token == LISTENER {
                relay.accept(listener)?;
            } else if relay.drive(event).is_err() {
                relay.drop_pair(event.token);
            }
        }
    }
}

// === impl Relay ===

impl Relay {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            // On the loopback interface a connect does not wait.
            let Ok(upstream) = TcpStream::connect(self.backend) else {
                continue;
            };
            let at = self.free.pop().unwrap_or_else(|| {
                self.legs.extend([None, None]);
                self.legs.len() - 2
            });
            for (at, socket) in [(at, client), (at + 1, upstream)] {
                socket.set_nonblocking(true)?;
                socket.set_nodelay(true)?;
                self.poller.add(&socket, at, Interest::Read)?;
                self.legs[at] = Some(Leg {
                    socket,
                    backlog: Vec::new(),
                    has_ended: false,
                    is_paused: false,
                    watched: Some(Interest::Read),
                });
            }
        }
    }

    /// A pair of legs of which one has something to say; none where it has just been dropped.
    fn pair(&mut self, token: usize) -> Option<(&mut Leg, &mut Leg)> {
        let (first, second) = self.legs[token & !1..].split_at_mut(1);
        let (first, second) = (first[0].as_mut()?, second[0].as_mut()?);
        Some(if token.is_multiple_of(2) {
            (first, second)
        } else {
            (second, first)
        })
    }

    fn drive(&mut self, event: Ready) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let done = self.drive_with(event, &mut scratch);
        self.scratch = scratch;
        done
    }

    fn drive_with(&mut self, event: Ready, scratch: &mut [u8]) -> io::Result<()> {
        let token = event.token;
        let Some((leg, other)) = self.pair(token) else {
            return Ok(());
        };
        if event.writable && !leg.backlog.is_empty() {
            let taken = written(leg.socket.write(&leg.backlog))?;
            leg.backlog.drain(..taken);
            other.is_paused = !leg.backlog.is_empty();
        }
        if event.readable && !leg.is_paused && !leg.has_ended {
            match leg.socket.read(scratch) {
                Ok(0) => {
                    leg.has_ended = true;
                    other.socket.shutdown(Shutdown::Write)?;
                }
                Ok(len) => {
                    let taken = written(other.socket.write(&scratch[..len]))?;
                    if taken < len {
                        other.backlog.extend_from_slice(&scratch[taken..len]);
                        leg.is_paused = true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if leg.has_ended && other.has_ended {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for token in [token, token ^ 1] {
            if let Some(leg) = &mut self.legs[token] {
                leg.watch(&self.poller, token)?;
            }
        }
        Ok(())
    }

    fn drop_pair(&mut self, token: usize) {
        let at = token & !1;
        if self.legs[at].take().is_some() {
            self.legs[at + 1] = None;
            self.free.push(at);
        }
    }
}

// === impl Leg ===

impl Leg {
    /// Watches for what can be done next, if that has changed.
    fn watch(&mut self, poller: &Poller, token: usize) -> io::Result<()> {
        let reads = !self.has_ended && !self.is_paused;
        let wanted = match (reads, !self.backlog.is_empty()) {
            (true, false) => Some(Interest::Read),
            (false, true) => Some(Interest::Write),
            (true, true) => Some(Interest::Both),
            (false, false) => None,
        };
        if wanted == self.watched {
            return Ok(());
        }
        match (self.watched, wanted) {
            (None, Some(wanted)) => poller.add(&self.socket, token, wanted)?,
            (Some(_), Some(wanted)) => poller.modify(&self.socket, token, wanted)?,
            (_, None) => poller.remove(&self.socket)?,
        }
        self.watched = wanted;
        Ok(())
    }
}

fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}
