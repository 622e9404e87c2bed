//! The watch over a side for which bytes wait: does it take any?

use std::time::{Duration, Instant};

use crate::frozen::{Anchor, ArrivalState, InvalidPair, WatchState};
use crate::socket::{Arrival, Packets, Socket};

/// Whether a side with bytes waiting takes any.
#[derive(Debug)]
pub(super) struct StallWatch {
    since: Instant,
    /// Bytes that the socket had taken by then.
    taken: u64,
    /// What had arrived at the peer by then, or a little later: asking at once would cost system
    /// calls for every backlog that is gone in a moment.
    arrived: Option<Arrival>,
    looked: Instant,
    /// It started anew after a stall of the process already.
    excused: bool,
}

/// What a look at a side that takes nothing finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::splice) enum Watched {
    /// It is too early to say, or there was progress after all.
    Waiting,
    /// There was none for as long as is allowed.
    Stalled,
}

/// In the time allowed, less than this is no progress: a peer must not hold a backlog for ever by
/// taking a byte now and then.
const PROGRESS: u64 = 1024;

/// How often a side that takes nothing is looked at within the time allowed.
const LOOKS: u32 = 10;

impl StallWatch {
    /// Bytes wait since now, when the socket had taken so many.
    pub(super) fn new(taken: u64, now: Instant) -> Self {
        Self {
            since: now,
            taken,
            arrived: None,
            looked: now,
            excused: false,
        }
    }

    pub(super) fn freeze(&self, anchor: &Anchor) -> WatchState {
        WatchState {
            since: anchor.nanos(self.since),
            looked: anchor.nanos(self.looked),
            taken: self.taken,
            arrived: self.arrived.map(|arrived| ArrivalState {
                acknowledged: arrived.acknowledged,
                delivered: arrived.packets.delivered,
                gapped: arrived.packets.gapped,
            }),
            excused: self.excused,
        }
    }

    /// Goes on, when the socket has taken so many bytes.
    pub(super) fn thaw(
        state: &WatchState,
        taken: u64,
        anchor: &Anchor,
    ) -> Result<Self, InvalidPair> {
        if state.taken > taken {
            return Err(InvalidPair::Senseless("a watch over bytes to come"));
        }
        Ok(Self {
            since: anchor.instant(state.since)?,
            looked: anchor.instant(state.looked)?,
            taken: state.taken,
            arrived: state.arrived.map(|arrived| Arrival {
                acknowledged: arrived.acknowledged,
                packets: Packets {
                    delivered: arrived.delivered,
                    gapped: arrived.gapped,
                },
            }),
            excused: state.excused,
        })
    }

    /// Since when there was no progress.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// The socket has taken so many by now: was that progress, so that a new watch begins?
    pub(super) fn is_outdated(&self, taken: u64) -> bool {
        taken - self.taken >= PROGRESS
    }

    /// When to look next, if `all` is the time allowed.
    pub(super) fn deadline(&self, all: Duration) -> Instant {
        match self.arrived {
            None => self.since + all / LOOKS,
            Some(_) => (self.looked + all / LOOKS).min(self.since + all),
        }
    }

    /// Looks, at the [`deadline`](Self::deadline). What arrives at the side's kernel is progress
    /// too: a slow link moves long before its socket has room.
    pub(super) fn look(&mut self, socket: &Socket, all: Duration, now: Instant) -> Watched {
        let arrived = socket.progress();
        let progress = match (&self.arrived, &arrived) {
            (Some(before), Some(arrived)) => arrived.since(before) >= PROGRESS,
            _ => false,
        };
        if self.arrived.is_none() {
            // However late this first look comes, there is time for a second.
            let part = all / LOOKS;
            self.since = self.since.max(now.checked_sub(part).unwrap_or(now));
            self.arrived = Some(arrived.unwrap_or_default());
        } else if progress {
            self.since = now;
            self.arrived = arrived;
            self.excused = false;
        } else if now >= self.since + all {
            return Watched::Stalled;
        }
        self.looked = now;
        Watched::Waiting
    }

