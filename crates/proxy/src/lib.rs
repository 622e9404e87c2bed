//! Guards the boundary to the network: all that touches a socket is in here, and nothing that
//! reads configuration, files or the environment.

mod leg;
pub mod registry;
pub mod route;
pub mod settings;
mod socket;
mod splice;
pub mod tls;
