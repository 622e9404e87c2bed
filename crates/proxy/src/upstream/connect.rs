//! Connecting to an upstream: its name, its addresses one after the other, TLS.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lubdub_metrics::{Connect, Outcome, UpstreamMetrics};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;

use super::lookup::{Lookup, Unresolved};
use super::{Permit, Upstream, Whereabouts, pool};
use crate::address::Address;
use crate::leg::{Leg, TLS_BUFFER_LIMIT};
use crate::patience::within;
use crate::socket::Socket;
use crate::starvation::{STARVED, is_starvation};
use crate::{tls, unix};

/// Why there is no connection to an upstream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no file descriptor is left for it")]
    NoRoom,
    #[error("not connected within {0:?}")]
    TimedOut(Duration),
    #[error("cannot resolve {0}: {1}")]
    Resolve(Arc<str>, Unresolved),
    #[error("{0} has no address")]
    NoAddress(Arc<str>),
    #[error("{0} is an address of this lubdub itself")]
    Own(Address),
    #[error("cannot connect to {0}: {1}")]
    Connect(Address, #[source] io::Error),
    #[error("no TLS with {0}: {1}")]
    Tls(Address, String),
}

/// How soon a Unix socket whose accept queue is full is asked again.
const FULL: Duration = Duration::from_millis(10);

/// A connect under way: counted once, however it ends.
struct Attempt<'a> {
    upstream: &'a UpstreamMetrics,
    /// Until it is known, whoever it is for may go and take it along.
    outcome: Connect,
}

/// A connection to an upstream.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) leg: Leg,
    pub(crate) address: Address,
    /// Its place among the connections to upstreams.
    pub(crate) permit: Permit,
}

impl ConnectError {
    /// What it means for the request.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NoRoom => Outcome::AtCapacity,
            Self::TimedOut(_) => Outcome::ConnectTimeout,
            Self::Own(_) => Outcome::Loop,
            Self::Resolve(..) | Self::NoAddress(_) | Self::Connect(..) | Self::Tls(..) => {
                Outcome::ConnectFailed
            }
        }
    }

    /// What it is counted as of the upstream.
    fn connect(&self) -> Connect {
        match self {
            Self::NoRoom => Connect::NoRoom,
            Self::TimedOut(_) => Connect::Timeout,
            Self::Resolve(..) | Self::NoAddress(_) => Connect::LookupFailed,
            Self::Own(_) => Connect::Loop,
            Self::Connect(..) => Connect::Failed,
            Self::Tls(..) => Connect::TlsFailed,
        }
    }
}

impl Attempt<'_> {
    fn ended<T>(mut self, result: Result<T, ConnectError>) -> Result<T, ConnectError> {
        self.outcome = match &result {
            Ok(_) => Connect::Connected,
            Err(error) => error.connect(),
        };
        result
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.upstream.connect(self.outcome);
    }
}

impl Upstream {
    /// Connects, TLS included, in `limit`. `header` goes in front of all. Who calls holds a place of
    /// [`Upstream::waiting`].
    pub(crate) async fn connect(
        &self,
        limit: Duration,
        header: Option<&[u8]>,
    ) -> Result<Connected, ConnectError> {
        let attempt = Attempt {
            upstream: &self.metrics,
            outcome: Connect::Abandoned,
        };
        let connecting = pin!(async {
            let permit = self.socket_place(limit).await?;
            let (leg, address) = self.connect_any(limit, header).await?;
            Ok(Connected {
                leg,
                address,
                permit,
            })
        });
        let connected = within(limit, connecting)
            .await
            .unwrap_or(Err(ConnectError::TimedOut(limit)));
        attempt.ended(connected)
    }

    /// A place for one more connection to an upstream. Connections that are kept for later give
    /// theirs up for it.
    async fn socket_place(&self, limit: Duration) -> Result<Permit, ConnectError> {
        if let Some(permit) = self.sockets.try_take_quietly() {
            return Ok(permit);
        }
        if !self.kept.close_oldest() && !self.idle.close_oldest_with_upstreams() {
            return self.sockets.try_take().ok_or(ConnectError::NoRoom);
        }
        // The one that was closed gives its place back as soon as its task has run.
        let soon = pool::CLOSING.min(limit / 2);
        let permit = tokio::time::timeout(soon, self.sockets.take_quietly()).await;
        permit.map_err(|_| {
            self.sockets.on_missed();
            ConnectError::NoRoom
        })
    }

