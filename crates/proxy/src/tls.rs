//! TLS configurations, with the cryptography provider named explicitly: rustls panics where two
//! crates of a build each enable a different one and nobody says which (docs/adr/0007).

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a TLS configuration toward upstreams could not be built. Each text is whole, and no source
/// says a part of it again.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A certificate of the given authority cannot be used as a root.
    #[error("a certificate cannot be used as a root: {0}")]
    BadRoot(rustls::Error),
    /// The given file holds no certificate.
    #[error("there is no certificate in it")]
    NoRoots,
    /// The platform's certificate store is empty or unreadable.
    #[error("the platform's certificate store has no usable root{}", first(.0))]
    NoPlatformRoots(Vec<rustls_native_certs::Error>),
    /// The provider does not support the protocol versions.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// TLS toward clients, with one certificate chain and its key. ALPN offers `http/1.1` only: a
/// browser that is offered h2 would use it and find no WebSocket there.
///
/// # Errors
/// If the key does not belong to the certificate or is of an unsupported kind.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// TLS toward upstreams, verified against the given authorities, or against the platform's roots.
///
/// # Errors
/// If there is no usable root.
pub fn client_config(
    ca: Option<Vec<CertificateDer<'static>>>,
) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(certificates) => {
            for certificate in certificates {
                roots.add(certificate).map_err(TlsSetupError::BadRoot)?;
            }
            if roots.is_empty() {
                return Err(TlsSetupError::NoRoots);
            }
        }
        None => {
            let platform = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(platform.certs);
            if roots.is_empty() {
                return Err(TlsSetupError::NoPlatformRoots(platform.errors));
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn first(errors: &[rustls_native_certs::Error]) -> String {
    errors
        .first()
        .map(|error| format!(": {error}"))
        .unwrap_or_default()
}
