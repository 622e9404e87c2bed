//! Where upstreams come from: a listening socket to which lubdub connects.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;

use super::{Peer, Role};
use crate::{PATIENCE, way};

/// A listening socket on loopback; each connection that lubdub makes to it is a [`Peer`].
pub struct Upstream {
    listener: Listener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

enum Listener {
    Tcp(TcpListener),
    /// In place of a port.
    Unix {
        listener: UnixListener,
        buffers: Option<u32>,
        _port: way::Port,
    },
}

impl Listener {
    fn tcp(buffers: Option<u32>, backlog: u32) -> io::Result<(Self, SocketAddr)> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = buffers {
            // Before listening, so that the window that is announced fits.
            socket.set_recv_buffer_size(bytes)?;
            socket.set_send_buffer_size(bytes)?;
        }
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(backlog)?;
        let address = listener.local_addr()?;
        Ok((Self::Tcp(listener), address))
    }

    fn unix(buffers: Option<u32>, backlog: u32) -> io::Result<(Self, SocketAddr)> {
        let port = way::Port::hold()?;
        let path = way::path(port.address);
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        socket.bind(&SockAddr::unix(&path)?)?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
        let address = port.address;
        let listener = Self::Unix {
            listener,
            buffers,
            _port: port,
        };
        Ok((listener, address))
    }

    async fn accept(&self) -> TcpStream {
        let accepted = match self {
            Self::Tcp(listener) => listener.accept().await.and_then(|(tcp, _)| {
                tcp.set_nodelay(true)?;
                Ok(tcp)
            }),
            Self::Unix {
                listener, buffers, ..
            } => listener.accept().await.and_then(|(unix, _)| {
                if let Some(bytes) = buffers {
                    SockRef::from(&unix).set_send_buffer_size(*bytes as usize)?;
                }
                way::stream(unix.into_std()?.into())
            }),
        };
        accepted.expect("a listening socket accepts")
    }
}

impl Upstream {
    /// Listens on a port that the kernel chooses.
    #[must_use]
    pub fn listen() -> Self {
        Self::bind(None, 1024)
    }

    /// Listens at a Unix socket, whatever the way.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn over_unix(backlog: u32) -> Self {
        let (listener, address) = Listener::unix(None, backlog).expect("there is a free name");
        Self {
            listener,
            address,
            tls: None,
        }
    }

    /// Its path, if it is a Unix socket.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        matches!(self.listener, Listener::Unix { .. }).then(|| way::path(self.address))
    }

    /// The same with tiny buffers, so that little is on the way while it does not read.
    #[must_use]
    pub fn tiny() -> Self {
        Self::bind(Some(4096), 1024)
    }

    /// Listens with room for `backlog` connections that are not accepted yet, and one more.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn bind(buffers: Option<u32>, backlog: u32) -> Self {
        let bind = match way::is_unix() {
            true => Listener::unix,
            false => Listener::tcp,
        };
        let (listener, address) = bind(buffers, backlog).expect("loopback has a free port");
        Self {
            listener,
            address,
            tls: None,
        }
    }

    /// With TLS.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection of lubdub's.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn accept(&self) -> Peer {
        let accepted = timeout(PATIENCE, self.next()).await;
        accepted.expect("lubdub connects to the upstream in time")
    }

    /// The next connection, upgraded.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn accept_websocket(&self) -> Peer {
        let mut upstream = self.accept().await;
        upstream.accept_upgrade().await;
        upstream
    }

    /// Checks that lubdub connects, and does not finish its TLS handshake.
    ///
    /// # Panics
    /// If it does finish it.
    pub async fn expect_no_handshake(&self) {
        let tcp = timeout(PATIENCE, self.listener.accept())
            .await
            .expect("lubdub connects to the upstream in time");
        let acceptor = self.tls.as_ref().expect("this upstream speaks TLS");
        assert!(
            acceptor.accept(tcp).await.is_err(),
            "lubdub trusts this upstream"
        );
    }

    /// Checks that lubdub makes no connection for so long.
    ///
    /// # Panics
    /// If it does.
    pub async fn expect_nobody(&self, quiet: Duration) {
        let accepted = timeout(quiet, self.next()).await;
        assert!(accepted.is_err(), "lubdub connected to the upstream");
    }

    async fn next(&self) -> Peer {
        let tcp = self.listener.accept().await;
        match &self.tls {
            None => Peer::new(Role::Upstream, Either::Left(tcp)),
            Some(acceptor) => {
                let tls = acceptor.accept(tcp).await.expect("lubdub shakes hands");
                Peer::new(Role::Upstream, Either::Right(tls.into()))
            }
        }
    }
}
