//! How an upgrade comes to nothing: refused by the backend, refused by lubdub, or abandoned half way.

use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Peer;
use tokio::sync::Barrier;

/// What is wrong with it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Failing {
    /// The upstream answers that it does not want it.
    NotWanted,
    /// The upstream's 101 has the wrong Sec-WebSocket-Accept.
    WrongAccept,
    /// The upstream goes away instead of answering.
    HungUpOn,
    /// The upstream says nothing.
    NotAnswered,
    /// Nobody listens where the upstream should be.
    NobodyThere,
    /// The upstream takes no more connections.
    NotConnected,
    /// No route is for its host.
    NoRoute,
    /// There are as many pairs as may be, on its route or in all.
    NoRoom,
    /// It has a body.
    WithBody,
    /// Its second half does not come.
    NeverWhole,
    /// The client leaves instead of sending the second half.
    LeftHalfSaid,
    /// The client closes its connection while the upstream thinks about it.
    LeftBeforeAnswer,
    /// The client resets its connection while the upstream thinks about it.
    ResetBeforeAnswer,
}

/// Whether the upstream hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reaches {
    Upstream,
    Lubdub,
}

/// What an upstream says that does not want it.
const NOT_WANTED: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot today";
/// A 101 to the key of another.
const WRONG_ACCEPT: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\
    \r\n";

impl Failing {
    pub(crate) fn reaches(self) -> Reaches {
        match self {
            Self::NotWanted
            | Self::WrongAccept
            | Self::HungUpOn
            | Self::NotAnswered
            | Self::LeftBeforeAnswer
            | Self::ResetBeforeAnswer => Reaches::Upstream,
            Self::NobodyThere
            | Self::NotConnected
            | Self::NoRoute
            | Self::NoRoom
            | Self::WithBody
            | Self::NeverWhole
            | Self::LeftHalfSaid => Reaches::Lubdub,
        }
    }

    /// Plays the client, whose upgrade is `request`. All clients and upstreams meet at `all`, if any
    /// does.
    pub(crate) async fn play_client(self, mut client: Peer, request: Request, all: &Barrier) {
        let (request, status) = match self {
            Self::NotWanted => (request, 403),
            Self::WrongAccept | Self::HungUpOn | Self::NobodyThere => (request, 502),
            Self::NotAnswered | Self::NotConnected => (request, 504),
            Self::NoRoom => (request, 503),
            Self::NoRoute => {
                let elsewhere = request.host("nowhere.example");
                (elsewhere, 404)
            }
            Self::WithBody => (request.field("Content-Length", "5"), 400),
            Self::NeverWhole => {
                client.send(half(&request)).await;
                client.expect_end().await;
                return;
            }
            Self::LeftHalfSaid => {
                client.send(half(&request)).await;
                return;
            }
            Self::LeftBeforeAnswer => {
                client.ask(&request).await;
                all.wait().await;
                return;
            }
            Self::ResetBeforeAnswer => {
                client.ask(&request).await;
                all.wait().await;
                client.reset();
                return;
            }
        };
        client.ask(&request).await;
        client.expect_answer(status).await;
        client.expect_end().await;
    }

    /// Plays the upstream, if it hears of it.
    pub(crate) async fn play_upstream(self, mut upstream: Peer, all: &Barrier) {
        upstream.expect_head().await;
        match self {
            Self::NotWanted => upstream.send(NOT_WANTED).await,
            Self::WrongAccept => upstream.send(WRONG_ACCEPT).await,
            Self::HungUpOn => return,
            Self::LeftBeforeAnswer | Self::ResetBeforeAnswer => {
                all.wait().await;
            }
            Self::NotAnswered
            | Self::NobodyThere
            | Self::NotConnected
            | Self::NoRoute
            | Self::NoRoom
            | Self::WithBody
            | Self::NeverWhole
            | Self::LeftHalfSaid => {}
        }
        upstream.expect_end().await;
    }
}

/// The first half of a request.
fn half(request: &Request) -> Vec<u8> {
    let mut bytes = request.encode();
    bytes.truncate(bytes.len() / 2);
    bytes
}
