//! Connections that are kept, on real sockets and mostly in virtual time.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use tokio::task::yield_now;
use tokio::time::sleep;

use super::*;
use crate::budget;
use crate::leg::Leg;
use crate::socket::Socket;
use crate::upstream::Connected;

const A_MOMENT: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// Longer than any is kept.
const AGE: Duration = Duration::from_secs(60);

/// The upstream's end of a connection.
struct Far(TcpStream);

impl Far {
    fn has_ended(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }

    /// Waits for its end, and lets no time pass.
    async fn expect_end(&mut self) {
        for _ in 0..100_000 {
            if self.has_ended() {
                return;
            }
            yield_now().await;
        }
        panic!("it goes on");
    }
}

fn pool() -> Pool {
    Pool::new(1, &Kept::default())
}

fn address(n: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, n), 80).into()
}

/// A connection that leads to `address`, as far as the pool knows.
async fn open(address: SocketAddr) -> (Carrier, Far) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    near.set_nonblocking(true).unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_nonblocking(true).unwrap();
    let near = Socket::new(tokio::net::TcpStream::from_std(near).unwrap()).unwrap();
    let connected = Connected {
        leg: Leg::Plain(near),
        address: address.into(),
        permit: budget::testing::budget(1).try_take().unwrap(),
    };
    let mut carrier = Carrier::new(connected, 8192).await.unwrap();
    assert!(carrier.ready().await);
    (carrier, Far(far))
}

/// A name that had moved was asked at its old address for as long as a connection to there was kept.
#[tokio::test]
async fn a_connection_to_an_address_that_the_name_has_no_more_is_not_used() {
    let pool = pool();
    let (stays, _far) = open(address(1)).await;
    let (moved, mut far_of_moved) = open(address(2)).await;
    pool.put(0, stays, AGE);
    pool.put(0, moved, AGE);
    let now = [address(1), address(3)];
    let taken = pool.take(0, Some(&now)).map(|carrier| carrier.address);
    assert_eq!(taken, Some(address(1).into()));
    far_of_moved.expect_end().await;
    assert!(pool.take(0, Some(&now)).is_none());
}

#[tokio::test]
async fn a_connection_that_the_upstream_has_closed_is_not_used() {
    let pool = pool();
    let (closed, far) = open(address(1)).await;
    drop(far);
    while !closed.is_closed() {
        yield_now().await;
    }
    pool.put(0, closed, AGE);
    assert!(pool.take(0, None).is_none());
}

#[tokio::test]
async fn of_too_many_the_oldest_goes() {
    let pool = pool();
    let mut far = VecDeque::new();
    for _ in 0..=MOST {
        let (carrier, its_far) = open(address(1)).await;
        pool.put(0, carrier, AGE);
        far.push_back(its_far);
    }
    far.pop_front().unwrap().expect_end().await;
    assert!(far.iter_mut().all(|far| !far.has_ended()));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_kept_for_a_while() {
    let pool = pool();
    let (carrier, mut far) = open(address(1)).await;
    pool.put(0, carrier, AGE);
    sleep(KEPT - A_MOMENT).await;
    assert!(!far.has_ended());
    sleep(2 * A_MOMENT).await;
    far.expect_end().await;
}

/// A connection that was kept behind younger ones ended when it was next looked after those: up to 30 s too
/// late.
#[tokio::test(start_paused = true)]
async fn a_connection_ends_at_its_age_though_younger_ones_are_kept_longer() {
    const AGE: Duration = Duration::from_secs(10);
    let pool = pool();
    let (older, mut far) = open(address(1)).await;
    sleep(5 * SECOND).await;
    let (younger, mut far_of_younger) = open(address(1)).await;
    pool.put(0, younger, AGE);
    sleep(SECOND).await;
    pool.put(0, older, AGE);
    sleep(4 * SECOND - A_MOMENT).await;
    assert!(!far.has_ended());
    sleep(2 * A_MOMENT).await;
    far.expect_end().await;
    assert!(!far_of_younger.has_ended());
}