    async fn connect_any(
        &self,
        limit: Duration,
        header: Option<&[u8]>,
    ) -> Result<(Leg, Address), ConnectError> {
        let until = Instant::now() + limit;
        let last = last_try(limit);
        let lookup = match &self.whereabouts {
            Whereabouts::Name(lookup) => lookup,
            Whereabouts::Path(path) => {
                let address = Address::Unix(Arc::clone(path));
                self.refuse_own(&address, last).await?;
                let leg = connect_one(self, &address, header, limit).await?;
                return Ok((leg, address));
            }
        };
        let addresses = self.resolve(lookup, last).await?;
        for &address in &*addresses {
            self.refuse_own(&address.into(), last).await?;
        }
        connect_first(self, &addresses, header, until, limit).await
    }

    /// What `error` says of TLS with who is at `address`, if it does. It came in place of the first answer over
    /// a connection.
    pub(crate) fn judged(&self, address: &Address, error: &hyper::Error) -> Option<ConnectError> {
        let words = tls::explain_late(error, self.tls.as_deref()?, |key| self.key(key))?;
        Some(ConnectError::Tls(address.clone(), words))
    }

    /// The whole of a key of its own.
    fn key(&self, last: &str) -> String {
        format!("upstream.{}.{last}", self.settings.name)
    }

    async fn resolve(
        &self,
        lookup: &Arc<Lookup>,
        last: Instant,
    ) -> Result<Arc<[SocketAddr]>, ConnectError> {
        loop {
            match lookup.addresses().await {
                Ok(addresses) => return Ok(addresses),
                Err(Unresolved::Starved) if Instant::now() < last => sleep(STARVED).await,
                Err(error) => {
                    let host = Arc::clone(lookup.host());
                    return Err(ConnectError::Resolve(host, error));
                }
            }
        }
    }

    /// Refuses an address that leads back to lubdub. Waits for a descriptor if there is none to find out with.
    async fn refuse_own(&self, address: &Address, last: Instant) -> Result<(), ConnectError> {
        loop {
            match self.own.contains(address) {
                Ok(false) => return Ok(()),
                Ok(true) => return Err(ConnectError::Own(address.clone())),
                Err(_) if Instant::now() < last => sleep(STARVED).await,
                Err(error) => return Err(ConnectError::Connect(address.clone(), error)),
            }
        }
    }
}

/// Tries one address after the other, each with its share of the time that is left, so that one
/// black hole does not use it all.
async fn connect_first(
    upstream: &Upstream,
    addresses: &[SocketAddr],
    header: Option<&[u8]>,
    until: Instant,
    limit: Duration,
) -> Result<(Leg, Address), ConnectError> {
    let mut failure = ConnectError::NoAddress(upstream.settings.authority().into());
    for (index, &address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / left;
        let to = address.into();
        let connected = within(share, pin!(connect_one(upstream, &to, header, share))).await;
        failure = match connected {
            Ok(Ok(leg)) => return Ok((leg, to)),
            Ok(Err(error)) => error,
            Err(_) => ConnectError::TimedOut(limit),
        };
    }
    Err(failure)
}

async fn connect_one(
    upstream: &Upstream,
    address: &Address,
    header: Option<&[u8]>,
    limit: Duration,
) -> Result<Leg, ConnectError> {
    let connected = match address {
        Address::Ip(address) => connect_when_possible(*address, limit).await,
        Address::Unix(path) => connect_to_path(path, limit).await,
    };
    let failed = |error| ConnectError::Connect(address.clone(), error);
    let mut socket = connected.map_err(failed)?;
    if let Some(header) = header {
        socket.write_all(header).await.map_err(failed)?;
    }
    let Some(tls) = &upstream.tls else {
        return Ok(Leg::Plain(socket));
    };
    let stream = TlsConnector::from(Arc::clone(tls.config()))
        .connect_with(tls.name().clone(), socket, |session| {
            session.set_buffer_limit(Some(TLS_BUFFER_LIMIT));
        })
        .await
        .map_err(|error| {
            let words = tls::explain(&error, tls, |key| upstream.key(key));
            ConnectError::Tls(address.clone(), words)
        })?;
    Ok(Leg::Tls(Box::new(stream.into())))
}

