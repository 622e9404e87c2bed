//! What the kernel knows about the way to a side, asked when a deadline is reached: a slow link is
//! not a dead one.

use lubdub_metrics::Diagnosis;

use crate::frozen::{InvalidPair, PingMarkState};
use crate::socket::{Arrival, Packets, Socket};

/// The own ping that runs a side's clock, as it stands in the kernel's books.
#[derive(Debug)]
pub(super) struct PingMark {
    /// Bytes that the kernel had taken with the ping's last.
    end: u64,
    /// How many of these had not arrived when we last looked.
    on_their_way: u32,
    /// How many packets had, at either end.
    packets: Packets,
    /// A look found that it was still on its way.
    was_slow: bool,
}

/// What the kernel says of a side that has reached its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The ping, or what answers it, is still on its way, and the way is moving.
    Moving,
    /// It is silent; so much can be told of why.
    Silent(Diagnosis),
}

impl PingMark {
    /// So many bytes on their way are no more than a ping, in TLS or not.
    const A_PING: u64 = 256;

    /// The mark of a ping that was just written, and whose clock starts with it. `answered` is
    /// the one before it, if its pong came: all up to it has arrived.
    pub(super) fn of(socket: &Socket, answered: Option<&Self>) -> Self {
        let end = socket.taken();
        let on_their_way = match answered {
            // Mostly there is nothing ahead of the ping whose bytes would have to be watched: the
            // packets tell enough.
            Some(before) if end - before.end <= Self::A_PING => 0,
            _ => socket.unacknowledged().unwrap_or_default(),
        };
        Self {
            end,
            on_their_way: u32::try_from(on_their_way).unwrap_or(u32::MAX),
            packets: socket.packets(),
            was_slow: false,
        }
    }

    pub(super) fn freeze(&self) -> PingMarkState {
        PingMarkState {
            end: self.end,
            on_their_way: self.on_their_way,
            delivered: self.packets.delivered,
            gapped: self.packets.gapped,
            was_slow: self.was_slow,
        }
    }

    /// Goes on, when the kernel has taken so many bytes.
    pub(super) fn thaw(state: PingMarkState, taken: u64) -> Result<Self, InvalidPair> {
        if state.end > taken || u64::from(state.on_their_way) > state.end {
            return Err(InvalidPair::Senseless("a ping in bytes to come"));
        }
        Ok(Self {
            end: state.end,
            on_their_way: state.on_their_way,
            packets: Packets {
                delivered: state.delivered,
                gapped: state.gapped,
            },
            was_slow: state.was_slow,
        })
    }

    /// Where in the stream the ping ends.
    #[cfg(test)]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Looks at what the peer's kernel has acknowledged of the ping and of what is before it.
    /// `is_unheard` says that nothing was read from the peer for long.
    pub(super) fn look(&mut self, socket: &Socket, is_unheard: bool) -> Look {
        match socket.arrival() {
            Some(arrival) => self.judge(arrival, is_unheard),
            None => Look::Silent(Diagnosis::Unknown),
        }
    }

    fn judge(&mut self, arrival: Arrival, is_unheard: bool) -> Look {
        let gapped = std::mem::replace(&mut self.packets.gapped, arrival.packets.gapped);
        if gapped != arrival.packets.gapped && is_unheard {
            // It has spoken, and what it said before, perhaps the pong, was lost on its way here.
            // (Of a peer that is read all the while the gap is not open any more.)
            return Look::Moving;
        }
        if arrival.acknowledged >= self.end {
            // What took until now to arrive may have arrived this moment: there is to be time for
            // its pong. Otherwise the host has had the ping, and it is the program that is silent.
            return match std::mem::take(&mut self.was_slow) {
                true => Look::Moving,
                false => Look::Silent(Diagnosis::Application),
            };
        }
        let before = Arrival {
            acknowledged: self.end - u64::from(self.on_their_way),
            packets: self.packets,
        };
        let on_their_way = self.end - arrival.acknowledged;
        self.on_their_way = u32::try_from(on_their_way).unwrap_or(u32::MAX);
        self.packets = arrival.packets;
        if arrival.since(&before) == 0 {
            return Look::Silent(Diagnosis::Network);
        }
        self.was_slow = true;
        Look::Moving
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::socket::testing::connection;

    /// The mark of a ping to an idle side knew of no packets: the first look at one that was lost
    /// said that nothing moved, whatever arrived behind it.
    #[tokio::test]
    async fn a_lost_ping_behind_which_packets_arrive_is_on_its_way() {
        let (mut socket, _far) = connection().await;
        socket.write_all(b"ping").await.unwrap();
        let mut mark = PingMark::of(&socket, None);
        let lost = |packets| Arrival {
            acknowledged: 0,
            packets,
        };
        let three = Packets {
            delivered: mark.packets.delivered.wrapping_add(3),
            ..mark.packets
        };
        assert_eq!(mark.judge(lost(three), true), Look::Moving);
        assert_eq!(
            mark.judge(lost(three), true),
            Look::Silent(Diagnosis::Network),
            "none since"
        );
        let mut mark = PingMark::of(&socket, Some(&mark));
        let none = lost(mark.packets);
        assert_eq!(mark.judge(none, true), Look::Silent(Diagnosis::Network));
    }

    /// A side whose pong was lost, and whose later words had arrived behind the gap, was called
    /// dead: they could not be read yet.
    #[test]
    fn a_side_that_was_heard_behind_a_gap_gets_time_to_fill_it() {
        let mut mark = PingMark {
            end: 18,
            on_their_way: 18,
            packets: Packets::default(),
            was_slow: false,
        };
        let arrival = |gapped| Arrival {
            acknowledged: 18,
            packets: Packets {
                delivered: 1,
                gapped,
            },
        };
        assert_eq!(mark.judge(arrival(1), true), Look::Moving);
        let silent = Look::Silent(Diagnosis::Application);
        assert_eq!(mark.judge(arrival(1), true), silent, "nothing more since");
        // Packets come out of order on many a link. With `evidence = "pong"` a side that sent enough
        // of them, and never a pong, was never called dead.
        assert_eq!(mark.judge(arrival(2), false), silent, "read all the while");
        assert_eq!(mark.judge(arrival(2), true), silent, "nothing more since");
    }

    /// A ping that arrived just before an extended deadline left its peer no time to answer.
    #[tokio::test]
    async fn a_ping_that_was_slow_to_arrive_leaves_time_for_its_pong() {
        let (mut socket, mut far) = connection().await;
        socket.write_all(b"ping").await.unwrap();
        far.read_exact(&mut [0; 4]).await.unwrap();
        while socket.arrival().unwrap().acknowledged < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let mut mark = PingMark::of(&socket, None);
        assert_eq!(
            mark.look(&socket, true),
            Look::Silent(Diagnosis::Application)
        );
        mark.was_slow = true;
        assert_eq!(mark.look(&socket, true), Look::Moving);
        assert_eq!(
            mark.look(&socket, true),
            Look::Silent(Diagnosis::Application)
        );
    }
}