    /// The process stood still, and woke up so late: starts anew once. Later such time does not
    /// count, and that is all: else a machine that stutters would never find who takes nothing.
    pub(super) fn excuse(&mut self, late: Duration, now: Instant) {
        if std::mem::replace(&mut self.excused, true) {
            self.postpone(late);
        } else {
            self.since = now;
            self.arrived = None;
        }
    }

    /// So much time did not count.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.since += by;
        self.looked += by;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::socket::testing::connection;

    const STALL: Duration = Duration::from_secs(1);

    /// A socket and its other end, and the watch over bytes that wait for it since `now`.
    async fn backed_up(now: Instant) -> (Socket, TcpStream, StallWatch) {
        let (socket, far) = connection().await;
        (socket, far, StallWatch::new(0, now))
    }

    /// Looks whenever it is time to, before `until`; the moments of all looks, after `began`, and
    /// what the last of them found.
    fn look_on(
        watch: &mut StallWatch,
        socket: &Socket,
        began: Instant,
        until: Duration,
    ) -> (Vec<Duration>, Watched) {
        let mut looks = Vec::new();
        let mut found = Watched::Waiting;
        while found == Watched::Waiting {
            let at = watch.deadline(STALL);
            if at - began > until {
                break;
            }
            looks.push(at - began);
            found = watch.look(socket, STALL, at);
        }
        (looks, found)
    }

    #[tokio::test]
    async fn a_side_that_takes_nothing_is_looked_at_ten_times() {
        let began = tokio::time::Instant::now().into_std();
        let (socket, _far, mut watch) = backed_up(began).await;
        let (looks, found) = look_on(&mut watch, &socket, began, 2 * STALL);
        let tenths: Vec<_> = (1..=LOOKS).map(|n| STALL / LOOKS * n).collect();
        assert_eq!((looks, found), (tenths, Watched::Stalled));
    }

    /// Two looks were all that there was, so that a stall behind some progress was found up to
    /// twice as late as configured.
    #[tokio::test]
    async fn a_stall_behind_some_progress_is_found_in_time() {
        let began = tokio::time::Instant::now().into_std();
        let (mut socket, mut far, mut watch) = backed_up(began).await;
        let tenth = STALL / LOOKS;
        let (_, found) = look_on(&mut watch, &socket, began, 2 * tenth);
        assert_eq!(found, Watched::Waiting);
        // Between the second look and the third something arrives, and nothing after it.
        let arriving = [7; 2 * PROGRESS as usize];
        socket.write_all(&arriving).await.unwrap();
        far.read_exact(&mut [0; 2 * PROGRESS as usize])
            .await
            .unwrap();
        while socket.arrival().unwrap().acknowledged < 2 * PROGRESS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (looks, found) = look_on(&mut watch, &socket, began, 3 * STALL);
        assert_eq!(looks.last(), Some(&(3 * tenth + STALL)));
        assert_eq!(found, Watched::Stalled);
    }

    /// The look that a stall of the process delayed was taken for the last one, and nobody had had
    /// a chance before it.
    #[tokio::test]
    async fn a_first_look_that_comes_late_is_followed_by_others() {
        let began = tokio::time::Instant::now().into_std();
        let (socket, _far, mut watch) = backed_up(began).await;
        let late = began + 5 * STALL;
        assert_eq!(watch.look(&socket, STALL, late), Watched::Waiting);
        assert_eq!(watch.deadline(STALL), late + STALL / LOOKS);
        assert_eq!(
            watch.look(&socket, STALL, late + STALL / LOOKS),
            Watched::Waiting
        );
        let (_, found) = look_on(&mut watch, &socket, late, STALL);
        assert_eq!(found, Watched::Stalled);
    }
}
