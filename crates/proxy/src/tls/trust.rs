//! Who is believed to be an upstream: whoever has a certificate of an authority, or a certificate that
//! was named itself, or, where that was asked for, anybody.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Moment, Validity, provider};

/// Whose certificates are believed. Two are equal if they believe the same ones.
#[derive(Debug, Clone)]
pub struct UpstreamTrust {
    what: Trusted,
    verifier: Arc<dyn ServerCertVerifier>,
}

/// What a [`UpstreamTrust`] was made of.
#[derive(Debug, Clone)]
enum Trusted {
    Platform(Arc<RootCertStore>),
    Named(Arc<[CertificateDer<'static>]>),
    Anybody,
}

/// Why there is nobody to trust. Each text is whole, and no source says a part of it again.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// One of the named certificates cannot be used as a root.
    #[error("a certificate cannot be used as a root: {0}")]
    BadRoot(Error),
    /// No certificate was named.
    #[error("there is no certificate in it")]
    NoRoots,
    /// The platform's certificate store is empty or unreadable.
    #[error("the platform's certificate store has no usable root{}", first(.0))]
    NoPlatformRoots(Vec<rustls_native_certs::Error>),
}

/// Believes authorities, and each certificate that was named for itself.
///
/// An authority's certificate is none for a server by RFC 5280, and webpki refuses it as such. But
/// `openssl req -x509` says CA:TRUE of every certificate that it makes, and who names the very
/// certificate that a server has means that server.
#[derive(Debug)]
struct Known {
    authorities: Arc<WebPkiServerVerifier>,
    named: Arc<[CertificateDer<'static>]>,
}

/// Somebody shows a certificate without having its key. webpki has the same word for that and for a
/// certificate that its authority has not signed.
#[derive(Debug, thiserror::Error)]
#[error("it has not the key that belongs to it")]
pub(super) struct NotItsKey;

/// Believes everything. A signature of the handshake would only say that the server has the key of a
/// certificate which anybody can make.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

// === impl UpstreamTrust ===

impl UpstreamTrust {
    /// In the authorities of the platform. They are read now.
    ///
    /// # Errors
    /// If it has none that can be used.
    pub fn platform() -> Result<Self, TrustError> {
        let platform = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(platform.certs);
        if roots.is_empty() {
            return Err(TrustError::NoPlatformRoots(platform.errors));
        }
        let roots = Arc::new(roots);
        Ok(Self {
            verifier: Arc::new(Known {
                authorities: authorities(Arc::clone(&roots)),
                named: Arc::new([]),
            }),
            what: Trusted::Platform(roots),
        })
    }

    /// In these certificates and nobody else: in what they have signed, and in who shows one of them.
    ///
    /// # Errors
    /// If one of them cannot be used, or there is none.
    pub fn named(certificates: Vec<CertificateDer<'static>>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(TrustError::BadRoot)?;
        }
        if roots.is_empty() {
            return Err(TrustError::NoRoots);
        }
        let certificates: Arc<[_]> = certificates.into();
        Ok(Self {
            verifier: Arc::new(Known {
                authorities: authorities(Arc::new(roots)),
                named: Arc::clone(&certificates),
            }),
            what: Trusted::Named(certificates),
        })
    }

    /// In anybody: no certificate is looked at.
    #[must_use]
    pub fn anybody() -> Self {
        Self {
            what: Trusted::Anybody,
            verifier: Arc::new(Anybody(provider().signature_verification_algorithms)),
        }
    }

    /// Whether no certificate is looked at.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        matches!(self.what, Trusted::Anybody)
    }

    /// Whether it is in certificates that were named.
    pub(super) fn is_in_named(&self) -> bool {
        matches!(self.what, Trusted::Named(_))
    }

    pub(super) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::clone(&self.verifier)
    }
}

impl PartialEq for UpstreamTrust {
    fn eq(&self, other: &Self) -> bool {
        match (&self.what, &other.what) {
            (Trusted::Platform(one), Trusted::Platform(other)) => {
                Arc::ptr_eq(one, other) || one.roots == other.roots
            }
            (Trusted::Named(one), Trusted::Named(other)) => one == other,
            (Trusted::Anybody, Trusted::Anybody) => true,
            _ => false,
        }
    }
}

impl Eq for UpstreamTrust {}

/// The platform's certificates as they are now.
#[must_use]
pub fn platform_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

fn authorities(roots: Arc<RootCertStore>) -> Arc<WebPkiServerVerifier> {
    WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .expect("there are roots, and no revocation lists")
}

fn first(errors: &[rustls_native_certs::Error]) -> String {
    errors
        .first()
        .map(|error| format!(": {error}"))
        .unwrap_or_default()
}

// === impl Known ===

impl Known {
    /// What is left to look at in a certificate that was named.
    fn verify_itself(
        certificate: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let unreadable = |error| CertificateError::Other(OtherError(Arc::new(error)));
        let Validity {
            not_before,
            not_after,
        } = Validity::of(certificate).map_err(unreadable)?;
        let at = Moment::from(now);
        if at > not_after {
            let not_after = not_after.into();
            let time = now;
            return Err(CertificateError::ExpiredContext { time, not_after }.into());
        }
        if at < not_before {
            let not_before = not_before.into();
            let time = now;
            return Err(CertificateError::NotValidYetContext { time, not_before }.into());
        }
        verify_server_name(&parsed, server_name)
    }

    /// What a signature of the handshake has shown.
    fn judged(
        signature: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        if let Err(Error::InvalidCertificate(CertificateError::BadSignature)) = signature {
            return Err(CertificateError::Other(OtherError(Arc::new(NotItsKey))).into());
        }
        signature
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.named.iter().any(|named| named == end_entity) {
            Self::verify_itself(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let authorities = &self.authorities;
        authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::judged(self.authorities.verify_tls12_signature(message, cert, dss))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::judged(self.authorities.verify_tls13_signature(message, cert, dss))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

// === impl Anybody ===

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
