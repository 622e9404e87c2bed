//! A certificate authority of one's own and a certificate for loopback, made anew for each test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The name that the certificate is for, besides 127.0.0.1.
pub const NAME: &str = "localhost";

/// An authority and a certificate that it has signed.
#[derive(Debug)]
pub struct Certs {
    ca: CertificateDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca_pem: String,
    chain_pem: String,
    key_pem: String,
    sessions: Sessions,
}

/// Whether who accepts keeps sessions for those who come back.
#[derive(Debug, Clone, Copy)]
enum Sessions {
    Kept,
    Forgotten,
}

impl Certs {
    /// Makes both.
    #[must_use]
    pub fn generate() -> Self {
        let key = || KeyPair::generate().expect("a key can be made");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(authority, key()).expect("an authority signs itself");
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let leaf_key = key();
        let leaf = CertificateParams::new(names)
            .and_then(|leaf| leaf.signed_by(&leaf_key, &issuer))
            .expect("the authority signs the certificate");
        Self {
            ca: issuer.der().clone(),
            chain: vec![leaf.der().clone()],
            key: PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()),
            ca_pem: issuer.pem(),
            chain_pem: leaf.pem(),
            key_pem: leaf_key.serialize_pem(),
            sessions: Sessions::Kept,
        }
    }

    /// The same, and no session over TLS can be resumed.
    #[must_use]
    pub fn without_sessions(self) -> Self {
        Self {
            sessions: Sessions::Forgotten,
            ..self
        }
    }

    /// For whoever accepts: presents the certificate.
    #[must_use]
    pub fn accepting(&self) -> Arc<ServerConfig> {
        let mut config = lubdub_proxy::tls::server_config(self.chain.clone(), self.key.clone_key())
            .expect("key and certificate belong together");
        match self.sessions {
            Sessions::Kept => {}
            Sessions::Forgotten => Arc::make_mut(&mut config).send_tls13_tickets = 0,
        }
        config
    }

    /// For whoever connects: trusts the authority and nobody else.
    #[must_use]
    pub fn connecting(&self) -> Arc<ClientConfig> {
        lubdub_proxy::tls::client_config(Some(vec![self.ca.clone()]))
            .expect("the authority is a root")
    }

    /// The authority's certificate, as a file would hold it.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The certificate, as a file would hold it.
    #[must_use]
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// The certificate's key, as a file would hold it.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}
