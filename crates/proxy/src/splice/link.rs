//! What the kernel knows about the way to a side, asked when a deadline is reached: a slow link is
//! not a dead one.

use lubdub_metrics::Diagnosis;

use crate::socket::{Arrival, Socket};

/// The own ping that runs a side's clock, as it stands in the kernel's books.
#[derive(Debug)]
pub(super) struct PingMark {
    /// Bytes that the kernel had taken with the ping's last.
    end: u64,
    /// What had arrived when we last looked; `None` if only the ping itself was on its way.
    arrived: Option<Box<Arrival>>,
}

/// What the kernel says of a side that has reached its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The ping is still on its way, and the way is moving.
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
        // Mostly there is nothing ahead of the ping whose arrival would have to be watched.
        let quiet = match answered {
            Some(before) if end - before.end <= Self::A_PING => true,
            _ => (socket.unacknowledged()).is_some_and(|bytes| bytes <= Self::A_PING),
        };
        Self {
            end,
            arrived: (!quiet).then(|| socket.arrival().map(Box::new)).flatten(),
        }
    }

    /// Looks at what the peer's kernel has acknowledged of the ping and of what is before it.
    pub(super) fn look(&mut self, socket: &Socket) -> Look {
        let Some(arrived) = socket.arrival() else {
            return Look::Silent(Diagnosis::Unknown);
        };
        if arrived.acknowledged >= self.end {
            // Its host is there and has the ping; it is the program that is silent.
            return Look::Silent(Diagnosis::Application);
        }
        match self.arrived.replace(Box::new(arrived)) {
            Some(before) if arrived.since(&before) > 0 => Look::Moving,
            _ => Look::Silent(Diagnosis::Network),
        }
    }
}
