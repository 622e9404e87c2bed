//! Requests that two readers would read in two ways, and clients that take without asking.
//!
//! Smuggling lives on bytes that lubdub would take for one thing and the upstream for another (RFC
//! 9112 11.2). So what is looked at here are bytes: those that the upstream gets of a request, all of
//! them, and those that the client gets back. Behind each request stands a second one
//! ([`stage::SECOND`]): either it is a request of its own, or nobody ever hears of it.
//!
//! Where hyper decides, the case pins what it does. `docs/topics/threat-model.md` names the modules.

mod answers;
mod chunks;
mod floods;
mod heads;
mod hops;
mod lengths;
mod routes;
mod stage;
mod upgrades;

/// How clients come in here; `over_tls.rs` has the same cases over TLS.
const FRONT: lubdub_testkit::proxy::Front = lubdub_testkit::proxy::Front::Plain;
