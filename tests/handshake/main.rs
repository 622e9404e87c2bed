//! The handshake on its way through: what the upstream and the client see of each other, byte for
//! byte, and what each of them is told when nothing comes of it.

mod client_faults;
mod refused;
mod relayed;
mod upstream_faults;

/// How clients come in here; `over_tls.rs` has the same cases over TLS.
const FRONT: lubdub_testkit::proxy::Front = lubdub_testkit::proxy::Front::Plain;
