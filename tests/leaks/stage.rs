//! Where ways are played: a lubdub, upstreams of every kind, and batches of clients.

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::future::join_all;
use lubdub_keepalive::Side;
use lubdub_metrics::{Cause, Outcome};
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use tokio::net::TcpSocket;
use tokio::sync::Barrier;
use tokio::time::timeout;

use crate::endings::{Ending, Farewell};
use crate::failings::{Failing, Reaches};
use crate::terms::{Behind, ROOM, Terms};
use crate::ways::{Way, What};

/// What both legs of every pair run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Legs {
    Plain,
    Tls,
}

/// All that lubdub has to do with.
pub(crate) struct Stage {
    pub(crate) legs: Legs,
    pub(crate) certs: Certs,
    /// Pairs that lubdub has room for in all, where a way is about that ([`Terms::Crowded`]).
    pub(crate) room: usize,
    wide: Upstream,
    narrow: Upstream,
    deaf: Upstream,
    /// Has a port, and does not listen.
    nobody: TcpSocket,
    /// What the accept queue of the deaf one is full of.
    _waiting: Vec<Peer>,
}

/// What became of a batch, as lubdub has to count it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Played {
    /// Upgrades that did not become pairs.
    pub(crate) upgrades: usize,
    pub(crate) ended: Option<(Cause, usize)>,
    pub(crate) failed: Option<(Outcome, usize)>,
}

impl Stage {
    pub(crate) async fn set(legs: Legs, certs: Certs, room: usize) -> Self {
        let with_legs = |upstream: Upstream| match legs {
            Legs::Plain => upstream,
            Legs::Tls => upstream.tls(certs.accepting()),
        };
        let deaf = Upstream::bind(None, 0);
        let mut waiting = Vec::new();
        while let Ok(connected) = timeout(ms(100), Dial::to(deaf.address()).open()).await {
            waiting.push(connected.expect("a place in the queue"));
        }
        let nobody = TcpSocket::new_v4().expect("there are sockets");
        (nobody.bind((Ipv4Addr::LOCALHOST, 0).into())).expect("loopback has a free port");
        Self {
            legs,
            wide: with_legs(Upstream::listen()),
            narrow: with_legs(Upstream::tiny()),
            deaf,
            nobody,
            certs,
            room,
            _waiting: waiting,
        }
    }

    /// Where lubdub finds whoever is behind a route.
    pub(crate) fn address(&self, behind: Behind) -> SocketAddr {
        match behind {
            Behind::Wide => self.wide.address(),
            Behind::Narrow => self.narrow.address(),
            Behind::Deaf => self.deaf.address(),
            Behind::Nobody => self.nobody.local_addr().expect("it is bound"),
        }
    }

    fn upstream(&self, terms: Terms) -> &Upstream {
        match terms.behind() {
            Behind::Wide => &self.wide,
            Behind::Narrow => &self.narrow,
            Behind::Deaf | Behind::Nobody => unreachable!("nobody accepts for {terms:?}"),
        }
    }

    /// A client of the lubdub that listens on `address`. Where all are clones of it, later sessions
    /// over TLS are resumed.
    pub(crate) fn dial(&self, address: SocketAddr) -> Dial {
        let dial = Dial::to(address);
        match self.legs {
            Legs::Plain => dial,
            Legs::Tls => dial.tls(self.certs.connecting()),
        }
    }

