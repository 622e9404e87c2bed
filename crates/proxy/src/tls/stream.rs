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
    /// rustls has given up: it is not to be asked any more.
    is_over: bool,
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
            is_over: false,
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
        if self.is_over {
            // Its error was told. Who asks once more, as a server does that lingers, gets no further.
            return Poll::Ready(Err(Broken::Gone(io::ErrorKind::UnexpectedEof.into())));
        }
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
            let looked = look(&mut self.session, &mut self.outgoing.bytes, bytes, takes);
            let (used, look) = match looked {
                Ok((used, Look::Done)) if filled - used > MOST_KEPT => Err(too_long()),
                looked => looked,
            }
            .map_err(|error| {
                self.is_over = true;
                self.incoming = Vec::new();
                Broken::Tls(error)
            })?;
            let rest = &bytes[used..];
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
            if self.is_over {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            // It is allowed to write as the last thing, once it has dealt with what has come. Of that it
            // keeps places in the buffer: it always has to see what is kept, and panics if it does not.
            let incoming = &mut self.incoming;
            let UnbufferedStatus {
                mut discard, state, ..
            } = self.session.process_tls_records(incoming);
            let mut written = None;
            match state {
                Err(error) => {
                    incoming.drain(..discard);
                    say_goodbye(&mut self.session, &mut self.outgoing.bytes, incoming);
                    self.incoming = Vec::new();
                    self.is_over = true;
                    self.broken = Some(Box::new(error.clone()));
                    return Err(invalid(error));
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    written = Some(write(&mut traffic, into).map_err(io::Error::other));
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        discard += record.discard;
                        self.plain.bytes.extend_from_slice(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    encode(&mut message, &mut self.outgoing.bytes).map_err(io::Error::other)?;
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed) => self.has_ended = true,
                Ok(_) => written = Some(Err(io::ErrorKind::BrokenPipe.into())),
            }
            self.incoming.drain(..discard);
            if let Some(written) = written {
                if self.incoming.is_empty() {
                    self.incoming = Vec::new();
                }
                self.has_whole = false;
                return written;
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
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
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
                say_goodbye(session, outgoing, &mut bytes[used + discard..]);
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

/// Takes what rustls has to say after an error: an alert. `rest` is what it has not used.
fn say_goodbye(
    session: &mut UnbufferedServerConnection,
    outgoing: &mut Vec<u8>,
    mut rest: &mut [u8],
) {
    loop {
        let UnbufferedStatus { state, discard, .. } = session.process_tls_records(rest);
        match state {
            Ok(ConnectionState::EncodeTlsData(mut message)) => {
                let begin = outgoing.len();
                if encode(&mut message, outgoing).is_err() || is_alert(&outgoing[begin..]) {
                    return;
                }
            }
            // There is no alert. What it would look at next is behind an error.
            _ => return,
        }
        rest = &mut rest[discard..];
    }
}

/// Whether a record is an alert, the last that a session says: asked once more, rustls would look at what is
/// wrong once more. Ciphered by TLS 1.3 no other record is as short.
fn is_alert(record: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const CIPHERED: u8 = 23;
    // Its header, its two bytes and their type, and the tag (RFC 8446 5.2, 6).
    const LEN: usize = 5 + 2 + 1 + 16;
    match record {
        [ALERT, ..] => true,
        [CIPHERED, ..] => record.len() <= LEN,
        _ => false,
    }
}

fn too_long() -> rustls::Error {
    rustls::InvalidMessage::HandshakePayloadTooLarge.into()
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
            if let Ok(len) = this.seal(&mut notify, |traffic, into| {
                traffic.queue_close_notify(into)
            }) {
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream as StdStream;

    use rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
    use rustls::{
        ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
        RootCertStore, SupportedCipherSuite,
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::{Certificate, Certificates, Clients, ServerTls, provider};
    use super::*;

    /// A client that has shaken hands, and the other end of its connection.
    async fn pair() -> (ClientConnection, StdStream, ServerStream) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let certificate = Certificate::new(vec![made.cert.der().clone()], key.unwrap()).unwrap();
        let tls = ServerTls::new(Certificates::new(vec![certificate]), Clients::Anyone, None);
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut far = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().await.unwrap();
        let socket = Socket::new(near).unwrap();
        let mut server = ServerStream::new(tls.unwrap().config(), socket).unwrap();
        let shaking = tokio::task::spawn_blocking(move || {
            while client.is_handshaking() {
                client.complete_io(&mut far).unwrap();
            }
            (client, far)
        });
        std::future::poll_fn(|cx| server.poll_handshake(cx, |_| Ok(())))
            .await
            .unwrap();
        server.flush().await.unwrap();
        let (client, far) = shaking.await.unwrap();
        (client, far, server)
    }

    /// Records with these plaintexts, as the client would send them next. It can send nothing itself any more.
    fn sealed(client: ClientConnection, records: &[(ContentType, &[u8])]) -> Vec<Vec<u8>> {
        let Some(SupportedCipherSuite::Tls13(suite)) = client.negotiated_cipher_suite() else {
            unreachable!("it speaks TLS 1.3 only");
        };
        let (first, secrets) = client.dangerous_extract_secrets().unwrap().tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            unreachable!("there are no others");
        };
        let mut encrypter = suite.aead_alg.encrypter(key, iv);
        let seal = |((typ, payload), seq): (&(ContentType, &[u8]), u64)| {
            let message = OutboundPlainMessage {
                typ: *typ,
                version: ProtocolVersion::TLSv1_3,
                payload: OutboundChunks::Single(payload),
            };
            encrypter.encrypt(message, seq).unwrap().encode()
        };
        records.iter().zip(first..).map(seal).collect()
    }

    /// A message of the handshake may come in pieces behind it as well. rustls remembers where in the buffer they
    /// are, and panicked when it was to write and was not shown the buffer.
    #[tokio::test]
    async fn writing_between_the_halves_of_a_handshake_message_is_writing() {
        let (client, mut far, mut server) = pair().await;
        // A KeyUpdate (RFC 8446 4.6.3) that asks for none in return.
        let records = [
            (ContentType::ApplicationData, &b"before"[..]),
            (ContentType::Handshake, &[24, 0]),
            (ContentType::Handshake, &[0, 1, 0]),
        ];
        let records = sealed(client, &records);
        far.write_all(&records[..2].concat()).unwrap();
        let mut buf = [0; 64];
        let n = server.read(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"before");
        server.write_all(b"between").await.unwrap();
        server.flush().await.unwrap();
        far.write_all(&records[2]).unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        let end = server.read(&mut buf).await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
        assert!(server.incoming.is_empty(), "the message is whole");
        server.write_all(b"after").await.unwrap();
        server.shutdown().await.unwrap();
    }

    /// What is read in small pieces is kept as it came, and what is written meanwhile has it deciphered.
    #[tokio::test]
    async fn nothing_is_lost_by_who_reads_little_and_writes() {
        let (mut client, mut far, mut server) = pair().await;
        let said: Vec<u8> = (0..60_000_u32).map(|n| n as u8).collect();
        let to_say = said.clone();
        let saying = tokio::task::spawn_blocking(move || {
            let mut rest = &to_say[..];
            while !rest.is_empty() {
                let n = client.writer().write(rest).unwrap();
                rest = &rest[n..];
                client.complete_io(&mut far).unwrap();
            }
            client.send_close_notify();
            client.complete_io(&mut far).unwrap();
            let mut heard = Vec::new();
            while client.read_tls(&mut far).unwrap() > 0 {
                client.process_new_packets().unwrap();
                let _ = client.reader().read_to_end(&mut heard);
            }
            heard
        });
        let mut came = Vec::new();
        let mut buf = [0; 1000];
        let mut answers = 0;
        loop {
            let n = server.read(&mut buf).await.unwrap();
            if n == 0 {
                break;
            }
            came.extend_from_slice(&buf[..n]);
            server.write_all(b"a").await.unwrap();
            answers += 1;
        }
        assert!(came == said, "{} of {} bytes", came.len(), said.len());
        server.shutdown().await.unwrap();
        assert_eq!(saying.await.unwrap().len(), answers);
        let kept = (server.incoming.capacity(), server.plain.bytes.capacity());
        assert_eq!((kept, server.outgoing.bytes.capacity()), ((0, 0), 0));
    }

    /// After an error rustls remembers where the half was, in a buffer that is gone. To be asked once more it was shown
    /// what came then, and panicked.
    #[tokio::test]
    async fn who_reads_on_behind_an_error_gets_no_further() {
        let (client, mut far, mut server) = pair().await;
        let records = [
            (ContentType::Handshake, &[24, 0][..]),
            (ContentType::ApplicationData, &b"in the middle of it"[..]),
        ];
        far.write_all(&sealed(client, &records).concat()).unwrap();
        let mut buf = [0; 64];
        let broken = server.read(&mut buf).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::InvalidData);
        far.write_all(b"x").unwrap();
        let over = server.read(&mut buf).await.unwrap_err();
        assert_eq!(over.kind(), io::ErrorKind::UnexpectedEof);
        assert!(server.write(b"x").await.is_err());
        server.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_broken_record_ends_it_and_what_was_said_before_is_heard() {
        let (client, mut far, mut server) = pair().await;
        let mut records = sealed(client, &[(ContentType::ApplicationData, &b"whole"[..]); 2]);
        *records[1].last_mut().unwrap() ^= 1;
        far.write_all(&records.concat()).unwrap();
        let mut buf = [0; 64];
        let n = server.read(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"whole");
        let broken = server.read(&mut buf).await.unwrap_err();
        assert_eq!(broken.kind(), io::ErrorKind::InvalidData);
        assert!(server.write(b"x").await.is_err());
        server.shutdown().await.unwrap();
    }
}
