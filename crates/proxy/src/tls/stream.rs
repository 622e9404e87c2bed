//! A connection of a client over TLS. It owns a buffer only while there is something in it: most
//! connections are idle, and a session of rustls that buffers for itself keeps 4 KiB for each.
//!
//! What is read goes through a buffer of the thread's, where it is deciphered in place; kept is the
//! record that is not whole yet. What is written is ciphered into another such buffer; kept is what the
//! socket does not take.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{CommonState, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::Socket;

/// A connection of a client over TLS.
pub(crate) struct ServerStream {
    session: UnbufferedServerConnection,
    socket: Socket,
    /// The beginning of a record, or of a handshake message, that is not whole yet; or records that nobody
    /// has asked for.
    incoming: Vec<u8>,
    /// What was deciphered and not taken.
    plain: Plain,
    /// What was ciphered and the socket did not take.
    outgoing: Outgoing,
    /// There may be whole records in `incoming`.
    has_whole: bool,
    /// What came behind the last of `plain` is not TLS.
    broken: Option<Box<rustls::Error>>,
    /// The peer has said its end.
    has_ended: bool,
    /// We have.
    has_closed: bool,
}

#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    taken: usize,
}

#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

/// What came of a look at what has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// All that is whole was dealt with.
    Done,
    /// Whoever takes what was said has enough for now.
    Enough,
    /// The peer said its end.
    Ended,
}

/// Why reading ends.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection is over, without a word by TLS.
    Gone(io::Error),
    /// What came is not TLS.
    Tls(rustls::Error),
}

/// The most that is kept of what is not whole: a record is shorter, and so is every handshake message that
/// anybody needs to send.
const MOST_KEPT: usize = 32 * 1024;
/// So much is read at a time, at the most.
const AT_ONCE: usize = 32 * 1024;
/// And at the least.
const LEAST: usize = 4 * 1024;
/// The longest plaintext of a record (RFC 8446 5.1).
const LONGEST: usize = 16 * 1024;
/// What a record is longer than its plaintext, with room for a message of rustls' own before it.
const OVERHEAD: usize = 1024;

thread_local! {
    static READING: RefCell<Box<[u8]>> = RefCell::new(vec![0; MOST_KEPT + AT_ONCE].into());
    static WRITING: RefCell<Writing> = RefCell::new(Writing {
        plain: vec![0; LONGEST].into(),
        sealed: vec![0; LONGEST + OVERHEAD].into(),
    });
}

struct Writing {
    plain: Box<[u8]>,
    sealed: Box<[u8]>,
}

// === impl ServerStream ===

impl ServerStream {
    /// A connection whose handshake has not begun.
    pub(super) fn new(config: Arc<ServerConfig>, socket: Socket) -> Result<Self, rustls::Error> {
        Ok(Self {
            session: UnbufferedServerConnection::new(config)?,
            socket,
            incoming: Vec::new(),
            plain: Plain::default(),
            outgoing: Outgoing::default(),
            has_whole: false,
            broken: None,
            has_ended: false,
            has_closed: false,
        })
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket below.
    pub(crate) fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// What rustls knows of the session.
    pub(super) fn session(&self) -> &CommonState {
        &self.session
    }

    /// Goes on with the handshake until it is over. `hears` is told what came, before rustls.
    pub(super) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        mut hears: impl FnMut(&[u8]) -> Result<(), Stop>,
    ) -> Poll<Result<(), Stop>> {
        loop {
            ready!(self.poll_send(cx)).map_err(|error| Stop::Broken(Broken::Gone(error)))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let mut plain = std::mem::take(&mut self.plain.bytes);
            let mut stop = None;
            let looked = self.poll_look(
                cx,
                AT_ONCE,
                |came| match hears(came) {
                    Ok(()) => true,
                    Err(why) => {
                        stop = Some(why);
                        false
                    }
                },
                // The client need not wait for our last word with its first.
                |said| {
                    plain.extend_from_slice(said);
                    true
                },
            );
            self.plain.bytes = plain;
            if let Some(stop) = stop {
                return Poll::Ready(Err(stop));
            }
            match ready!(looked) {
                Ok(Look::Done | Look::Enough) => {}
                Ok(Look::Ended) => {
                    self.has_ended = true;
                    if self.session.is_handshaking() {
                        let error = io::ErrorKind::UnexpectedEof.into();
                        return Poll::Ready(Err(Stop::Broken(Broken::Gone(error))));
                    }
                }
                Err(broken) => return Poll::Ready(Err(Stop::Broken(broken))),
            }
        }
    }

