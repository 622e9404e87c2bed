//! What the kernel knows about the way to a side, asked when a deadline is reached: a slow link is
//! not a dead one.

use lubdub_metrics::Diagnosis;

use crate::socket::Socket;

/// The own ping that runs a side's clock, as it stands in the kernel's books.
#[derive(Debug, Clone, Copy)]
pub(super) struct PingMark {
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
    /// The mark of a ping that was just written, and whose clock starts with it.
    pub(super) fn of(socket: &Socket) -> Self {
        Self {
            end: socket.taken(),
            acknowledged: socket.acknowledged().unwrap_or_default(),
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
