//! The echo backend: one thread, level-triggered readiness, one buffer for all connections, echoes
//! turned around in place. Cheap enough to stand behind every proxy without being what is measured.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use anyhow::Context;
use rustls::{ServerConfig, ServerConnection};
use serde::{Deserialize, Serialize};

use crate::echo::{Closing, Echo, HEADROOM};
use crate::handshake::{MAX_HEAD, Request, head_len, last_answer, switching_protocols};
use crate::poller::{Interest, Poller, Ready};
use crate::transport::{Got, Transport};

/// How much is read at once.
const SCRATCH: usize = 128 * 1024;
/// The number under which the listening socket is watched.
const LISTENER: usize = usize::MAX;
/// How many connections may wait to be accepted; the kernel caps it (net.core.somaxconn).
const BACKLOG: i32 = 65_535;

/// The echo backend.
#[derive(Debug)]
pub(crate) struct Backend {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    poller: Poller,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    scratch: Box<[u8]>,
    counters: Counters,
}

/// What the backend has counted since its start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Connections that are open and speak WebSocket.
    pub open: u64,
    /// Frames with data.
    pub data: u64,
    /// PINGs, all of which were answered.
    pub pings: u64,
}

#[derive(Debug)]
struct Connection {
    transport: Transport,
    phase: Phase,
    /// What the socket did not take.
    backlog: Vec<u8>,
    interest: Interest,
}

#[derive(Debug)]
enum Phase {
    /// The head of the request has come so far.
    Head(Vec<u8>),
    /// Echoing.
    Open(Box<Echo>),
    /// All has been said; the other end's end is waited for.
    Finished,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Gone,
}

// === impl Backend ===

impl Backend {
    /// A backend that listens.
    pub(crate) fn bind(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
    ) -> anyhow::Result<Self> {
        let listener = listen(address).with_context(|| format!("cannot listen on {address}"))?;
        let poller = Poller::new()?;
        poller.add(&listener, LISTENER, Interest::Read)?;
        Ok(Self {
            listener,
            tls,
            poller,
            connections: Vec::new(),
            free: Vec::new(),
            scratch: vec![0; HEADROOM + SCRATCH].into_boxed_slice(),
            counters: Counters::default(),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Echoes until the process ends.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        let mut ready = Vec::new();
        loop {
            self.poller.wait(&mut ready, None)?;
            for &ready in &ready {
                if ready.token == LISTENER {
                    self.accept()?;
                } else {
                    self.drive(ready);
                }
            }
        }
    }

    /// Accepts all that wait.
    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // It was gone before its turn came.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error).context("cannot accept"),
            };
            let connection = Connection::new(socket, self.tls.as_ref())?;
            let token = match self.free.pop() {
                Some(token) => token,
                None => {
                    self.connections.push(None);
                    self.connections.len() - 1
                }
            };
            self.poller
                .add(&connection.transport, token, Interest::Read)?;
            self.connections[token] = Some(connection);
        }
    }

    /// Does what a connection is ready for. One that fails is dropped: what went wrong is for the
    /// load generator to see.
    fn drive(&mut self, ready: Ready) {
        let Some(connection) = &mut self.connections[ready.token] else {
            return;
        };
        let was_open = connection.is_open();
        let fate = connection.drive(ready, &mut self.scratch, &mut self.counters, &self.poller);
        let is_open = connection.is_open();
        let gone = !matches!(fate, Ok(Fate::Kept));
        match (was_open, is_open && !gone) {
            (false, true) => self.counters.open += 1,
            (true, false) => self.counters.open -= 1,
            _ => {}
        }
        if gone {
            self.connections[ready.token] = None;
            self.free.push(ready.token);
        }
    }
}

// === impl Connection ===

