//! A certificate's two files: what is in them at a moment, and what is wrong with that.
//!
//! They are read like this at the start, and again for as long as lubdub runs, so that the words are
//! the same.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lubdub_proxy::tls::{Certificate, Certificates, Unusable};

use super::error::Wrong;
use super::{pem, reading};

/// A certificate of a listener, as it was configured.
#[derive(Debug, Clone)]
pub(crate) struct CertificateSettings {
    /// The listener's name.
    pub listener: Arc<str>,
    /// Its own name: the metric label `certificate`.
    pub name: Arc<str>,
    /// Where it is read from.
    pub files: CertificateFiles,
    /// What was in the files when it was read.
    pub seen: Digest,
    /// All certificates that the listener shows.
    pub certificates: Arc<Certificates>,
    /// Its place among them.
    pub place: usize,
    /// How often its files are looked at; `None` for never.
    pub watch: Option<Duration>,
}

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub(crate) struct CertificateFiles {
    /// The key of the table that names them, for messages.
    pub table: String,
    /// What it calls the first of them; the other one is `key` everywhere.
    pub cert_name: &'static str,
    /// The file of the certificate and its chain.
    pub cert: PathBuf,
    /// The file of its private key.
    pub key: PathBuf,
}

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The certificate.
    Cert,
    /// The private key.
    Key,
}

/// What the files held at one moment.
pub(crate) struct Contents<'a> {
    files: &'a CertificateFiles,
    cert: io::Result<Vec<u8>>,
    key: io::Result<Vec<u8>>,
}

/// Tells contents from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u64);

/// What is wrong with one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub part: Part,
    pub wrong: Wrong,
}

/// The longest file that is read: hundreds of times what any has.
const MOST: u64 = 1 << 20;

// === impl Digest ===

impl Digest {
    pub(super) fn of(hasher: &DefaultHasher) -> Self {
        Self(hasher.finish())
    }
}

// === impl CertificateFiles ===

impl CertificateFiles {
    /// Reads both.
    pub(crate) fn read(&self) -> Contents<'_> {
        Contents {
            files: self,
            cert: reading::read(&self.cert, MOST),
            key: reading::read(&self.key, MOST),
        }
    }

    /// The faults in the words of `lubdub check`.
    pub(crate) fn describe(&self, faults: &[Fault]) -> String {
        let describe = |Fault { part, wrong }: &Fault| {
            let path = match part {
                Part::Cert => &self.cert,
                Part::Key => &self.key,
            };
            format!("{} = {path:?}: {wrong}", self.setting(*part))
        };
        let faults: Vec<_> = faults.iter().map(describe).collect();
        faults.join("; ")
    }

    /// The whole key that names one of them.
    pub(crate) fn setting(&self, part: Part) -> String {
        let name = match part {
            Part::Cert => self.cert_name,
            Part::Key => "key",
        };
        format!("{}.{name}", self.table)
    }
}

// === impl Contents ===

impl Contents<'_> {
    /// Whether it is the same again.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = DefaultHasher::new();
        for contents in [&self.cert, &self.key] {
            match contents {
                Ok(text) => text.hash(&mut hasher),
                Err(error) => error.to_string().hash(&mut hasher),
            }
        }
        Digest::of(&hasher)
    }

    /// The certificate with its key.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn certificate(&self) -> Result<Certificate, Vec<Fault>> {
        let chain = text(&self.cert).and_then(pem::certificates_in);
        let key = text(&self.key).and_then(pem::private_key_in);
        match (chain, key) {
            (Ok(chain), Ok(key)) => {
                Certificate::new(chain, key).map_err(|error| vec![self.unusable(error)])
            }
            (chain, key) => {
                let cert = chain.err().map(|wrong| (Part::Cert, wrong));
                let key = key.err().map(|wrong| (Part::Key, wrong));
                let faults = cert.into_iter().chain(key);
                Err(faults.map(|(part, wrong)| Fault { part, wrong }).collect())
            }
        }
    }

    fn unusable(&self, error: Unusable) -> Fault {
        // The enum is open, and its other variants speak for themselves.
        #[allow(clippy::wildcard_enum_match_arm)]
        let (part, wrong) = match error {
            Unusable::Rustls(rustls::Error::InconsistentKeys(_)) => {
                let cert = self.files.setting(Part::Cert);
                let wrong = Wrong(format!("does not belong to {cert}"));
                (Part::Key, wrong)
            }
            Unusable::Rustls(rustls::Error::InvalidCertificate(error)) => {
                (Part::Cert, pem::unusable(&error))
            }
            Unusable::WeakKey(_) => (Part::Key, Wrong(format!("cannot be used: {error}"))),
            Unusable::Rustls(error) => (Part::Key, Wrong(format!("cannot be used: {error}"))),
            Unusable::Empty | Unusable::Malformed(_) => {
                (Part::Cert, Wrong(format!("cannot be used: {error}")))
            }
        };
        Fault { part, wrong }
    }
}

pub(super) fn text(contents: &io::Result<Vec<u8>>) -> Result<&[u8], Wrong> {
    contents.as_deref().map_err(pem::unreadable)
}
