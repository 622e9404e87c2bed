//! The files that say whose certificates clients may have: what is in them at a moment, and what is wrong
//! with that.
//!
//! As a listener's own certificates they are read at the start, and again for as long as lubdub runs.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lubdub_proxy::tls::{Authorities, Moment, ServerTls, UnusableAuthorities};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;

use super::certificate::{Digest, text};
use super::error::Wrong;
use super::{pem, reading};

/// Who vouches for the clients of a listener, as it was configured.
#[derive(Debug, Clone)]
pub(crate) struct ClientSettings {
    /// The listener's name.
    pub listener: Arc<str>,
    /// Where they are read from.
    pub files: ClientFiles,
    /// What was in the files when they were read.
    pub seen: Digest,
    /// Where they are in use.
    pub tls: Arc<ServerTls>,
    /// How often the files are looked at; `None` for never.
    pub watch: Option<Duration>,
}

/// Where authorities and their lists are.
#[derive(Debug, Clone)]
pub(crate) struct ClientFiles {
    /// The key of the table that names them, for messages.
    pub table: String,
    /// The file of the authorities.
    pub ca: PathBuf,
    /// The file of what they have revoked, if there is one.
    pub crl: Option<PathBuf>,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientPart {
    /// The authorities.
    Ca,
    /// What they have revoked.
    Crl,
}

/// What the files held at one moment.
pub(crate) struct ClientContents {
    ca: io::Result<Vec<u8>>,
    crl: Option<io::Result<Vec<u8>>>,
}

/// What is wrong with one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientFault {
    pub part: ClientPart,
    pub wrong: Wrong,
}

/// The longest file of authorities that is read.
const MOST: u64 = 1 << 20;

// === impl ClientSettings ===

impl ClientSettings {
    /// The list of `next` that is out of date, its number and since when, if none of those in use is: nobody means that.
    pub(crate) fn older_list(&self, next: &Authorities, now: Moment) -> Option<(usize, Moment)> {
        let older = next.out_of_date(now)?;
        let is_good = self.tls.authorities()?.out_of_date(now).is_none();
        is_good.then_some(older)
    }
}

// === impl ClientFiles ===

impl ClientFiles {
    /// Reads both.
    pub(crate) fn read(&self) -> ClientContents {
        ClientContents {
            ca: reading::read(&self.ca, MOST),
            crl: self
                .crl
                .as_deref()
                .map(|crl| reading::read(crl, reading::LONGEST)),
        }
    }

    /// The faults in the words of `lubdub check`.
    pub(crate) fn describe(&self, faults: &[ClientFault]) -> String {
        let faults: Vec<_> = faults
            .iter()
            .map(|ClientFault { part, wrong }| {
                let path = match part {
                    ClientPart::Ca => &self.ca,
                    ClientPart::Crl => self.crl.as_ref().unwrap_or(&self.ca),
                };
                format!("{}.{part} = {path:?}: {wrong}", self.table)
            })
            .collect();
        faults.join("; ")
    }
}

// === impl ClientContents ===

impl ClientContents {
    /// Whether it is the same again.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = DefaultHasher::new();
        for contents in [Some(&self.ca), self.crl.as_ref()] {
            match contents {
                Some(Ok(text)) => text.hash(&mut hasher),
                Some(Err(error)) => error.to_string().hash(&mut hasher),
                None => 0.hash(&mut hasher),
            }
        }
        Digest::of(&hasher)
    }

    /// The authorities with their lists.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn authorities(&self) -> Result<Authorities, Vec<ClientFault>> {
        let ca = text(&self.ca).and_then(pem::certificates_in);
        let crl = match &self.crl {
            None => Ok(Vec::new()),
            Some(crl) => text(crl).and_then(lists_in),
        };
        match (ca, crl) {
            (Ok(ca), Ok(crl)) => Authorities::new(ca, crl).map_err(|error| vec![unusable(&error)]),
            (ca, crl) => {
                let ca = ca.err().map(|wrong| (ClientPart::Ca, wrong));
                let crl = crl.err().map(|wrong| (ClientPart::Crl, wrong));
                let faults = ca.into_iter().chain(crl);
                let faults = faults.map(|(part, wrong)| ClientFault { part, wrong });
                Err(faults.collect())
            }
        }
    }
}

/// All lists of revoked certificates in the text of a file, at least one.
fn lists_in(text: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Wrong> {
    const WHAT: &str = "certificate revocation list (X509 CRL)";
    let lists = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem::describe(&error, WHAT))?;
    if lists.is_empty() {
        let wrong = if text.first() == Some(&0x30) {
            "is DER; \"openssl crl -inform DER -in LIST -out LIST.pem\" makes PEM of it".to_owned()
        } else {
            format!("names a file without a {WHAT} as PEM")
        };
        return Err(Wrong(wrong));
    }
    Ok(lists)
}

fn unusable(error: &UnusableAuthorities) -> ClientFault {
    let part = match error {
        UnusableAuthorities::Authority { .. } | UnusableAuthorities::Nobody => ClientPart::Ca,
        UnusableAuthorities::List { .. } => ClientPart::Crl,
    };
    let wrong = Wrong(format!("cannot be used: {error}"));
    ClientFault { part, wrong }
}

impl fmt::Display for ClientPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "client_ca",
            Self::Crl => "client_crl",
        })
    }
}