    /// Adds bytes as they are to what is to be sent, below TLS.
    pub(super) fn say_plainly(&mut self, bytes: &[u8]) {
        self.outgoing.bytes.extend_from_slice(bytes);
    }

    /// Sends what was not taken.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Outgoing { bytes, sent } = &mut self.outgoing;
        while *sent < bytes.len() {
            let n = ready!(Pin::new(&mut self.socket).poll_write(cx, &bytes[*sent..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += n;
        }
        if *sent > 0 {
            self.outgoing = Outgoing::default();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what has come, but so much at once, and has rustls look at it. What was said goes to `takes`, which says whether it
    /// takes more.
    fn poll_look(
        &mut self,
        cx: &mut Context<'_>,
        at_once: usize,
        mut hears: impl FnMut(&[u8]) -> bool,
        takes: impl FnMut(&[u8]) -> bool,
    ) -> Poll<Result<Look, Broken>> {
        READING.with_borrow_mut(|buffer| {
            let kept = self.incoming.len();
            let mut filled = kept;
            if !std::mem::take(&mut self.has_whole) {
                let mut free = ReadBuf::new(&mut buffer[kept..kept + at_once]);
                let read = Pin::new(&mut self.socket).poll_read(cx, &mut free);
                ready!(read).map_err(Broken::Gone)?;
                let came = free.filled();
                if came.is_empty() {
                    return Poll::Ready(Err(Broken::Gone(io::ErrorKind::UnexpectedEof.into())));
                }
                if !hears(came) {
                    return Poll::Ready(Ok(Look::Enough));
                }
                filled += came.len();
            }
            buffer[..kept].copy_from_slice(&self.incoming);
            let bytes = &mut buffer[..filled];
            let (used, look) = match look(&mut self.session, &mut self.outgoing.bytes, bytes, takes) {
                Ok(done) => done,
                Err(error) => {
                    self.incoming = Vec::new();
                    return Poll::Ready(Err(Broken::Tls(error)));
                }
            };
            let rest = &bytes[used..];
            if rest.len() > MOST_KEPT && look == Look::Done {
                let error = rustls::Error::General("a handshake message of it is too long".to_owned());
                return Poll::Ready(Err(Broken::Tls(error)));
            }
            if rest.is_empty() {
                self.incoming = Vec::new();
            } else {
                self.incoming.clear();
                self.incoming.extend_from_slice(rest);
            }
            self.has_whole = look == Look::Enough && !rest.is_empty();
            Poll::Ready(Ok(look))
        })
    }

    /// Has rustls write with `write` as it is allowed to now.
    fn seal(
        &mut self,
        into: &mut [u8],
        mut write: impl FnMut(
            &mut rustls::unbuffered::WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> io::Result<usize> {
        loop {
            let UnbufferedStatus { state, .. } = self.session.process_tls_records(&mut []);
            match state.map_err(invalid)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return write(&mut traffic, into).map_err(io::Error::other);
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    encode(&mut message, &mut self.outgoing.bytes).map_err(io::Error::other)?;
                }
                ConnectionState::TransmitTlsData(transmit) => transmit.done(),
                ConnectionState::PeerClosed => self.has_ended = true,
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// Ciphers `plain`, and sends as much of that as the socket takes.
    fn send_sealed(
        &mut self,
        cx: &mut Context<'_>,
        plain: &[u8],
        sealed: &mut [u8],
    ) -> io::Result<()> {
        let len = self.seal(sealed, |traffic, into| traffic.encrypt(plain, into))?;
        let sealed = &sealed[..len];
        let mut sent = 0;
        // A message of rustls' own goes before it.
        while self.outgoing.bytes.is_empty() && sent < len {
            match Pin::new(&mut self.socket).poll_write(cx, &sealed[sent..]) {
                Poll::Ready(n) => sent += n?,
                Poll::Pending => break,
            }
        }
        self.outgoing.bytes.extend_from_slice(&sealed[sent..]);
        Ok(())
    }
}

/// Why a handshake stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// It was told to.
    Told,
    Broken(Broken),
}

/// Has rustls look at `bytes`, of which it uses some.
fn look(
    session: &mut UnbufferedServerConnection,
    outgoing: &mut Vec<u8>,
    bytes: &mut [u8],
    mut takes: impl FnMut(&[u8]) -> bool,
) -> Result<(usize, Look), rustls::Error> {
    let mut used = 0;
    loop {
        let status = session.process_tls_records(&mut bytes[used..]);
        let UnbufferedStatus {
            mut discard, state, ..
        } = status;
        let mut looked = None;
        match state {
            Err(error) => {
                say_goodbye(session, outgoing);
                return Err(error);
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    if !takes(record.payload) {
                        looked = Some(Look::Enough);
                    }
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut message, outgoing)?,
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => looked = Some(Look::Ended),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                looked = Some(Look::Done);
            }
            // There is none: nobody is let say anything before its handshake is over.
            Ok(_) => return Err(rustls::Error::General("early data".to_owned())),
        }
        used += discard;
        if let Some(look) = looked {
            return Ok((used, look));
        }
    }
}

/// Takes what rustls has to say after an error: an alert.
fn say_goodbye(session: &mut UnbufferedServerConnection, outgoing: &mut Vec<u8>) {
    loop {
        let UnbufferedStatus { state, .. } = session.process_tls_records(&mut []);
        match state {
            Ok(ConnectionState::EncodeTlsData(mut message)) => {
                if encode(&mut message, outgoing).is_err() {
                    return;
                }
            }
            Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
            _ => return,
        }
    }
}

/// Adds a message of rustls' own to what is to be sent.
fn encode(
    message: &mut rustls::unbuffered::EncodeTlsData<'_, rustls::server::ServerConnectionData>,
    outgoing: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    let begin = outgoing.len();
    let needs = match message.encode(&mut []) {
        Ok(_) => return Ok(()),
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Err(error @ EncodeError::AlreadyEncoded) => {
            return Err(rustls::Error::General(error.to_string()));
        }
    };
    outgoing.resize(begin + needs, 0);
    let encoded = message.encode(&mut outgoing[begin..]);
    encoded.map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(())
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for ServerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.plain.take_into(buf) || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if !this.outgoing.bytes.is_empty() {
                // Whoever does not take it may still have something to say.
                let _ = this.poll_send(cx);
            }
            if this.has_ended {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = this.broken.take() {
                return Poll::Ready(Err(invalid(*error)));
            }
            let before = buf.filled().len();
            let mut rest = Vec::new();
            // What nobody asks for would have to be kept.
            let at_once = (buf.remaining() + OVERHEAD).clamp(LEAST, AT_ONCE);
            let looked = this.poll_look(
                cx,
                at_once,
                |_| true,
                |said| {
                    let fits = said.len().min(buf.remaining());
                    buf.put_slice(&said[..fits]);
                    rest.extend_from_slice(&said[fits..]);
                    buf.remaining() > 0
                },
            );
            if !rest.is_empty() {
                this.plain.bytes = rest;
            }
            let has_read = buf.filled().len() > before;
            match ready!(looked) {
                Ok(Look::Ended) => this.has_ended = true,
                Ok(Look::Done | Look::Enough) => {}
                Err(Broken::Gone(error)) => return Poll::Ready(Err(error)),
                Err(Broken::Tls(error)) => this.broken = Some(Box::new(error)),
            }
            if has_read {
                if !this.outgoing.bytes.is_empty() {
                    let _ = this.poll_send(cx);
                }
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        // What is queued here is ahead of a ping, and so it is never more than a record.
        ready!(this.poll_send(cx))?;
        if this.has_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        WRITING.with_borrow_mut(|Writing { plain, sealed }| {
            let mut filled = bufs.iter().filter(|buf| !buf.is_empty());
            let plain = match (filled.next(), filled.next()) {
                (None, _) => return Poll::Ready(Ok(0)),
                (Some(only), None) => &only[..only.len().min(LONGEST)],
                // One record for all of them.
                _ => {
                    let mut len = 0;
                    for buf in bufs {
                        let fits = buf.len().min(LONGEST - len);
                        plain[len..len + fits].copy_from_slice(&buf[..fits]);
                        len += fits;
                    }
                    &plain[..len]
                }
            };
            this.send_sealed(cx, plain, sealed)?;
            Poll::Ready(Ok(plain.len()))
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !std::mem::replace(&mut this.has_closed, true) {
            let mut notify = [0; 256];
            // Where a session is no more there is none.
            if let Ok(len) = this.seal(&mut notify, |traffic, into| traffic.queue_close_notify(into)) {
                this.outgoing.bytes.extend_from_slice(&notify[..len]);
            }
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl fmt::Debug for ServerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerStream")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

// === impl Plain ===

impl Plain {
    /// Puts what is there into `buf`, as far as it fits. Whether there was any.
    fn take_into(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = &self.bytes[self.taken..];
        if rest.is_empty() {
            return false;
        }
        let fits = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..fits]);
        self.taken += fits;
        if self.taken == self.bytes.len() {
            *self = Self::default();
        }
        true
    }
}
