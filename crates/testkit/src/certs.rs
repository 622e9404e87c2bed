//! A certificate authority of one's own and a certificate, for loopback mostly, made anew for each test.

use std::sync::Arc;
use std::time::SystemTime;

use lubdub_proxy::tls::{
    self, Certificate, Certificates, UpstreamTls, UpstreamTrust, server_config,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The name that a certificate is for, besides 127.0.0.1.
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
        Self::make(&[NAME, "127.0.0.1"], |_| {})
    }

    /// The same, for these names.
    #[must_use]
    pub fn of(names: &[&str]) -> Self {
        Self::make(names, |_| {})
    }

    /// The same, and the certificate is valid until then.
    #[must_use]
    pub fn until(not_after: SystemTime) -> Self {
        Self::make(&[NAME, "127.0.0.1"], |leaf| {
            leaf.not_after = not_after.into();
        })
    }

    /// The same, and the certificate is not valid before.
    #[must_use]
    pub fn from(not_before: SystemTime) -> Self {
        Self::make(&[NAME, "127.0.0.1"], |leaf| {
            leaf.not_before = not_before.into();
        })
    }

    fn make(names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = || KeyPair::generate().expect("a key can be made");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(authority, key()).expect("an authority signs itself");
        let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
        let leaf_key = key();
        let mut leaf = CertificateParams::new(names).expect("these are names");
        adjust(&mut leaf);
        let leaf = (leaf.signed_by(&leaf_key, &issuer)).expect("the authority signs it");
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
        let certificate = Certificate::new(self.chain.clone(), self.key.clone_key())
            .expect("key and certificate belong together");
        let mut config = server_config(Certificates::new(vec![certificate]));
        match self.sessions {
            Sessions::Kept => {}
            Sessions::Forgotten => Arc::make_mut(&mut config).send_tls13_tickets = 0,
        }
        config
    }

    /// For whoever connects: trusts the authority and nobody else.
    #[must_use]
    pub fn connecting(&self) -> Arc<ClientConfig> {
        Arc::clone(self.verifying().config())
    }

    /// For lubdub as whoever connects: trusts the authority and nobody else.
    #[must_use]
    pub fn verifying(&self) -> UpstreamTls {
        let trust = UpstreamTrust::named(vec![self.ca.clone()]).expect("the authority is a root");
        let name = tls::server_name(NAME).expect("it is a name");
        UpstreamTls::new(name, trust, None)
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
