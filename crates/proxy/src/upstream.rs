//! Connecting to an upstream.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;

use crate::admission::{Admission, SocketPermit};
use crate::leg::{Leg, TLS_BUFFER_LIMIT};
use crate::patience::within;
use crate::settings::Upstream;
use crate::socket::Socket;
use crate::starvation::{STARVED, is_starvation, is_starved};

/// Why there is no connection to an upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no file descriptor is left for it")]
    NoRoom,
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

/// A connection to an upstream.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) leg: Leg,
    pub(crate) address: SocketAddr,
    pub(crate) permit: SocketPermit,
}

/// Name resolution blocks a thread each time, for as long as the system's resolver likes.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

/// Connects to an upstream, TLS included, in `limit`.
pub(crate) async fn connect(
    upstream: &Upstream,
    limit: Duration,
    admission: &Admission,
) -> Result<Connected, ConnectError> {
    let permit = admission.upstream().ok_or(ConnectError::NoRoom)?;
    let (leg, address) = within(limit, connect_any(upstream, limit))
        .await
        .unwrap_or(Err(ConnectError::TimedOut(limit)))?;
    Ok(Connected {
        leg,
        address,
        permit,
    })
}

async fn connect_any(
    upstream: &Upstream,
    limit: Duration,
) -> Result<(Leg, SocketAddr), ConnectError> {
    let until = Instant::now() + limit;
    let addresses = resolve(upstream, limit).await?;
    connect_first(upstream, &addresses, until, limit).await
}

/// Tries one address after the other, each with its share of the time that is left, so that one
/// black hole does not use it all.
async fn connect_first(
    upstream: &Upstream,
    addresses: &[SocketAddr],
    until: Instant,
    limit: Duration,
) -> Result<(Leg, SocketAddr), ConnectError> {
    let mut failure = ConnectError::NoAddress(Arc::clone(&upstream.host));
    for (index, &address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / left;
        failure = match within(share, connect_one(upstream, address, share)).await {
            Ok(Ok(leg)) => return Ok((leg, address)),
            Ok(Err(error)) => error,
            Err(_) => ConnectError::TimedOut(limit),
        };
    }
    Err(failure)
}

async fn resolve(upstream: &Upstream, limit: Duration) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(ip) = upstream.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, upstream.port)]);
    }
    let last = last_try(limit);
    loop {
        let turn = LOOKUPS.acquire().await;
        let was_starved = is_starved();
        let found = lookup_host((&*upstream.host, upstream.port)).await;
        drop(turn);
        match found {
            Ok(addresses) => return Ok(addresses.collect()),
            // The system's resolver needs descriptors, too, and does not always say so; there may be
            // some again by now.
            Err(error)
                if (was_starved || is_starvation(&error) || is_starved())
                    && Instant::now() < last =>
            {
                sleep(STARVED).await;
            }
            Err(error) => return Err(ConnectError::Resolve(Arc::clone(&upstream.host), error)),
        }
    }
}

async fn connect_one(
    upstream: &Upstream,
    address: SocketAddr,
    limit: Duration,
) -> Result<Leg, ConnectError> {
    let socket = connect_when_possible(address, limit)
        .await
        .and_then(Socket::new)
        .map_err(|error| ConnectError::Connect(address, error))?;
    let Some(config) = &upstream.tls else {
        return Ok(Leg::Plain(socket));
    };
    let name = ServerName::try_from(upstream.host.to_string())
        .map_err(|_| ConnectError::Name(Arc::clone(&upstream.host)))?;
    let tls = TlsConnector::from(Arc::clone(config))
        .connect_with(name, socket, |session| {
            session.set_buffer_limit(Some(TLS_BUFFER_LIMIT));
        })
        .await
        .map_err(|error| ConnectError::Tls(address, error))?;
    Ok(Leg::Tls(Box::new(tls.into())))
}

/// Waits for a file descriptor if the process has none left: the client that this connection is for
/// has got one, and waits as those do who are still to be accepted.
async fn connect_when_possible(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let last = last_try(limit);
    loop {
        match TcpStream::connect(address).await {
            Err(error) if is_starvation(&error) && Instant::now() < last => {
                sleep(STARVED).await;
            }
            connected => return connected,
        }
    }
}

/// What is wrong is to be told before `limit` says only that it was reached.
fn last_try(limit: Duration) -> Instant {
    Instant::now() + limit.saturating_sub(2 * STARVED)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream as StdStream};

    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::testing;

    const LIMIT: Duration = Duration::from_secs(5);

    /// An address that is taken; who listens there is up to the test.
    fn socket() -> (Socket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    async fn connect_to(addresses: &[SocketAddr]) -> Result<SocketAddr, ConnectError> {
        let upstream = &testing::route("main").upstream;
        let until = Instant::now() + LIMIT;
        let connected = connect_first(upstream, addresses, until, LIMIT).await;
        connected.map(|(_, address)| address)
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next() {
        let (_nobody_listens, refusing) = socket();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let listening = listener.local_addr().unwrap();
        assert_eq!(connect_to(&[refusing, listening]).await.unwrap(), listening);
        let error = connect_to(&[refusing]).await.unwrap_err();
        assert!(
            error.to_string().contains(&refusing.to_string()),
            "{error} names the address"
        );
    }

    /// An address that swallows everything used up all the time, and the next was never tried.
    #[tokio::test(start_paused = true)]
    async fn a_black_hole_takes_only_its_share_of_the_time() {
        let (hole, swallowing) = socket();
        hole.listen(0).unwrap();
        // One waits to be accepted; the SYNs of others are dropped.
        let _waiting = StdStream::connect(swallowing).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let listening = listener.local_addr().unwrap();

        let began = Instant::now();
        let connected = connect_to(&[swallowing, listening]).await.unwrap();
        assert_eq!((connected, began.elapsed()), (listening, LIMIT / 2));
        let error = connect_to(&[swallowing]).await.unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut(LIMIT)), "{error}");
    }
}
