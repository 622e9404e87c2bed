//! The pings themselves, and all that is heard meanwhile.
//!
//! The stream is read in a task of its own: fastwebsockets loses its place when a read is given up.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::Context as _;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use tokio::io::{AsyncRead, AsyncWrite, Join, ReadHalf, Sink, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::ledger::{GivenUp, Ledger, Pong, Summary};
use super::{Probe, verdict};
use crate::config;
use crate::output;

/// What a probe has found.
pub(super) struct Outcome {
    pub(super) summary: Summary,
    pub(super) meanwhile: Meanwhile,
    pub(super) end: End,
}

/// What the server sent besides pongs.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Meanwhile {
    pub(super) data_frames: u64,
    pub(super) pings: u64,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Every ping that was asked for was sent, and has its fate.
    Done,
    /// The server closed the connection before, with this code if any.
    Closed(Option<u16>),
    /// The connection broke before, in these words.
    Broken(String),
}

/// Something that the server sent.
enum Heard {
    Pong(Vec<u8>),
    Ping(Vec<u8>),
    Data,
    Close(Option<u16>),
    Broken(String),
}

/// Sends, keeps the ledger, and tells.
struct Rounds<'a, S> {
    probe: &'a Probe,
    ledger: Ledger,
    meanwhile: Meanwhile,
    writer: WebSocket<Join<tokio::io::Empty, WriteHalf<S>>>,
    heard: mpsc::Receiver<(Heard, Instant)>,
}

/// What the server may send ahead of being heard.
const BACKLOG: usize = 64;
/// How long late pongs are waited for at the end: as long again as those in time, within bounds. A
/// short timeout must not take a slow backend for a silent one, nor a long one keep people.
const LINGER: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(10);
/// How long the server gets to answer a Close: nothing depends on it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Pings over `stream`, which speaks WebSocket already.
pub(super) async fn run<S>(stream: S, probe: &Probe) -> anyhow::Result<Outcome>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce)?;
    let (read, write) = tokio::io::split(stream);
    let mut reader =
        WebSocket::after_handshake(tokio::io::join(read, tokio::io::sink()), Role::Client);
    reader.set_auto_close(false);
    reader.set_auto_pong(false);
    let writer =
        WebSocket::after_handshake(tokio::io::join(tokio::io::empty(), write), Role::Client);
    let (teller, heard) = mpsc::channel(BACKLOG);
    tokio::spawn(listen(reader, teller));
    let rounds = Rounds {
        probe,
        ledger: Ledger::new(nonce, probe.timeout),
        meanwhile: Meanwhile::default(),
        writer,
        heard,
    };
    rounds.run().await
}

/// Reads until the end.
async fn listen<S>(
    mut reader: WebSocket<Join<ReadHalf<S>, Sink>>,
    teller: mpsc::Sender<(Heard, Instant)>,
) where
    S: AsyncRead + AsyncWrite,
{
    loop {
        let heard = match reader.read_frame().await {
            Ok(frame) => match frame.opcode {
                OpCode::Pong => Heard::Pong(frame.payload.to_vec()),
                OpCode::Ping => Heard::Ping(frame.payload.to_vec()),
                OpCode::Text | OpCode::Binary | OpCode::Continuation => Heard::Data,
                OpCode::Close => {
                    let code = frame.payload.first_chunk().copied();
                    Heard::Close(code.map(u16::from_be_bytes))
                }
            },
            Err(error) => Heard::Broken(words(&error)),
        };
        let is_last = matches!(heard, Heard::Close(_) | Heard::Broken(_));
        if teller.send((heard, Instant::now())).await.is_err() || is_last {
            return;
        }
    }
}

