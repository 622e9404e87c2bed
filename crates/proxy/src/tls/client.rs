//! TLS toward upstreams, where lubdub is the client.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use rustls_pki_types::{DnsName, ServerName};

use super::{Certificate, UpstreamTrust, provider};

/// TLS toward an upstream: who it has to be, and what it is shown of lubdub. Its sessions are kept here
/// and resumed by further connections.
///
/// Two are equal if a connection made by the one is as good as one made by the other.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    name: ServerName<'static>,
    trust: UpstreamTrust,
    certificate: Option<Certificate>,
    shown: Arc<Shown>,
    config: Arc<ClientConfig>,
}

/// Shows a certificate, or none, and remembers that somebody has asked for one.
#[derive(Debug)]
struct Shown {
    certificate: Option<Arc<CertifiedKey>>,
    was_asked_for: AtomicBool,
}

/// As many tickets are kept for later connections (TLS 1.3 spends one for each, TLS 1.2 has but one). It
/// is what rustls keeps for one server at the most, and an upstream is one server.
const TICKETS: usize = 8;

// === impl UpstreamTls ===

impl UpstreamTls {
    /// Asks for `name` and has it verified by `trust`; shows `certificate` to who asks for one.
    #[must_use]
    pub fn new(
        name: ServerName<'static>,
        trust: UpstreamTrust,
        certificate: Option<Certificate>,
    ) -> Self {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for the default versions")
            .dangerous()
            .with_custom_certificate_verifier(trust.verifier());
        let shown = Arc::new(Shown {
            certificate: certificate.as_ref().map(|it| Arc::clone(it.key())),
            was_asked_for: AtomicBool::new(false),
        });
        let mut config = builder.with_client_cert_resolver(Arc::<Shown>::clone(&shown));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        Self {
            name,
            trust,
            certificate,
            shown,
            config: Arc::new(config),
        }
    }

    /// The name that is asked for (SNI, but for an address), and that the certificate has to have.
    #[must_use]
    pub fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// Whose certificates are believed.
    #[must_use]
    pub fn trust(&self) -> &UpstreamTrust {
        &self.trust
    }

    /// What is shown of lubdub, if anything is.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Whether the upstream has asked for a certificate, in a connection before this moment.
    pub(super) fn was_asked(&self) -> bool {
        self.shown.was_asked_for.load(Relaxed)
    }

    /// What rustls connects with.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            name,
            trust,
            certificate,
            shown: _,
            config: _,
        } = self;
        *name == other.name && *trust == other.trust && *certificate == other.certificate
    }
}

impl Eq for UpstreamTls {}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked_for.store(true, Relaxed);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        self.certificate.is_some()
    }
}

/// What a server is called where its certificate is verified: a host name, or an IP address, which may
/// have the brackets of IPv6. `None` if it is neither.
#[must_use]
pub fn server_name(host: &str) -> Option<ServerName<'static>> {
    let literal = (host.strip_prefix('[')).and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = literal.unwrap_or(host).parse::<IpAddr>() {
        return Some(ServerName::from(address));
    }
    let name = DnsName::try_from(host.to_owned()).ok()?;
    Some(ServerName::DnsName(name))
}
