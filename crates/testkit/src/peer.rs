//! Scripted endpoints: raw connections on loopback that say exactly what they are told to, byte for
//! byte, and read only when something is expected of them.
//!
//! Not a WebSocket library: a [`Peer`] checks nothing that it sends and answers no ping unless told
//! so ([`Peer::answer_pings`]). It is a client if it was made by [`Dial`] and an upstream if it was
//! accepted by an [`Upstream`]; the difference is in who masks (RFC 6455 5.1).

mod dial;
mod ears;
mod expect;
mod mouth;
mod upstream;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustls::HandshakeKind;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_util::either::Either;

pub use self::dial::{Dial, HalfWay};
pub use self::ears::{Ears, Heard};
pub use self::mouth::Mouth;
pub use self::upstream::Upstream;
use crate::frame::Frame;
use crate::http::{Head, Request};

/// One end of a connection, at whose other end is lubdub.
#[derive(Debug)]
pub struct Peer {
    role: Role,
    ears: Ears,
    mouth: Mouth,
    answering: Answering,
    /// A second handle on the socket, for its options.
    socket: socket2::Socket,
    address: SocketAddr,
    /// Over TLS: whether it went on with a session from before.
    has_resumed: Option<bool>,
}

/// Which end it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It connected to lubdub, and masks.
    Client,
    /// lubdub connected to it, and it does not mask.
    Upstream,
}

/// Whether pings are answered on the way to what is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    /// A ping is a frame like any other.
    No,
    /// Every ping is answered at once, and not seen by the test.
    Pings,
}

/// The connection, with or without TLS.
type Stream = Either<TcpStream, TlsStream<TcpStream>>;

impl Peer {
    fn new(role: Role, stream: Stream) -> Self {
        let tcp = match &stream {
            Either::Left(tcp) => tcp,
            Either::Right(tls) => tls.get_ref().0,
        };
        // A Unix socket has none.
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let address = tcp.local_addr().unwrap_or(nobody);
        let socket = SockRef::from(tcp)
            .try_clone()
            .expect("a descriptor can be duplicated");
        let has_resumed = match &stream {
            Either::Left(_) => None,
            Either::Right(tls) => {
                let kind = match tls {
                    TlsStream::Client(tls) => tls.get_ref().1.handshake_kind(),
                    TlsStream::Server(tls) => tls.get_ref().1.handshake_kind(),
                };
                kind.map(|kind| kind == HandshakeKind::Resumed)
            }
        };
        let (reading, writing) = tokio::io::split(stream);
        Self {
            role,
            ears: Ears::new(role, reading),
            mouth: Mouth::new(role, writing),
            answering: Answering::No,
            socket,
            address,
            has_resumed,
        }
    }

    // --- manners

    /// From now on it answers every ping, own or foreign, whenever it is told to expect something,
    /// and the test does not see them.
    pub fn answer_pings(&mut self) {
        self.answering = Answering::Pings;
    }

    /// From now on pings are seen, and not answered.
    pub fn leave_pings(&mut self) {
        self.answering = Answering::No;
    }

    // --- saying

    /// Says these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.mouth.send(bytes.as_ref()).await;
    }

    /// Says these bytes, if the connection still takes them; whether it did.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.mouth.try_send(bytes.as_ref()).await.is_ok()
    }

    /// Puts these bytes into the connection below TLS, behind what it has said.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn send_below_tls(&mut self, bytes: &[u8]) {
        let mut socket = &self.socket;
        let sent = std::io::Write::write(&mut socket, bytes);
        assert_eq!(sent.ok(), Some(bytes.len()), "there is room");
    }

    /// Says these bytes one at a time, each in a segment of its own, with a pause before each.
    pub async fn trickle(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            tokio::time::sleep(pause).await;
            self.mouth.send(&[*byte]).await;
        }
    }

    /// Sends a frame.
    pub async fn send_frame(&mut self, frame: &Frame) {
        let bytes = self.encode(frame);
        self.mouth.send(&bytes).await;
    }

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.send_frame(&Frame::text(text)).await;
    }

    /// Sends a text message, if the connection still takes it; whether it did.
    pub async fn try_send_text(&mut self, text: &str) -> bool {
        let bytes = self.encode(&Frame::text(text));
        self.try_send(bytes).await
    }

    /// Sends a PING.
    pub async fn ping(&mut self, payload: impl AsRef<[u8]>) {
        self.send_frame(&Frame::ping(payload.as_ref())).await;
    }

    /// Sends a PONG.
    pub async fn pong(&mut self, payload: impl AsRef<[u8]>) {
        self.send_frame(&Frame::pong(payload.as_ref())).await;
    }

    /// Sends a Close.
    pub async fn close(&mut self, code: u16, reason: &str) {
        self.send_frame(&Frame::close(code, reason)).await;
    }

    /// The bytes of a frame as this peer sends it: masked if it is a client.
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        self.mouth.encode(frame)
    }

    /// Sends messages of 16 KiB until no more are taken for `quiet`, and returns how many bytes
    /// were. The last of them may be cut short.
    pub async fn send_until_blocked(&mut self, quiet: Duration) -> usize {
        let message = self.encode(&Frame::binary(vec![b'x'; 16 * 1024]));
        self.mouth.send_until_blocked(&message, quiet).await
    }

    /// Sends a request.
    pub async fn ask(&mut self, request: &Request) {
        self.send(request.encode()).await;
    }

    // --- ends

    /// Waits until the kernel says that the other end has reset the connection, and reads nothing for it.
    ///
    /// # Panics
    /// If the socket cannot be asked.
    pub async fn expect_broken(&self) {
        crate::eventually("the connection is reset", || {
            let error = self.socket.take_error();
            error
                .expect("a socket can be asked for its error")
                .is_some()
        })
        .await;
    }

    /// Says that it will send no more (FIN; over TLS a close_notify before it), and goes on reading.
    pub async fn finish(&mut self) {
        self.mouth.finish().await;
    }

    /// Ends its stream below TLS: a FIN without a close_notify.
    pub fn hang_up(&self) {
        self.socket
            .shutdown(std::net::Shutdown::Write)
            .expect("a connected socket can be shut down");
    }

    /// Ends the connection at once, with a RST.
    pub fn reset(self) {
        self.socket
            .set_linger(Some(Duration::ZERO))
            .expect("a socket can be told not to linger");
    }

    // --- what it is and what it knows

    /// Its own address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Over TLS: whether it went on with a session from before.
    #[must_use]
    pub fn has_resumed(&self) -> Option<bool> {
        self.has_resumed
    }

    /// Every byte that it has read since the handshake.
    #[must_use]
    pub fn heard(&self) -> &[u8] {
        self.ears.heard()
    }

    /// Its ears and its mouth, for those who listen and talk at the same time.
    #[must_use]
    pub fn split(self) -> (Ears, Mouth) {
        (self.ears, self.mouth)
    }

    /// Answers an upgrade that asked with [`crate::http::KEY`].
    pub async fn accept_upgrade(&mut self) -> Head {
        let head = self.expect_head().await;
        self.send(crate::http::SWITCHING).await;
        self.ears.forget();
        head
    }
}

/// Checks that a pair lives: what each end says comes to the other one.
pub async fn expect_alive((client, upstream): &mut (Peer, Peer)) {
    client.send_text("up").await;
    upstream.expect_text("up").await;
    upstream.send_text("down").await;
    client.expect_text("down").await;
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "the client",
            Self::Upstream => "the upstream",
        })
    }
}
