//! A backend that speaks TLS with whatever certificate it is given, answers every request with 204, and
//! says how each connection of lubdub's was made.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::PATIENCE;

/// A certificate and a key, as somebody shows them.
#[derive(Debug)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: String,
    key_pem: String,
}

/// What a backend asks of those who connect.
#[derive(Debug)]
pub struct Demands<'a> {
    /// Versions of TLS.
    pub versions: &'a [&'static SupportedProtocolVersion],
    /// The certificate that they must show, or that of its authority.
    pub client: Option<&'a Identity>,
    /// Whether it hangs up behind the handshake.
    pub hangs_up: bool,
}

/// TLS 1.2 and nothing else.
pub const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
/// TLS 1.3 and nothing else.
pub const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A backend that runs.
#[derive(Debug)]
pub struct TlsBackend {
    address: SocketAddr,
    met: mpsc::UnboundedReceiver<Met>,
}

/// How a connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The name that was asked for (SNI).
    pub name: Option<String>,
    /// Whether an earlier session was resumed.
    pub is_resumed: bool,
    /// The certificate that was shown.
    pub certificate: Option<CertificateDer<'static>>,
}

// === impl Identity ===

impl Identity {
    /// A new one for `host` that has signed itself, changed by `adjust` before it does.
    ///
    /// # Panics
    /// If there is no such certificate.
    #[must_use]
    pub fn self_signed(host: &str, adjust: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new([host.to_owned()]).expect("it is a name");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, host);
        adjust(&mut params);
        let key = KeyPair::generate().expect("a key can be made");
        let made = params.self_signed(&key).expect("it signs itself");
        Self::from_pem(&made.pem(), &key.serialize_pem())
    }

    /// The one in these files.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn from_pem(pem: &str, key_pem: &str) -> Self {
        Self {
            certificate: CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate"),
            key: PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).expect("a key"),
            pem: pem.to_owned(),
            key_pem: key_pem.to_owned(),
        }
    }

    /// Somebody who shows it, but has only the key of `other`.
    #[must_use]
    pub fn with_key_of(&self, other: &Self) -> Self {
        Self::from_pem(&self.pem, &other.key_pem)
    }

    /// The certificate, as a file would hold it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its key, as a file would hold it.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// For who accepts: shows it. Whether the key belongs to it is not asked here.
    ///
    /// # Panics
    /// If the key is of a kind that is not known.
    #[must_use]
    pub fn accepting(&self, demands: &Demands<'_>) -> Arc<ServerConfig> {
        let key = aws_lc_rs::sign::any_supported_type(&self.key).expect("a key that can sign");
        let shown = CertifiedKey::new(vec![self.certificate.clone()], key);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(demands.versions)
            .expect("the provider has these versions");
        let builder = match demands.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = RootCertStore::empty();
                let root = client.certificate.clone();
                roots.add(root).expect("it can be a root");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
                builder.with_client_cert_verifier(verifier.build().expect("there is a root"))
            }
        };
        Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(shown))))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

// === impl Demands ===

impl Default for Demands<'_> {
    fn default() -> Self {
        Self {
            versions: rustls::ALL_VERSIONS,
            client: None,
            hangs_up: false,
        }
    }
}

// === impl TlsBackend ===

impl TlsBackend {
    /// Listens on a port that the kernel chooses.
    ///
    /// # Panics
    /// If it cannot.
    pub async fn start(identity: &Identity, demands: &Demands<'_>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (told, met) = mpsc::unbounded_channel();
        let acceptor = TlsAcceptor::from(identity.accepting(demands));
        let hangs_up = demands.hangs_up;
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, acceptor.clone(), told.clone(), hangs_up));
            }
        });
        Self { address, met }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the next connection was made whose TLS handshake has come to its end.
    ///
    /// # Panics
    /// If there is none in time.
    pub async fn meet(&mut self) -> Met {
        let met = timeout(PATIENCE, self.met.recv()).await;
        met.ok()
            .flatten()
            .expect("lubdub shakes hands with the backend in time")
    }

    /// Whether nobody has come whom nobody has met.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.met.is_empty()
    }
}

/// Answers requests without bodies, to the end of a connection.
async fn serve(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    told: mpsc::UnboundedSender<Met>,
    hangs_up: bool,
) {
    // Whose fault it is, lubdub says.
    let Ok(mut tls) = acceptor.accept(tcp).await else {
        return;
    };
    let session = tls.get_ref().1;
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let _ = told.send(Met {
        name: session.server_name().map(str::to_owned),
        is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        certificate: shown.cloned(),
    });
    if hangs_up {
        return;
    }
    let mut head = Vec::new();
    while let Ok(1..) = tls.read_buf(&mut head).await {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            if tls
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .is_err()
            {
                return;
            }
        }
    }
}