/// Waits for a file descriptor if the process has none left: the client that this connection is for
/// has got one, and waits as those do who are still to be accepted.
async fn connect_when_possible(address: SocketAddr, limit: Duration) -> io::Result<Socket> {
    let last = last_try(limit);
    loop {
        match Socket::connect(address).await {
            Err(error) if is_starvation(&error) && Instant::now() < last => {
                sleep(STARVED).await;
            }
            connected => return connected,
        }
    }
}

/// Likewise. Where as many wait to be accepted as may, a Unix socket has nobody wait for a place, and says so at once:
/// such a backend is busy, and is asked again for as long as the caller waits, as TCP would.
async fn connect_to_path(path: &Path, limit: Duration) -> io::Result<Socket> {
    let last = last_try(limit);
    loop {
        match unix::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(FULL).await,
            Err(error) if is_starvation(&error) && Instant::now() < last => sleep(STARVED).await,
            connected => return connected.and_then(Socket::unix),
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
    use crate::settings::{self, testing};
    use crate::upstream;

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
        let upstream = &upstream::testing::upstream(&testing::route("main").upstream);
        let until = Instant::now() + LIMIT;
        let connected = connect_first(upstream, addresses, None, until, LIMIT).await;
        connected.map(|(_, address)| address.ip().expect("an IP address"))
    }

    /// An upstream at this address, and what its connects were counted as.
    fn at(address: SocketAddr) -> Upstream {
        let mut settings = settings::Upstream::clone(&testing::route("main").upstream);
        settings.site = settings::Site::Named {
            host: address.ip().to_string().into(),
            port: address.port(),
        };
        upstream::testing::upstream(&Arc::new(settings))
    }

    fn counted(upstream: &Upstream) -> Vec<Connect> {
        let times = |outcome| upstream.metrics.connects(outcome);
        let outcomes = Connect::ALL.into_iter();
        outcomes
            .flat_map(|outcome| vec![outcome; usize::try_from(times(outcome)).unwrap()])
            .collect()
    }

    #[tokio::test]
    async fn a_connect_counts_once_by_how_it_ended() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let listening = listener.local_addr().unwrap();
        let upstream = at(listening);
        upstream.connect(LIMIT, None).await.unwrap();
        assert_eq!(counted(&upstream), [Connect::Connected]);

        let (_nobody_listens, refusing) = socket();
        let upstream = at(refusing);
        upstream.connect(LIMIT, None).await.unwrap_err();
        assert_eq!(counted(&upstream), [Connect::Failed]);

        let upstream = at(listening);
        upstream.own.add(listening.into());
        upstream.connect(LIMIT, None).await.unwrap_err();
        assert_eq!(counted(&upstream), [Connect::Loop]);

        let upstream = at(listening);
        let all: Vec<_> = std::iter::from_fn(|| upstream.sockets.try_take_quietly()).collect();
        upstream.connect(LIMIT, None).await.unwrap_err();
        assert_eq!(counted(&upstream), [Connect::NoRoom]);
        drop(all);

        let mut settings = settings::Upstream::clone(&testing::route("main").upstream);
        settings.site = settings::Site::Named {
            // RFC 6761 6.4: such a name never resolves.
            host: "nobody.invalid".into(),
            port: 9,
        };
        let upstream = upstream::testing::upstream(&Arc::new(settings));
        upstream.connect(LIMIT, None).await.unwrap_err();
        assert_eq!(counted(&upstream), [Connect::LookupFailed]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connect_that_comes_to_no_end_counts_as_well() {
        let (hole, swallowing) = socket();
        hole.listen(0).unwrap();
        let _waiting = StdStream::connect(swallowing).unwrap();
        let upstream = at(swallowing);
        upstream.connect(LIMIT, None).await.unwrap_err();
        assert_eq!(counted(&upstream), [Connect::Timeout]);

        // Whoever it was for goes in the middle of it.
        let upstream = at(swallowing);
        let gone = tokio::time::timeout(LIMIT / 2, upstream.connect(LIMIT, None)).await;
        assert!(gone.is_err());
        assert_eq!(counted(&upstream), [Connect::Abandoned]);
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
