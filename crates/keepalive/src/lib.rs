//! Guards the boundary between *deciding* about liveness and *doing* I/O: this crate is told the
//! time and what happened, and says when to ping, whose pong it was, and who has lapsed. It never
//! sleeps, reads a clock, spawns, locks or touches a socket.

mod policy;
mod side;

pub use policy::{Enforce, Evidence, InvalidPolicy, Jitter, Mode, Policy};
pub use side::{PerSide, Side};