/// The error without what only a programmer would look up.
// The enum is the library's: its other variants are about frames, and speak for themselves.
#[allow(clippy::wildcard_enum_match_arm)]
fn words(error: &WebSocketError) -> String {
    match error {
        WebSocketError::UnexpectedEOF => "the server ended it without a Close".to_owned(),
        WebSocketError::IoError(error) => error.kind().to_string(),
        error => format!("{error}").to_lowercase(),
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether every ping was answered, rightly and in time.
    pub(super) fn is_good(&self) -> bool {
        let Summary {
            wrong, late, lost, ..
        } = self.summary;
        self.end == End::Done && [wrong, late, lost] == [0; 3]
    }
}

// === impl Rounds ===

impl<S: AsyncRead + AsyncWrite> Rounds<'_, S> {
    async fn run(mut self) -> anyhow::Result<Outcome> {
        let end = self.until_end().await?;
        self.ledger.handle_end();
        // The pings are over, whatever becomes of this.
        let farewell = match end {
            End::Done => self.linger().await?,
            End::Closed(_) | End::Broken(_) => end.clone(),
        };
        let _ = tokio::time::timeout(FAREWELL, self.take_leave(&farewell)).await;
        Ok(Outcome {
            summary: self.ledger.summary(),
            meanwhile: self.meanwhile,
            end,
        })
    }

    async fn until_end(&mut self) -> anyhow::Result<End> {
        let mut next = Instant::now();
        loop {
            let now = Instant::now();
            if self.ledger.sent() < self.probe.count && next <= now {
                self.ping().await?;
                next = now + self.probe.interval;
            }
            let is_sending = self.ledger.sent() < self.probe.count;
            let wake = match self.ledger.deadline() {
                Some(deadline) if is_sending => deadline.min(next),
                Some(deadline) => deadline,
                None if is_sending => next,
                None => return Ok(End::Done),
            };
            if let Some(end) = self.hear_until(wake).await? {
                return Ok(end);
            }
        }
    }

    /// Waits for pongs that come too late: a slow backend and a silent one need different settings.
    async fn linger(&mut self) -> anyhow::Result<End> {
        if !self.ledger.may_be_late() {
            return Ok(End::Done);
        }
        let patience = self.probe.timeout.clamp(*LINGER.start(), *LINGER.end());
        output::print(&format!(
            "waiting for late pongs, {} at most\n",
            config::written(patience)
        ))?;
        let until = Instant::now() + patience;
        while self.ledger.may_be_late() && Instant::now() < until {
            if let Some(end) = self.hear_until(until).await? {
                return Ok(end);
            }
        }
        Ok(End::Done)
    }

    /// Takes what the server sends next, or gives up at `wake` what has waited for too long.
    async fn hear_until(&mut self, wake: Instant) -> anyhow::Result<Option<End>> {
        tokio::select! {
            // What came before the deadline counts, even if it is looked at after it.
            biased;
            heard = self.heard.recv() => {
                let (heard, at) = heard.context("nobody listens any more")?;
                self.on_heard(heard, at).await
            }
            () = sleep_until(wake) => {
                self.give_up(Instant::now())?;
                Ok(None)
            }
        }
    }

    async fn on_heard(&mut self, heard: Heard, at: Instant) -> anyhow::Result<Option<End>> {
        // Pings whose time was over when this came.
        self.give_up(at)?;
        match heard {
            Heard::Pong(payload) => tell(&self.ledger.handle_pong(&payload, at))?,
            Heard::Ping(payload) => {
                self.meanwhile.pings += 1;
                self.write(Frame::pong(Payload::Owned(payload))).await?;
            }
            Heard::Data => self.meanwhile.data_frames += 1,
            Heard::Close(code) => return Ok(Some(End::Closed(code))),
            Heard::Broken(words) => return Ok(Some(End::Broken(words))),
        }
        Ok(None)
    }

    fn give_up(&mut self, now: Instant) -> anyhow::Result<()> {
        for ping in self.ledger.handle_timeout(now) {
            let timeout = config::written(self.probe.timeout);
            output::print(&match ping {
                GivenUp::Silent(ping) => format!("ping {ping}: no pong within {timeout}\n"),
                GivenUp::Distorted(ping) => {
                    format!("ping {ping}: no pong with its payload within {timeout}\n")
                }
            })?;
        }
        Ok(())
    }

    async fn ping(&mut self) -> anyhow::Result<()> {
        let payload = self.ledger.next_payload();
        let frame = Frame::new(true, OpCode::Ping, None, Payload::Owned(payload.to_vec()));
        // The answer can be there as soon as it is written.
        self.ledger.handle_sent(Instant::now());
        self.write(frame).await
    }

    /// Writes. A connection that is gone is told by the reader.
    async fn write(&mut self, frame: Frame<'_>) -> anyhow::Result<()> {
        let timeout = self.probe.timeout;
        let _ = tokio::time::timeout(timeout, self.writer.write_frame(frame))
            .await
            .ok()
            .with_context(|| {
                format!("the server took no bytes for {}", config::written(timeout))
            })?;
        Ok(())
    }

    /// Ends the connection as RFC 6455 7.1.2 has it.
    async fn take_leave(&mut self, end: &End) -> anyhow::Result<()> {
        match end {
            End::Broken(_) => Ok(()),
            End::Closed(code) => {
                let payload = code.map(u16::to_be_bytes).map_or_else(Vec::new, Vec::from);
                self.write(Frame::close_raw(Payload::Owned(payload))).await
            }
            End::Done => {
                self.write(Frame::close(1000, b"")).await?;
                while let Some((heard, _)) = self.heard.recv().await {
                    if matches!(heard, Heard::Close(_) | Heard::Broken(_)) {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

fn tell(pong: &Pong) -> anyhow::Result<()> {
    let line = match pong {
        Pong::Right {
            ping,
            rtt,
            instead_of,
        } => {
            let mut text = String::new();
            for earlier in instead_of {
                text +=
                    &format!("ping {earlier}: no pong, but the one to ping {ping} stands for it\n");
            }
            text + &format!("ping {ping}: pong after {}\n", verdict::millis(*rtt))
        }
        Pong::Foreign { ping, after } => format!(
            "a pong with another payload, {} after ping {ping}\n",
            verdict::millis(*after)
        ),
        Pong::Late { ping, rtt } => format!(
            "ping {ping}: pong after {}, too late\n",
            verdict::millis(*rtt)
        ),
        Pong::Unasked => "an unsolicited pong\n".to_owned(),
    };
    Ok(output::print(&line)?)
}
