//! A certificate authority of one's own, a certificate for loopback mostly, and certificates for clients, made
//! anew for each test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use lubdub_proxy::tls::{
    self, Authorities, Certificate, Certificates, Clients, ServerTls, UpstreamTls, UpstreamTrust,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// The name that a certificate is for, besides 127.0.0.1.
pub const NAME: &str = "localhost";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An authority and a certificate that it has signed.
#[derive(Debug)]
pub struct Certs {
    number: u64,
    authority: Arc<CertifiedIssuer<'static, KeyPair>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ca_pem: String,
    chain_pem: String,
    key_pem: String,
    sessions: Sessions,
}

/// A certificate of a client.
#[derive(Debug)]
pub struct ClientCert {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pem: String,
    key_pem: String,
    serial: u64,
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

    /// Others, of an authority that bears the same name as this one.
    #[must_use]
    pub fn namesake(&self) -> Self {
        Self::make_by(self.number, &[NAME, "127.0.0.1"], |_| {})
    }

    fn make(names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Self {
        static AUTHORITIES: AtomicU64 = AtomicU64::new(0);
        // Each has a name of its own, so that none is taken for another.
        Self::make_by(AUTHORITIES.fetch_add(1, Relaxed), names, adjust)
    }

    fn make_by(number: u64, names: &[&str], adjust: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = || KeyPair::generate().expect("a key can be made");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name = name(&format!("authority {number}"));
        let issuer =
            CertifiedIssuer::self_signed(authority, key()).expect("an authority signs itself");
        let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
        let leaf_key = key();
        let mut leaf = CertificateParams::new(names).expect("these are names");
        adjust(&mut leaf);
        let leaf = (leaf.signed_by(&leaf_key, &issuer)).expect("the authority signs it");
        Self {
            number,
            chain: vec![leaf.der().clone()],
            key: PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into()),
            ca_pem: issuer.pem(),
            chain_pem: leaf.pem(),
            key_pem: leaf_key.serialize_pem(),
            authority: Arc::new(issuer),
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

    /// For an upstream: presents the certificate.
    #[must_use]
    pub fn accepting(&self) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .expect("key and certificate belong together");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        match self.sessions {
            Sessions::Kept => {}
            Sessions::Forgotten => config.send_tls13_tickets = 0,
        }
        Arc::new(config)
    }

    /// For a listener: presents the certificate, and asks for none.
    #[must_use]
    pub fn listening(&self) -> Arc<ServerTls> {
        self.listening_to(Clients::Anyone, None)
    }

    /// For a listener: presents the certificate to these clients, whose names go to upstreams in this field.
    #[must_use]
    pub fn listening_to(&self, clients: Clients, subject: Option<&'static str>) -> Arc<ServerTls> {
        let certificate = Certificate::new(self.chain.clone(), self.key.clone_key())
            .expect("key and certificate belong together");
        let subject = subject.map(http::HeaderName::from_static);
        ServerTls::new(Certificates::new(vec![certificate]), clients, subject)
            .expect("there is randomness")
    }

    /// For whoever connects: trusts the authority and nobody else.
    #[must_use]
    pub fn connecting(&self) -> Arc<ClientConfig> {
        Arc::clone(self.verifying().config())
    }

    /// For lubdub as whoever connects: trusts the authority and nobody else.
    ///
    /// # Panics
    /// If the authority is no root.
    #[must_use]
    pub fn verifying(&self) -> UpstreamTls {
        let trust = UpstreamTrust::named(vec![self.authority.der().clone()]);
        let trust = trust.expect("the authority is a root");
        let name = tls::server_name(NAME).expect("it is a name");
        UpstreamTls::new(name, trust, None)
    }

    /// The same, who shows a certificate if asked.
    #[must_use]
    pub fn connecting_as(&self, client: &ClientCert) -> Arc<ClientConfig> {
        self.adjusted(Some(client), rustls::DEFAULT_VERSIONS, |_| {})
    }

    /// The same, with versions of TLS and whatever else there is to choose.
    #[must_use]
    pub fn adjusted(
        &self,
        client: Option<&ClientCert>,
        versions: &[&'static SupportedProtocolVersion],
        adjust: impl FnOnce(&mut ClientConfig),
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = roots.add(self.authority.der().clone());
        root.expect("the authority is a root");
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("the provider has them")
            .with_root_certificates(roots);
        let mut config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => builder
                .with_client_auth_cert(client.chain.clone(), client.key.clone_key())
                .expect("key and certificate belong together"),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        adjust(&mut config);
        Arc::new(config)
    }

    /// The authority as one that vouches for clients, with lists of what is revoked as PEM.
    ///
    /// # Panics
    /// If a list is none.
    #[must_use]
    pub fn authorities(&self, lists: &[&str]) -> Authorities {
        let lists = lists.iter().map(|list| {
            let list = CertificateRevocationListDer::from_pem_slice(list.as_bytes());
            list.expect("this is a list")
        });
        Authorities::new(vec![self.authority.der().clone()], lists.collect())
            .expect("the authority vouches for clients")
    }

    /// A certificate for a client with this common name.
    #[must_use]
    pub fn client(&self, common: &str) -> ClientCert {
        self.client_with(|client| client.distinguished_name = name(common))
    }

    /// The same, of which anything may be changed.
    ///
    /// # Panics
    /// If the authority cannot sign it.
    #[must_use]
    pub fn client_with(&self, adjust: impl FnOnce(&mut CertificateParams)) -> ClientCert {
        static SERIALS: AtomicU64 = AtomicU64::new(1);
        let serial = SERIALS.fetch_add(1, Relaxed);
        let key = KeyPair::generate().expect("a key can be made");
        let mut client = CertificateParams::default();
        client.serial_number = Some(SerialNumber::from(serial));
        adjust(&mut client);
        let client = client.signed_by(&key, &self.authority);
        let client = client.expect("the authority signs it");
        ClientCert {
            chain: vec![client.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            pem: client.pem(),
            key_pem: key.serialize_pem(),
            serial,
        }
    }

    /// A list of what the authority has revoked, as PEM, that is good for a day.
    #[must_use]
    pub fn revoking(&self, clients: &[&ClientCert]) -> String {
        self.revoking_until(clients, SystemTime::now() + DAY)
    }

    /// The same, after which the next was to be there then.
    ///
    /// # Panics
    /// If the authority cannot sign it.
    #[must_use]
    pub fn revoking_until(&self, clients: &[&ClientCert], next: SystemTime) -> String {
        let long_ago = SystemTime::now() - 30 * DAY;
        let revoked = clients.iter().map(|client| RevokedCertParams {
            serial_number: SerialNumber::from(client.serial),
            revocation_time: long_ago.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: long_ago.into(),
            next_update: next.into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.authority);
        let list = list.and_then(|list| list.pem());
        list.expect("the authority signs it")
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

impl ClientCert {
    /// It, as a file would hold it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its key, as a file would hold it.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}