impl Connection {
    fn new(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> anyhow::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let transport = match tls {
            None => Transport::plain(socket),
            Some(tls) => Transport::tls(socket, ServerConnection::new(Arc::clone(tls))?.into()),
        };
        Ok(Self {
            transport,
            phase: Phase::Head(Vec::new()),
            backlog: Vec::new(),
            interest: Interest::Read,
        })
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    fn drive(
        &mut self,
        ready: Ready,
        scratch: &mut [u8],
        counters: &mut Counters,
        poller: &Poller,
    ) -> io::Result<Fate> {
        if ready.writable {
            self.flush()?;
        }
        // While it does not take what is owed to it, nothing more is read from it.
        while ready.readable && !self.is_blocked() {
            match self.transport.read(&mut scratch[HEADROOM..])? {
                Got::Nothing => break,
                Got::End => return Ok(Fate::Gone),
                Got::Bytes(len) => self.on_bytes(scratch, HEADROOM + len, counters)?,
            }
            if !self.transport.hides_bytes() {
                break;
            }
        }
        let interest = if self.is_blocked() {
            Interest::Write
        } else {
            Interest::Read
        };
        if interest != self.interest {
            poller.modify(&self.transport, ready.token, interest)?;
            self.interest = interest;
        }
        Ok(Fate::Kept)
    }

    /// Takes in `scratch[HEADROOM..end]`.
    fn on_bytes(
        &mut self,
        scratch: &mut [u8],
        end: usize,
        counters: &mut Counters,
    ) -> io::Result<()> {
        match &mut self.phase {
            Phase::Head(head) => {
                head.extend_from_slice(&scratch[HEADROOM..end]);
                let Some(len) = head_len(head) else {
                    return if head.len() > MAX_HEAD {
                        Err(ErrorKind::InvalidData.into())
                    } else {
                        Ok(())
                    };
                };
                let early = head.split_off(len);
                match Request::read(head) {
                    Request::Upgrade { accept } => {
                        self.phase = Phase::Open(Box::default());
                        self.send(&switching_protocols(&accept))?;
                        if !early.is_empty() {
                            scratch[HEADROOM..][..early.len()].copy_from_slice(&early);
                            self.on_bytes(scratch, HEADROOM + early.len(), counters)?;
                        }
                        Ok(())
                    }
                    Request::Counters => {
                        let body = serde_json::to_string(counters)?;
                        self.say_last("200 OK", &body)
                    }
                    Request::Other => self.say_last("404 Not Found", ""),
                }
            }
            Phase::Open(echo) => {
                let range = echo.turn(scratch, end);
                let seen = echo.take_seen();
                let closing = echo.closing();
                counters.data += seen.data;
                counters.pings += seen.pings;
                self.send(&scratch[range])?;
                if closing == Closing::Done {
                    self.finish()?;
                }
                Ok(())
            }
            Phase::Finished => Ok(()),
        }
    }

    /// Answers a plain request, and finishes.
    fn say_last(&mut self, status: &str, body: &str) -> io::Result<()> {
        self.send(&last_answer(status, body))?;
        self.finish()
    }

    /// Nothing more will be said.
    fn finish(&mut self) -> io::Result<()> {
        self.phase = Phase::Finished;
        if self.backlog.is_empty() {
            self.transport.finish()?;
        }
        Ok(())
    }

    /// Writes, and keeps what is not taken.
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.backlog.is_empty() && !bytes.is_empty() {
            match self.transport.write(bytes)? {
                0 => break,
                taken => bytes = &bytes[taken..],
            }
        }
        self.backlog.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what was not taken before.
    fn flush(&mut self) -> io::Result<()> {
        self.transport.flush()?;
        let mut done = 0;
        while done < self.backlog.len() {
            match self.transport.write(&self.backlog[done..])? {
                0 => break,
                taken => done += taken,
            }
        }
        self.backlog.drain(..done);
        if self.backlog.is_empty() && done > 0 && matches!(self.phase, Phase::Finished) {
            self.transport.finish()?;
        }
        Ok(())
    }

    fn is_blocked(&self) -> bool {
        !self.backlog.is_empty() || self.transport.holds_bytes()
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
