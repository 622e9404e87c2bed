//! TLS on either side: what clients are shown, and how upstreams are verified.
//!
//! The cryptography provider is named explicitly: rustls panics where two crates of a build each
//! enable a different one and nobody says which (docs/adr/0007). Files are read by whoever
//! configures; here certificates and keys arrive as bytes, at the start and whenever there are new
//! ones.

mod certificate;
mod certificates;
mod client;
mod failure;
mod server;
mod trust;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

use certificate::Validity;
pub use certificate::{Certificate, Moment, Unusable};
pub use certificates::Certificates;
pub use client::{UpstreamTls, server_name};
pub use failure::{explain, explain_late};
pub use server::server_config;
pub use trust::{TrustError, UpstreamTrust, platform_roots};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
