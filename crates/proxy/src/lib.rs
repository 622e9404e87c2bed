//! Guards the boundary to the network: all that touches a socket is in here, and nothing that
//! reads configuration, the environment, or files other than those of Unix sockets.
//!
//! [`Proxy::start`] takes typed [`settings`] and serves: `front` accepts, `http` decides what a
//! request is, `upstream` connects, and `splice` relays a pair's frames and keeps its heartbeat.
//! Each of these knows only what stands below it: `proxy`, then `front`, `http`, `splice` and
//! `client`, `shared`, and under that what is shared.

mod access;
mod address;
mod admission;
mod budget;
mod caller;
mod client;
mod control;
mod drain;
mod entrance;
mod front;
mod frozen;
mod generation;
pub mod handover;
mod host;
mod http;
mod idle;
mod inherited;
mod leg;
mod listener_socket;
mod live_terms;
mod namesakes;
mod patience;
mod pressure;
mod proxy;
mod pseudonym;
mod refusals;
pub mod registry;
mod request_id;
mod route;
pub mod settings;
mod shared;
mod socket;
mod splice;
mod starvation;
mod succession;
pub mod tls;
mod trust;
pub mod unix;
mod upstream;
mod worker;

pub use address::{Address, NotAnAddress, Peer};
pub use budget::{Budget, BudgetUse, Permit, Subject};
pub use caller::{Caller, ClientAddress};
pub use control::{CloseError, Control, ListenerView, Names, RouteView, UpstreamView};
pub use drain::{DrainError, Progress, Selection, Stage};
pub use inherited::{Inherited, NotListening};
pub use listener_socket::ListenerSocket;
pub use proxy::{Drained, Proxy, StartError};
