//! What the kernel knows about the way to a side, asked when a deadline is reached: a slow link is
//! not a dead one.

use std::time::Instant;

use lubdub_metrics::Diagnosis;

use crate::socket::Socket;

/// The own ping that runs a side's clock, as it stands in the kernel's books.
#[derive(Debug, Clone, Copy)]
pub(super) struct PingMark {
    written: Instant,
    /// Bytes that the kernel had taken with the ping's last.
    end: u64,
    /// Bytes that were acknowledged when we last looked.
    acknowledged: u64,
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
    /// The mark after a ping was written: an older ping goes on running the clock unless the side
    /// gave a sign of life since.
    pub(super) fn after_ping(
        earlier: Option<Self>,
        last_life: Instant,
        socket: &Socket,
        now: Instant,
    ) -> Self {
        match earlier {
            Some(mark) if mark.written >= last_life => mark,
            _ => Self {
                written: now,
                end: socket.taken(),
                acknowledged: socket.acknowledged().unwrap_or_default(),
            },
        }
    }

    /// Looks at what the peer's kernel has acknowledged of the ping and of what is before it.
    pub(super) fn look(&mut self, socket: &Socket) -> Look {
        let Some(acknowledged) = socket.acknowledged() else {
            return Look::Silent(Diagnosis::Unknown);
        };
        if acknowledged >= self.end {
            // Its host is there and has the ping; it is the program that is silent.
            return Look::Silent(Diagnosis::Application);
        }
        let before = std::mem::replace(&mut self.acknowledged, acknowledged);
        if acknowledged > before {
            Look::Moving
        } else {
            Look::Silent(Diagnosis::Network)
        }
    }
}
