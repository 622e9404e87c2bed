//! Where upstreams come from: a listening socket to which lubdub connects.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;

use super::{Peer, Role};
use crate::PATIENCE;

/// A listening socket on loopback; each connection that lubdub makes to it is a [`Peer`].
pub struct Upstream {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

impl Upstream {
    /// Listens on a port that the kernel chooses.
    #[must_use]
    pub fn listen() -> Self {
        Self::bind(None, 1024)
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
        let bind = || {
            let socket = TcpSocket::new_v4()?;
            if let Some(bytes) = buffers {
                // Before listening, so that the window that is announced fits.
                socket.set_recv_buffer_size(bytes)?;
                socket.set_send_buffer_size(bytes)?;
            }
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            let listener = socket.listen(backlog)?;
            let address = listener.local_addr()?;
            Ok::<_, std::io::Error>((listener, address))
        };
        let (listener, address) = bind().expect("loopback has a free port");
        Self {
            listener,
            address,
            tls: None,
        }
    }

    /// With TLS.
    #[must_use]
    pub fn tls(self, config: Arc<ServerConfig>) -> Self {
        Self {
            tls: Some(config.into()),
            ..self
        }
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
        let (tcp, _) = timeout(PATIENCE, self.listener.accept())
            .await
            .expect("lubdub connects to the upstream in time")
            .expect("a listening socket accepts");
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
        let (tcp, _) = self
            .listener
            .accept()
            .await
            .expect("a listening socket accepts");
        tcp.set_nodelay(true)
            .expect("a connected socket has options");
        match &self.tls {
            None => Peer::new(Role::Upstream, Either::Left(tcp)),
            Some(acceptor) => {
                let tls = acceptor.accept(tcp).await.expect("lubdub shakes hands");
                Peer::new(Role::Upstream, Either::Right(tls.into()))
            }
        }
    }
}
