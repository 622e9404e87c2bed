//! Guards the boundary to the network: all that touches a socket is in here, and nothing that
//! reads configuration, files or the environment.
//!
//! [`Proxy::start`] takes typed [`settings`] and serves: `front` accepts, `http` decides what a
//! request is, `upstream` connects, and `splice` relays a pair's frames and keeps its heartbeat.

mod admission;
mod front;
mod http;
mod leg;
mod patience;
mod proxy;
// Wired in where requests are answered.
#[allow(dead_code)]
mod refusals;
pub mod registry;
pub mod route;
pub mod settings;
mod socket;
mod splice;
mod starvation;
pub mod tls;
mod upstream;
mod worker;

pub use proxy::{Drained, Proxy, StartError};
