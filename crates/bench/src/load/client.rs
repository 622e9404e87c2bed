//! One connection of the load generator: it connects, opens, sends the messages that are due, and
//! checks their echoes. When messages are due is not decided here.

use anyhow::Context;
use lubdub_wire::{CloseCode, ControlFrame};

use super::target::Target;
use crate::handshake::{MAX_HEAD, head_len};
use crate::inbox::{HEADROOM, Inbox};
use crate::message::{MASK, Message};
use crate::poller::{Interest, Poller, Ready};
use crate::transport::{Got, Transport};

/// How much is read at once.
const SCRATCH: usize = 128 * 1024;

/// What all connections of a run share.
#[derive(Debug)]
pub(crate) struct Kit {
    /// Where they go.
    pub target: Target,
    /// What they send.
    pub message: Message,
    scratch: Box<[u8]>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Transport,
    phase: Phase,
    interest: Interest,
    inbox: Inbox,
    /// PONGs and a Close that are to be written.
    control: Vec<u8>,
    /// How many messages have been sent whole, which is the number of the next.
    sent: u64,
    /// How much of the next message has been sent.
    offset: usize,
    /// How many messages are to be sent in all.
    due: u64,
}

/// How far a connection has come.
#[derive(Debug)]
enum Phase {
    /// TCP is not there yet.
    Connecting,
    /// The answer to the opening handshake has come so far.
    Opening(Vec<u8>),
    Open,
    /// The other end has finished.
    Ended,
}

// === impl Kit ===

impl Kit {
    /// For messages of `bytes` bytes.
    pub(crate) fn new(target: Target, bytes: usize) -> Self {
        Self {
            target,
            message: Message::new(bytes),
            scratch: vec![0; HEADROOM + SCRATCH].into_boxed_slice(),
        }
    }
}

// === impl Client ===

impl Client {
    /// The `number`th connection, watched under `token`.
    pub(crate) fn connect(
        kit: &Kit,
        number: u64,
        poller: &Poller,
        token: usize,
    ) -> anyhow::Result<Self> {
        let transport = kit.target.connect(number)?;
        poller.add(&transport, token, Interest::Write)?;
        Ok(Self {
            transport,
            phase: Phase::Connecting,
            interest: Interest::Write,
            inbox: Inbox::new(),
            control: Vec::new(),
            sent: 0,
            offset: 0,
            due: 0,
        })
    }

    /// Whether the handshake is done and the end has not come.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether the other end has finished.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// It broke: what the other end would say is not waited for.
    pub(crate) fn end(&mut self) {
        self.phase = Phase::Ended;
    }

    /// The connection itself.
    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// What has come.
    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// From now on so many messages are to be sent in all.
    pub(crate) fn set_due(&mut self, due: u64) {
        self.due = due;
    }

    /// How many messages are to be sent in all.
    pub(crate) fn due(&self) -> u64 {
        self.due
    }

    /// A Close is to be written.
    pub(crate) fn say_goodbye(&mut self) {
        let close = ControlFrame::close(CloseCode::NORMAL, "", Some(MASK));
        self.control.extend_from_slice(close.raw());
    }

    /// Takes in what has come.
    pub(crate) fn hear(&mut self, ready: Ready, kit: &mut Kit) -> anyhow::Result<()> {
        if matches!(self.phase, Phase::Connecting) {
            if let Some(error) = self.transport.socket().take_error()? {
                return Err(error).context("cannot connect");
            }
            self.phase = Phase::Opening(Vec::new());
            self.control
                .extend_from_slice(kit.target.opening().request());
            return Ok(());
        }
        while ready.readable && !self.has_ended() {
            match self.transport.read(&mut kit.scratch[HEADROOM..]) {
                Ok(Got::Nothing) => break,
                Ok(Got::End) => self.phase = Phase::Ended,
                Ok(Got::Bytes(len)) => self.on_bytes(HEADROOM + len, kit)?,
                // After the closing handshake it does not matter how the end is told.
                Err(_) if self.inbox.closed() => self.phase = Phase::Ended,
                Err(error) => return Err(error).context("cannot read"),
            }
            if !self.transport.hides_bytes() {
                break;
            }
        }
        Ok(())
    }

    /// Writes what is due, as far as it is taken.
    pub(crate) fn speak(
        &mut self,
        kit: &mut Kit,
        poller: &Poller,
        token: usize,
    ) -> anyhow::Result<()> {
        if matches!(self.phase, Phase::Connecting | Phase::Ended) {
            return Ok(());
        }
        let done = match self.write(&mut kit.message) {
            Ok(done) => done,
            // The other end has finished; its last words are still to be read.
            Err(_) if self.inbox.closed() => Done::All,
            Err(error) => return Err(error).context("cannot write"),
        };
        let interest = if done == Done::All && !self.transport.holds_bytes() {
            Interest::Read
        } else {
            Interest::Both
        };
        if interest != self.interest {
            poller.modify(&self.transport, token, interest)?;
            self.interest = interest;
        }
        Ok(())
    }

    /// Takes in `scratch[HEADROOM..end]`.
    fn on_bytes(&mut self, end: usize, kit: &mut Kit) -> anyhow::Result<()> {
        let mut end = end;
        if let Phase::Opening(head) = &mut self.phase {
            head.extend_from_slice(&kit.scratch[HEADROOM..end]);
            let Some(len) = head_len(head) else {
                anyhow::ensure!(head.len() <= MAX_HEAD, "the handshake's answer has no end");
                return Ok(());
            };
            kit.target.opening().judge(&head[..len])?;
            let early = &head[len..];
            end = HEADROOM + early.len();
            kit.scratch[HEADROOM..end].copy_from_slice(early);
            self.phase = Phase::Open;
        }
        (self.inbox).take(&mut kit.scratch, end, &kit.message, &mut self.control)?;
        anyhow::ensure!(
            self.inbox.echoes() <= self.sent,
            "more echoes came than messages were sent"
        );
        Ok(())
    }

    fn write(&mut self, message: &mut Message) -> std::io::Result<Done> {
        self.transport.flush()?;
        loop {
            // A control frame may not lie within a message's frame.
            if self.offset == 0 && !self.control.is_empty() {
                let taken = self.transport.write(&self.control)?;
                self.control.drain(..taken);
                if !self.control.is_empty() {
                    return Ok(Done::Some);
                }
            }
            if self.sent == self.due || !self.is_open() {
                return Ok(Done::All);
            }
            let frame = message.frame(self.sent);
            self.offset += self.transport.write(&frame[self.offset..])?;
            if self.offset < frame.len() {
                return Ok(Done::Some);
            }
            self.offset = 0;
            self.sent += 1;
        }
    }
}

/// Whether everything was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    All,
    Some,
}
