//! Certificates of clients: whose are taken, and which of those have been taken back (RFC 5280).

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{Moment, rsa_bits};
use super::{provider, subject};

/// Whether a listener asks its clients for a certificate.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Clients {
    /// No.
    #[default]
    Anyone,
    /// Who shows one has to be known; who shows none may come in as well.
    Optional(Authorities),
    /// Who shows none that is good does not come in.
    Required(Authorities),
}

/// Who vouches for clients, and what they have taken back.
#[derive(Debug, Clone)]
pub struct Authorities(Arc<Known>);

#[derive(Debug)]
struct Known {
    roots: Arc<RootCertStore>,
    authorities: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    /// Of each list when the next one was to be there, if it says so.
    next_updates: Vec<Option<Moment>>,
    remarks: Remarks,
}

/// What an operator should know of authorities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Those of which there is no list though there are lists: none of their clients is let in.
    pub without_list: Vec<String>,
    /// Those whose RSA key is too short, with its bits: none of their clients is let in.
    pub weak: Vec<(String, usize)>,
}

/// Why authorities or lists cannot be used. Each text is whole.
#[derive(Debug, thiserror::Error)]
pub enum UnusableAuthorities {
    /// A certificate is no authority's.
    #[error("certificate {number} of it cannot be used as an authority: {error}")]
    Authority {
        /// Which one, from 1 on.
        number: usize,
        /// What rustls says.
        error: rustls::Error,
    },
    /// A list cannot be read, or says what is not understood.
    #[error("list {number} of it cannot be used: {reason}")]
    List {
        /// Which one, from 1 on.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing in it.
    #[error("there is no certificate in it")]
    Nobody,
}

/// RSA keys that are shorter are not verified with.
pub const SHORTEST_RSA: usize = 2048;

// === impl Clients ===

impl Clients {
    /// Who vouches for them, if that matters.
    pub(super) fn authorities(&self) -> Option<&Authorities> {
        match self {
            Self::Anyone => None,
            Self::Optional(authorities) | Self::Required(authorities) => Some(authorities),
        }
    }

    /// The same with others who vouch for them.
    pub(super) fn with(&self, authorities: Authorities) -> Self {
        match self {
            Self::Anyone => Self::Anyone,
            Self::Optional(_) => Self::Optional(authorities),
            Self::Required(_) => Self::Required(authorities),
        }
    }

    /// Who looks at their certificates, if anybody does.
    pub(super) fn verifier(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        match self {
            Self::Anyone => None,
            Self::Optional(authorities) => Some(authorities.verifier(true)),
            Self::Required(authorities) => Some(authorities.verifier(false)),
        }
    }
}

// === impl Authorities ===

impl Authorities {
    /// These authorities, and their lists of what is revoked. Without any list nothing is; with one, who is
    /// on none of a known authority's is not let in.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn new(
        authorities: Vec<CertificateDer<'static>>,
        lists: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Self, UnusableAuthorities> {
        let mut roots = RootCertStore::empty();
        for (n, authority) in authorities.iter().enumerate() {
            let added = roots.add(authority.clone());
            let number = n + 1;
            added.map_err(|error| UnusableAuthorities::Authority { number, error })?;
        }
        if roots.is_empty() {
            return Err(UnusableAuthorities::Nobody);
        }
        let roots = Arc::new(roots);
        let mut next_updates = Vec::new();
        let mut listed = Vec::new();
        for (n, list) in lists.iter().enumerate() {
            let number = n + 1;
            let unusable = |reason: String| UnusableAuthorities::List { number, reason };
            let (_, parsed) = CertificateRevocationList::from_der(list)
                .map_err(|_| unusable("it is no certificate revocation list".to_owned()))?;
            if parsed.version().is_none() {
                let old = "it is of version 1, and only version 2 can be used (`openssl ca` writes that with `crlnumber`)";
                return Err(unusable(old.to_owned()));
            }
            // What rustls makes of it is what counts.
            let alone = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
            let alone = alone.with_crls([list.clone()]).build();
            alone.map_err(|error| unusable(error.to_string()))?;
            let next = parsed.next_update();
            next_updates.push(next.map(|next| Moment::from_timestamp(next.timestamp())));
            listed.push(parsed.issuer().as_raw().to_vec());
        }
        let remarks = remarks(&authorities, &listed);
        Ok(Self(Arc::new(Known {
            roots,
            authorities,
            lists,
            next_updates,
            remarks,
        })))
    }

    /// How many authorities there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.authorities.len()
    }

    /// How many lists there are.
    #[must_use]
    pub fn lists(&self) -> usize {
        self.0.lists.len()
    }

    /// The number of the first list that is out of date at `now`, from 1 on, and since when.
    #[must_use]
    pub fn out_of_date(&self, now: Moment) -> Option<(usize, Moment)> {
        let mut next = self.0.next_updates.iter().zip(1..);
        next.find_map(|(next, number)| next.filter(|next| *next < now).map(|next| (number, next)))
    }

    /// What an operator should know.
    #[must_use]
    pub fn remarks(&self) -> &Remarks {
        &self.0.remarks
    }

    fn verifier(&self, may_have_none: bool) -> Arc<dyn ClientCertVerifier> {
        let known = &self.0;
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&known.roots), provider())
                .with_crls(known.lists.iter().cloned());
        let builder = if may_have_none {
            builder.allow_unauthenticated()
        } else {
            builder
        };
        builder
            .build()
            .expect("the lists were taken one by one, and there is an authority")
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.0, &other.0);
        Arc::ptr_eq(ours, theirs)
            || (ours.authorities == theirs.authorities && ours.lists == theirs.lists)
    }
}

/// What is remarkable of authorities, of which `listed` have a list, by their names as DER.
fn remarks(authorities: &[CertificateDer<'static>], listed: &[Vec<u8>]) -> Remarks {
    let mut remarks = Remarks::default();
    for authority in authorities {
        let Ok((_, parsed)) = X509Certificate::from_der(authority) else {
            continue;
        };
        let name = || subject::written(parsed.subject());
        if !listed.is_empty() && !listed.iter().any(|it| it == parsed.subject().as_raw()) {
            remarks.without_list.push(name());
        }
        if let Some(bits) = rsa_bits(authority).filter(|bits| *bits < SHORTEST_RSA) {
            remarks.weak.push((name(), bits));
        }
    }
    remarks
}
