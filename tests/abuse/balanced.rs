//! The cases of `main.rs`, by clients behind a balancer that sends a PROXY header: nothing of it may be any different.

mod answers;
mod chunks;
mod floods;
mod heads;
mod hops;
mod lengths;
mod routes;
mod stage;
mod upgrades;

/// How clients come in here.
const FRONT: lubdub_testkit::proxy::Front = lubdub_testkit::proxy::Front::Balanced;
