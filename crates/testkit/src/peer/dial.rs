//! How a client connects.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::{Peer, Role};
use crate::http::Request;
use crate::{PATIENCE, certs};

/// A client that is about to connect.
#[derive(Debug, Clone)]
pub struct Dial {
    to: SocketAddr,
    receive_buffer: Option<u32>,
    send_buffer: Option<u32>,
    tls: Option<Arc<ClientConfig>>,
}

impl Dial {
    /// To this address.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        Self {
            to: address,
            receive_buffer: None,
            send_buffer: None,
            tls: None,
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
        let mut client = self.connect().await;
        client.ask(&Request::upgrade("/")).await;
        client.expect_switch().await;
        client
    }

    /// Connects, unless there is nobody.
    ///
    /// # Errors
    /// If the connection is refused, or its TLS handshake fails.
    pub async fn open(self) -> std::io::Result<Peer> {
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
        let tcp = socket.connect(self.to).await?;
        tcp.set_nodelay(true)?;
        let Some(config) = self.tls else {
            return Ok(Peer::new(Role::Client, Either::Left(tcp)));
        };
        let name = ServerName::try_from(certs::NAME).expect("the name is one of DNS");
        let tls = TlsConnector::from(config).connect(name, tcp).await?;
        Ok(Peer::new(Role::Client, Either::Right(tls.into())))
    }
}
