//! TLS at a listener, where lubdub is the server: what is shown to clients, what is asked of them, and
//! how they resume.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use rustls::server::danger::ClientCertVerifier;
use rustls::{CommonState, HandshakeKind, ServerConfig};
use rustls_pki_types::UnixTime;

use super::clients::{Authorities, Clients};
use super::failure::Failure;
use super::tickets::Tickets;
use super::{Certificates, provider, subject};

/// TLS at a listener.
pub struct ServerTls {
    certificates: Arc<Certificates>,
    subject_header: Option<HeaderName>,
    current: ArcSwap<Current>,
}

/// What counts at one moment.
struct Current {
    config: Arc<ServerConfig>,
    clients: Clients,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    tickets: Arc<Tickets>,
}

// === impl ServerTls ===

impl ServerTls {
    /// Clients are shown one of `certificates`: those that are there when they say hello. `clients` says
    /// who of them is let in; their subject is told to upstreams in `subject_header`.
    ///
    /// # Errors
    /// If there is no randomness for keys.
    pub fn new(
        certificates: Arc<Certificates>,
        clients: Clients,
        subject_header: Option<HeaderName>,
    ) -> Result<Arc<Self>, rustls::Error> {
        let current = Current::new(&certificates, clients, Tickets::new()?);
        Ok(Arc::new(Self {
            certificates,
            subject_header,
            current: ArcSwap::from_pointee(current),
        }))
    }

    /// From now on these vouch for clients. Sessions that began before are not resumed.
    ///
    /// # Errors
    /// If there is no randomness for keys. Then all is as it was.
    pub fn set_authorities(&self, authorities: Authorities) -> Result<(), rustls::Error> {
        let clients = self.current.load().clients.with(authorities);
        let next = Current::new(&self.certificates, clients, Tickets::new()?);
        self.current.store(Arc::new(next));
        Ok(())
    }

    /// Who vouches for clients, if that matters.
    #[must_use]
    pub fn authorities(&self) -> Option<Authorities> {
        self.current.load().clients.authorities().cloned()
    }

    /// The header field that tells upstreams whose certificate a client has.
    #[must_use]
    pub fn subject_header(&self) -> Option<&HeaderName> {
        self.subject_header.as_ref()
    }

    /// Seals tickets with another key from now on, as it happens every six hours.
    pub fn rotate_tickets(&self) {
        self.current.load().tickets.rotate();
    }

    /// Goes on with the tickets of `previous`, at the same listener before a reload, if the same is asked of
    /// clients: what a session has proved is not proved again when it is resumed.
    pub(crate) fn follow(&self, previous: &Self) {
        let (ours, theirs) = (self.current.load_full(), previous.current.load_full());
        if ours.clients == theirs.clients {
            let tickets = Arc::clone(&theirs.tickets);
            let next = Current::new(&self.certificates, ours.clients.clone(), tickets);
            self.current.store(Arc::new(next));
        }
    }

    /// For a connection that begins now.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// Looks at the client of a handshake that is over: the subject of its certificate, if it is to be told.
    ///
    /// A session that is resumed brings the certificate along, and rustls does not look at it again: it may
    /// have expired, or been revoked, since.
    pub(super) fn admit(&self, session: &CommonState) -> Result<Option<HeaderValue>, Failure> {
        let Some([certificate, chain @ ..]) = session.peer_certificates() else {
            return Ok(None);
        };
        let current = self.current.load();
        if session.handshake_kind() == Some(HandshakeKind::Resumed)
            && let Some(verifier) = &current.verifier
        {
            let verified = verifier.verify_client_cert(certificate, chain, UnixTime::now());
            verified.map_err(|error| Failure::of(&error, &Default::default()))?;
        }
        let Some(_) = &self.subject_header else {
            return Ok(None);
        };
        let told = subject::of(certificate);
        told.map(Some).map_err(|untold| {
            let reason = lubdub_metrics::TlsFailure::ClientCertificateBad;
            Failure::new(reason, untold.to_string())
        })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("clients", &self.current.load().clients)
            .finish_non_exhaustive()
    }
}

// === impl Current ===

impl Current {
    /// TLS 1.2 and 1.3. ALPN offers `http/1.1` only: a browser that is offered h2 would use it and find no
    /// WebSocket there. Nothing is said before the handshake is over (0-RTT): whoever has recorded that could
    /// say it again.
    fn new(certificates: &Arc<Certificates>, clients: Clients, tickets: Arc<Tickets>) -> Self {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for the default versions");
        let verifier = clients.verifier();
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(certificates) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        // Sessions are in tickets, sealed, with the clients: nothing is kept here for each.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.ticketer = Arc::clone(&tickets) as _;
        Self {
            config: Arc::new(config),
            clients,
            verifier,
            tickets,
        }
    }
}
