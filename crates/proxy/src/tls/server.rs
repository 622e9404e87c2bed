//! TLS toward clients, where lubdub is the server.

use std::sync::Arc;

use rustls::ServerConfig;

use super::{Certificates, provider};

/// TLS toward clients, who are shown one of `certificates`: those that are there when the client says
/// hello. ALPN offers `http/1.1` only: a browser that is offered h2 would use it and find no WebSocket
/// there.
#[must_use]
pub fn server_config(certificates: Arc<Certificates>) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for the default versions")
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