    /// Plays a way `count` times at once, with the lubdub to which `dial` leads.
    pub(crate) async fn play(&self, way: &Way, count: usize, dial: &Dial) -> Played {
        let all = Barrier::new(2 * count);
        match way.what {
            What::Pair(ending, cause) => {
                self.play_pairs(ending, way.terms, count, dial, &all).await;
                Played {
                    ended: Some((cause, count)),
                    ..Played::default()
                }
            }
            What::Upgrade(failing, outcome) => {
                let holders = (0..self.holders(way.terms)).map(|_| self.open(way.terms, dial));
                let holders = join_all(holders).await;
                self.play_upgrades(failing, way.terms, count, dial, &all)
                    .await;
                let held = holders.len();
                join_all(holders.into_iter().map(async |(client, upstream)| {
                    let ending = Ending::Finishes(Side::Client);
                    tokio::join!(
                        ending.play(Side::Client, client, &all),
                        ending.play(Side::Upstream, upstream, &all),
                    )
                }))
                .await;
                Played {
                    upgrades: count,
                    ended: (held > 0).then_some((Cause::ClientEof, held)),
                    failed: outcome.map(|outcome| (outcome, count)),
                }
            }
        }
    }

    /// Plays pairs that `drain` is to end, the drain of the lubdub to which `dial` leads. It begins
    /// when all of them are there.
    pub(crate) async fn play_drain<T>(
        &self,
        farewell: Farewell,
        count: usize,
        dial: &Dial,
        drain: impl Future<Output = T>,
    ) -> T {
        let all = Barrier::new(2 * count + 1);
        let ending = Ending::IsDrained(farewell);
        let drain = async {
            all.wait().await;
            drain.await
        };
        let pairs = self.play_pairs(ending, Terms::Patient, count, dial, &all);
        let (drained, ()) = tokio::join!(drain, pairs);
        drained
    }

    /// How many pairs keep others out on these terms.
    fn holders(&self, terms: Terms) -> usize {
        match terms {
            Terms::Full => ROOM.into(),
            Terms::Crowded => self.room,
            Terms::Patient
            | Terms::ClientPinged
            | Terms::UpstreamPinged
            | Terms::Stalling
            | Terms::Closing
            | Terms::Idle
            | Terms::Mortal
            | Terms::Frames
            | Terms::Answering
            | Terms::Deaf
            | Terms::Nobody => 0,
        }
    }

    async fn play_pairs(
        &self,
        ending: Ending,
        terms: Terms,
        count: usize,
        dial: &Dial,
        all: &Barrier,
    ) {
        let client = async || {
            let client = self.join(terms, dial).await;
            ending.play(Side::Client, client, all).await;
        };
        let upstream = async || {
            let upstream = self.upstream(terms).accept_websocket().await;
            ending.play(Side::Upstream, upstream, all).await;
        };
        tokio::join!(
            join_all((0..count).map(|_| client())),
            join_all((0..count).map(|_| upstream())),
        );
    }

    async fn play_upgrades(
        &self,
        failing: Failing,
        terms: Terms,
        count: usize,
        dial: &Dial,
        all: &Barrier,
    ) {
        let client = async || {
            let client = dial.clone().connect().await;
            failing.play_client(client, request(terms), all).await;
        };
        let upstream = async || {
            let upstream = self.upstream(terms).accept().await;
            failing.play_upstream(upstream, all).await;
        };
        let heard_of = match failing.reaches() {
            Reaches::Upstream => count,
            Reaches::Lubdub => 0,
        };
        tokio::join!(
            join_all((0..count).map(|_| client())),
            join_all((0..heard_of).map(|_| upstream())),
        );
    }

    /// Opens a pair.
    async fn open(&self, terms: Terms, dial: &Dial) -> (Peer, Peer) {
        tokio::join!(
            self.join(terms, dial),
            self.upstream(terms).accept_websocket()
        )
    }

    /// A client of a pair.
    async fn join(&self, terms: Terms, dial: &Dial) -> Peer {
        let dial = dial.clone();
        let dial = match terms.behind() {
            Behind::Narrow => dial.tiny(),
            Behind::Wide | Behind::Deaf | Behind::Nobody => dial,
        };
        let mut client = dial.connect().await;
        client.ask(&request(terms)).await;
        client.expect_switch().await;
        client
    }
}

/// An upgrade on these terms.
fn request(terms: Terms) -> Request {
    Request::upgrade("/").host(&terms.host())
}
