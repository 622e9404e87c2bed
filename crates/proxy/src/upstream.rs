//! Connecting to an upstream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::leg::{Leg, TLS_BUFFER_LIMIT};
use crate::settings::Upstream;
use crate::socket::Socket;

/// Why there is no connection to an upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("not connected within {0:?}")]
    TimedOut(Duration),
    #[error("cannot resolve {0}: {1}")]
    Resolve(Arc<str>, #[source] io::Error),
    #[error("{0} has no address")]
    NoAddress(Arc<str>),
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, #[source] io::Error),
    #[error("{0} is not a name that a certificate can be checked against")]
    Name(Arc<str>),
    #[error("TLS with {0} failed: {1}")]
    Tls(SocketAddr, #[source] io::Error),
}

/// Connects to an upstream, TLS included, in `within`.
pub(crate) async fn connect(
    upstream: &Upstream,
    within: Duration,
) -> Result<(Leg, SocketAddr), ConnectError> {
    timeout(within, connect_any(upstream, within))
        .await
        .unwrap_or(Err(ConnectError::TimedOut(within)))
}

/// Tries one address after the other, each with its share of the time that is left, so that one
/// black hole does not use it all.
async fn connect_any(
    upstream: &Upstream,
    within: Duration,
) -> Result<(Leg, SocketAddr), ConnectError> {
    let until = Instant::now() + within;
    let addresses: Vec<SocketAddr> = lookup_host((&*upstream.host, upstream.port))
        .await
        .map_err(|error| ConnectError::Resolve(Arc::clone(&upstream.host), error))?
        .collect();
    let mut failure = ConnectError::NoAddress(Arc::clone(&upstream.host));
    for (index, &address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(now) / left;
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return secure(upstream, address, tcp).await,
            Ok(Err(error)) => failure = ConnectError::Connect(address, error),
            Err(_) => failure = ConnectError::TimedOut(share),
        }
    }
    Err(failure)
}

async fn secure(
    upstream: &Upstream,
    address: SocketAddr,
    tcp: TcpStream,
) -> Result<(Leg, SocketAddr), ConnectError> {
    let socket = Socket::new(tcp).map_err(|error| ConnectError::Connect(address, error))?;
    let Some(config) = &upstream.tls else {
        return Ok((Leg::Plain(socket), address));
    };
    let name = ServerName::try_from(upstream.host.to_string())
        .map_err(|_| ConnectError::Name(Arc::clone(&upstream.host)))?;
    let tls = TlsConnector::from(Arc::clone(config))
        .connect_with(name, socket, |session| {
            session.set_buffer_limit(Some(TLS_BUFFER_LIMIT));
        })
        .await
        .map_err(|error| ConnectError::Tls(address, error))?;
    Ok((Leg::Tls(Box::new(tls.into())), address))
}
