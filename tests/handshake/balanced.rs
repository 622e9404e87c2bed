//! The handshakes of `main.rs`, by clients behind a balancer that sends a PROXY header.

mod client_faults;
mod refused;
mod relayed;
mod upstream_faults;

/// How clients come in here.
const FRONT: lubdub_testkit::proxy::Front = lubdub_testkit::proxy::Front::Balanced;
