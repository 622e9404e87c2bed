//! TLS toward upstreams, where lubdub is the client.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use super::provider;

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

/// The platform's roots as they are now: those that an upstream is verified against that has no others.
#[must_use]
pub fn platform_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

fn first(errors: &[rustls_native_certs::Error]) -> String {
    errors
        .first()
        .map(|error| format!(": {error}"))
        .unwrap_or_default()
}
