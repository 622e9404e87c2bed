//! How a pair is brought to its end: what each of its endpoints does, without a word between them
//! but through lubdub. So any number of pairs can be under way, whoever is paired with whom.

use lubdub_keepalive::Side;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::{Heard, Peer};
use tokio::sync::Barrier;

use crate::terms::FRAME;

/// How a pair ends, seen from the side that is to blame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// It begins a closing handshake, and the other side answers.
    Closes(Side),
    /// It ends its stream, and the other side ends its own.
    Finishes(Side),
    /// It resets its connection.
    Resets(Side),
    /// It answers a ping, and no more.
    Lapses(Side),
    /// It reads nothing of what is sent to it without end.
    Stalls(Side),
    /// It begins a closing handshake, and the other side does not answer.
    IsNotAnswered(Side),
    /// It ends its stream, and the other side does not.
    IsLeftHalfOpen(Side),
    /// Nobody does anything, and lubdub says farewell to both.
    Expires {
        /// The code of the Close to the client.
        to_client: u16,
    },
    /// It sends a frame that is too long.
    Oversteps(Side),
    /// lubdub says farewell to both, and to everybody else, when all are there.
    IsDrained(Farewell),
}

/// How the endpoints take a drain.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Farewell {
    /// They answer lubdub's Close.
    Answered,
    /// They do not, until they are cut.
    Ignored,
}

impl Ending {
    /// Plays the part of `me`, up to where lubdub has ended the pair as far as this side can tell.
    ///
    /// `all` is where both sides of every pair of the batch meet, if any do: those who hold on to a
    /// connection that they do not read cannot tell by themselves when it is over. Whoever drains
    /// lubdub is there, too.
    pub(crate) async fn play(self, me: Side, mut peer: Peer, all: &Barrier) {
        match self {
            Self::Closes(by) => {
                greet(by, me, &mut peer).await;
                if by == me {
                    peer.close(1000, "").await;
                    peer.expect_close(1000).await;
                } else {
                    peer.expect_close(1000).await;
                    peer.close(1000, "").await;
                }
            }
            Self::Finishes(by) => {
                greet(by, me, &mut peer).await;
                if by == me {
                    peer.finish().await;
                    peer.expect_eof().await;
                } else {
                    peer.expect_eof().await;
                    peer.finish().await;
                }
            }
            Self::Resets(by) => {
                greet(by, me, &mut peer).await;
                if by == me {
                    peer.reset();
                } else {
                    peer.expect_reset().await;
                }
            }
            Self::Lapses(who) if who == me => {
                // So that lubdub expects it to go on like that.
                peer.answer_next_pings(1).await;
                peer.pings_before_the_end().await;
            }
            Self::Lapses(_) => {
                peer.expect_close(given_up(me)).await;
            }
            Self::Stalls(who) => {
                greet(who, me, &mut peer).await;
                // Whoever is reset has heard all that it waits for.
                all.wait().await;
                if who == me {
                    all.wait().await;
                } else {
                    talk_until_told(peer, me).await;
                    all.wait().await;
                }
            }
            Self::IsNotAnswered(who) => {
                greet(who, me, &mut peer).await;
                if who == me {
                    peer.close(1000, "").await;
                } else {
                    peer.expect_close(1000).await;
                }
                peer.expect_end().await;
            }
            Self::IsLeftHalfOpen(who) => {
                greet(who, me, &mut peer).await;
                if who == me {
                    peer.finish().await;
                    peer.expect_end().await;
                } else {
                    peer.expect_eof().await;
                }
                all.wait().await;
            }
            Self::Expires { to_client } => {
                let code = match me {
                    Side::Client => to_client,
                    Side::Upstream => 1001,
                };
                answer_close(&mut peer, code).await;
            }
            Self::Oversteps(who) => {
                greet(who, me, &mut peer).await;
                if who == me {
                    let frame = Frame::binary(vec![b'x'; usize::from(FRAME) + 1]);
                    peer.send_frame(&frame).await;
                    peer.expect_close(1009).await;
                    peer.finish().await;
                    peer.expect_eof().await;
                } else {
                    answer_close(&mut peer, 1009).await;
                }
            }
            Self::IsDrained(farewell) => {
                greet(Side::Client, me, &mut peer).await;
                all.wait().await;
                let code = match me {
                    Side::Client => 1012,
                    Side::Upstream => 1001,
                };
                peer.expect_close(code).await;
                match farewell {
                    Farewell::Answered => peer.close(code, "").await,
                    Farewell::Ignored => {}
                }
                peer.expect_end().await;
            }
        }
    }
}

/// A message from each side, the first from `first`, who then knows that the other one has heard it:
/// there is a pair, and nothing under way that a reset could destroy.
async fn greet(first: Side, me: Side, peer: &mut Peer) {
    if first == me {
        peer.send_text("hello").await;
        peer.expect_text("hello").await;
    } else {
        peer.expect_text("hello").await;
        peer.send_text("hello").await;
    }
}

async fn answer_close(peer: &mut Peer, code: u16) {
    peer.expect_close(code).await;
    peer.close(code, "").await;
    peer.expect_eof().await;
}

/// Sends messages without end, until lubdub's Close says that nobody takes them.
async fn talk_until_told(peer: Peer, me: Side) {
    let (mut ears, mut mouth) = peer.split();
    let message = mouth.encode(&Frame::binary(vec![b'x'; 16 * 1024]));
    let told = async {
        match ears.next().await {
            Heard::Frame(close) => close,
            end @ (Heard::Fin(_) | Heard::Reset(_)) => {
                panic!("the {me} expected a Close, but {end:?}")
            }
        }
    };
    let talk = async { while mouth.try_send(&message).await.is_ok() {} };
    let told = tokio::select! {
        told = told => told,
        () = talk => panic!("lubdub takes what the {me} says, or makes it wait"),
    };
    assert_eq!(told.close().0, Some(given_up(me)), "{told:?}");
}

/// The code of the Close to `survivor` when the other side was given up.
fn given_up(survivor: Side) -> u16 {
    match survivor {
        Side::Client => 1011,
        Side::Upstream => 1001,
    }
}
