//! TLS on either side: what clients are shown, who of them is let in, and how upstreams are verified.
//!
//! The cryptography provider is named explicitly: rustls panics where two crates of a build each
//! enable a different one and nobody says which (docs/adr/0007). Files are read by whoever
//! configures; here certificates and keys arrive as bytes, at the start and whenever there are new
//! ones.

mod accept;
mod certificate;
mod certificates;
mod client;
mod clients;
mod failure;
mod server;
mod stream;
mod subject;
mod tickets;
mod trust;
mod upstream_failure;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub(crate) use accept::{Accepting, Unshaken};
use certificate::Validity;
pub use certificate::{Certificate, Moment, Unusable};
pub use certificates::Certificates;
pub use client::{UpstreamTls, server_name};
pub use clients::{Authorities, Clients, Remarks, SHORTEST_RSA, UnusableAuthorities};
pub(crate) use failure::Failure;
pub use server::ServerTls;
pub(crate) use stream::ServerStream;
pub use trust::{TrustError, UpstreamTrust, platform_roots};
pub use upstream_failure::{explain, explain_late};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
