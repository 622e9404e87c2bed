//! Guards the boundary between *deciding* about liveness and *doing* I/O: this crate is told the
//! time and what happened, and says when to ping, whose pong it was, and who has lapsed. It never
//! sleeps, reads a clock, spawns, locks or touches a socket.
//!
//! [`Heartbeat`] is the machine and its documentation the contract; [`Policy`] is what the
//! operator wants of a side. Rules of RFC 6455 that it obeys: 5.5.2 (Ping) and 5.5.3 (Pong).

#![forbid(unsafe_code)]

mod chance;
#[cfg(any(test, feature = "check"))]
#[doc(hidden)]
pub mod check;
mod entropy;
mod foreign;
mod heartbeat;
mod ledger;
mod moment;
mod payload;
mod policy;
mod pulse;
mod rtt;
mod side;
mod stamps;

pub use entropy::Entropy;
pub use foreign::PingRow;
pub use heartbeat::{
    Heartbeat, HeartbeatState, InvalidState, Output, PongVerdict, Reading, Vitals,
};
pub use payload::PingPayload;
pub use policy::{Enforce, Evidence, InvalidPolicy, Jitter, Mode, Policy};
pub use rtt::Rtt;
pub use side::{PerSide, Side};
