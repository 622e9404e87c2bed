//! How a client connects.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::{Connect, TlsConnector};
use tokio_util::either::Either;

use super::{Peer, Role, Upstream};
use crate::http::{Head, Request};
use crate::{PATIENCE, certs, eventually, way};

/// A client that is about to connect.
#[derive(Debug, Clone)]
pub struct Dial {
    to: SocketAddr,
    /// A Unix socket instead.
    path: Option<PathBuf>,
    from: Option<IpAddr>,
    receive_buffer: Option<u32>,
    send_buffer: Option<u32>,
    tls: Option<Arc<ClientConfig>>,
    name: &'static str,
    preface: Vec<u8>,
}

/// A client in the middle of its TLS handshake: it was shown a certificate, and has not looked.
pub struct HalfWay(Connect<TcpStream>);

impl Dial {
    /// To this address.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        Self {
            to: address,
            path: None,
            from: None,
            receive_buffer: None,
            send_buffer: None,
            tls: None,
            name: certs::NAME,
            preface: Vec::new(),
        }
    }

    /// To this Unix socket.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::to((Ipv4Addr::UNSPECIFIED, 0).into())
        }
    }

    /// From this address of the machine: all that begin with 127 are.
    #[must_use]
    pub fn from(self, address: impl Into<IpAddr>) -> Self {
        Self {
            from: Some(address.into()),
            ..self
        }
    }

    /// With tiny buffers of its own, so that little is on the way while it does not read.
    #[must_use]
    pub fn tiny(self) -> Self {
        Self {
            receive_buffer: Some(4096),
            send_buffer: Some(4096),
            ..self
        }
    }

    /// With TLS.
    #[must_use]
    pub fn tls(self, config: Arc<ClientConfig>) -> Self {
        Self {
            tls: Some(config),
            ..self
        }
    }

    /// It sends these bytes in front of everything, TLS included.
    #[must_use]
    pub fn preface(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            preface: bytes.into(),
            ..self
        }
    }

    /// With TLS it asks for this name.
    #[must_use]
    pub fn asking_for(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Connects and, with TLS, shakes hands.
    ///
    /// # Panics
    /// If it cannot.
    pub async fn connect(self) -> Peer {
        let connected = timeout(PATIENCE, self.open())
            .await
            .expect("a connection in time");
        connected.unwrap_or_else(|error| panic!("the client cannot connect: {error}"))
    }

    /// Connects and upgrades.
    ///
    /// # Panics
    /// If the answer is not a 101.
    pub async fn websocket(self) -> Peer {
        self.websocket_at("/").await
    }

    /// The same, and asks for this.
    ///
    /// # Panics
    /// If the answer is not a 101.
    pub async fn websocket_at(self, target: &str) -> Peer {
        let mut client = self.connect().await;
        client.ask(&Request::upgrade(target)).await;
        client.expect_switch().await;
        client
    }

    /// The same, and the upstream that lubdub connects it with: both ends of a pair.
    ///
    /// # Panics
    /// If there is no pair.
    pub async fn pair(self, upstreams: &Upstream) -> (Peer, Peer) {
        self.pair_at("/", upstreams).await
    }

    /// The same, and asks for this.
    ///
    /// # Panics
    /// If there is no pair.
    pub async fn pair_at(self, target: &str, upstreams: &Upstream) -> (Peer, Peer) {
        tokio::join!(self.websocket_at(target), upstreams.accept_websocket())
    }

    /// Connects and asks for this. Returns the client, its upstream, and the head that came there.
    ///
    /// # Panics
    /// If it does not come there.
    pub async fn ask(self, request: &Request, upstreams: &Upstream) -> (Peer, Peer, Head) {
        let mut client = self.connect().await;
        client.ask(request).await;
        let mut upstream = upstreams.accept().await;
        let head = upstream.expect_head().await;
        (client, upstream, head)
    }

    /// Connects, says hello over TLS, and waits for the answer.
    ///
    /// # Panics
    /// If there is none in time, or this is to be without TLS.
    pub async fn half_way(self) -> HalfWay {
        let tcp = self.tcp().await.expect("lubdub listens");
        let ear = SockRef::from(&tcp).try_clone();
        let ear = std::net::TcpStream::from(ear.expect("a descriptor can be duplicated"));
        let config = self.tls.as_ref().expect("a client with TLS");
        let mut connect = TlsConnector::from(Arc::clone(config)).connect(self.name(), tcp);
        // The hello; who polled on would take the answer.
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut connect).poll(cx))).await;
        assert!(polled.is_pending(), "a handshake takes two");
        eventually("lubdub answers the hello", || ear.peek(&mut [0]).is_ok()).await;
        HalfWay(connect)
    }

    /// Shakes hands, or tries to; returns what it is told when nothing comes of that, `""` for nothing. With
    /// TLS 1.3 a client learns it only when it reads.
    ///
    /// # Panics
    /// If something else comes, or nothing in time, or this is to be without TLS.
    pub async fn expect_no_tls(self) -> String {
        let config = self.tls.clone().expect("a client with TLS");
        let refused = async {
            let tcp = self.tcp().await?;
            let mut tls = TlsConnector::from(config).connect(self.name(), tcp).await?;
            tls.read(&mut [0]).await
        };
        match timeout(PATIENCE, refused).await.expect("an end in time") {
            Ok(0) => String::new(),
            Ok(_) => panic!("the client was let in, and told something"),
            Err(error) => error.to_string(),
        }
    }

    /// Connects, unless there is nobody.
    ///
    /// # Errors
    /// If the connection is refused, or its TLS handshake fails.
    pub async fn open(self) -> io::Result<Peer> {
        let tcp = self.tcp().await?;
        let name = self.name();
        let Some(config) = self.tls else {
            return Ok(Peer::new(Role::Client, Either::Left(tcp)));
        };
        let tls = TlsConnector::from(config).connect(name, tcp).await?;
        Ok(Peer::new(Role::Client, Either::Right(tls.into())))
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let path = self.path.clone().or_else(|| way::of(self.to));
        if let Some(connected) = path.map(|path| way::connect(&path, self.send_buffer)) {
            // It takes no time: who connects on and on would let nobody else run.
            tokio::task::yield_now().await;
            return connected;
        }
        let socket = match self.to {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(from) = self.from {
            socket.bind((from, 0).into())?;
        }
        let mut tcp = socket.connect(self.to).await?;
        tcp.set_nodelay(true)?;
        tcp.write_all(&self.preface).await?;
        Ok(tcp)
    }

    fn name(&self) -> ServerName<'static> {
        ServerName::try_from(self.name).expect("the name is one of DNS")
    }
}

impl HalfWay {
    /// The other half.
    ///
    /// # Panics
    /// If it fails.
    pub async fn finish(self) -> Peer {
        let connected = timeout(PATIENCE, self.0)
            .await
            .expect("a handshake in time");
        let tls = connected.unwrap_or_else(|error| panic!("the handshake fails: {error}"));
        Peer::new(Role::Client, Either::Right(tls.into()))
    }
}
