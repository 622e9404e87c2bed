//! One certificate with its chain and its key: for whom it is, and from when to when (RFC 5280).

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::nom;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use super::{SHORTEST_RSA, provider};

/// A certificate that lubdub can show: as a server to clients, or as a client to upstreams. Two are equal
/// if what is shown is the same; the key belongs to it.
#[derive(Debug, Clone)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Arc<[String]>,
    validity: Validity,
}

/// From when to when a certificate is valid (RFC 5280 4.1.2.5), both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Moment,
    pub(super) not_after: Moment,
}

/// A moment of the calendar, to the second. It is shown as in RFC 3339, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

/// Why a certificate and a key cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The key belongs to another certificate, or one of the two is of a kind that is not supported.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// The key is too short to be believed.
    #[error("it is an RSA key of {0} bits, and {SHORTEST_RSA} are the fewest that clients believe")]
    WeakKey(usize),
    /// The certificate is not one by X.509.
    #[error("the certificate cannot be read: {0}")]
    Malformed(X509Error),
}

// === impl Certificate ===

impl Certificate {
    /// The first of `chain`, which is for `key`; the others are those between it and an authority.
    ///
    /// # Errors
    /// If the two do not belong together, or one of them cannot be used.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Unusable> {
        let first = chain.first().ok_or(Unusable::Empty)?.clone();
        if let Some(bits) = rsa_bits(&first).filter(|bits| *bits < SHORTEST_RSA) {
            return Err(Unusable::WeakKey(bits));
        }
        // Before its dates are read: rustls has the better words for what is no certificate.
        let key = CertifiedKey::from_der(chain, key, &provider())?;
        let parsed = parse(&first).map_err(Unusable::Malformed)?;
        let names = dns_names(&parsed).map_err(Unusable::Malformed)?;
        let validity = Validity::from(parsed.validity());
        Ok(Self {
            key: Arc::new(key),
            names: names.into(),
            validity,
        })
    }

    /// The host names that it is for, in lower case: those of its subjectAltName, for a common name
    /// does not count (RFC 9525 2). `*.` stands for one label in front.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The first moment at which it is valid.
    #[must_use]
    pub fn not_before(&self) -> Moment {
        self.validity.not_before
    }

    /// The last one.
    #[must_use]
    pub fn not_after(&self) -> Moment {
        self.validity.not_after
    }

    /// What rustls shows and signs with.
    pub(super) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

impl Eq for Certificate {}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, X509Error> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(nom::Err::Error(error) | nom::Err::Failure(error)) => Err(error),
        Err(nom::Err::Incomplete(_)) => Err(X509Error::Generic),
    }
}

/// The length of a certificate's key, if that is one of RSA.
pub(super) fn rsa_bits(certificate: &CertificateDer<'_>) -> Option<usize> {
    match parse(certificate).ok()?.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(key.key_size()),
        _ => None,
    }
}

/// The names of hosts in a certificate's subjectAltName.
fn dns_names(certificate: &X509Certificate<'_>) -> Result<Vec<String>, X509Error> {
    let Some(names) = certificate.subject_alternative_name()? else {
        return Ok(Vec::new());
    };
    let mut hosts = Vec::new();
    for name in &names.value.general_names {
        // Nobody asks by SNI for an address or anything else (RFC 6066 3).
        if let GeneralName::DNSName(name) = name {
            hosts.push(name.to_ascii_lowercase());
        }
    }
    Ok(hosts)
}

// === impl Validity ===

impl Validity {
    /// That of `certificate`.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, X509Error> {
        Ok(Self::from(parse(certificate)?.validity()))
    }
}

impl From<&x509_parser::certificate::Validity> for Validity {
    fn from(validity: &x509_parser::certificate::Validity) -> Self {
        Self {
            not_before: Moment(validity.not_before.timestamp()),
            not_after: Moment(validity.not_after.timestamp()),
        }
    }
}

// === impl Moment ===

impl Moment {
    /// So many seconds after the beginning of 1970 in UTC.
    #[must_use]
    pub const fn from_timestamp(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the beginning of 1970 in UTC.
    #[must_use]
    pub const fn timestamp(self) -> i64 {
        self.0
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs());
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(seconds(after).unwrap_or(i64::MAX)),
            Err(before) => Self(seconds(before.duration()).map_or(i64::MIN, |before| -before)),
        }
    }
}

impl From<UnixTime> for Moment {
    fn from(time: UnixTime) -> Self {
        Self(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }
}

/// What was before 1970 is 1970.
impl From<Moment> for UnixTime {
    fn from(moment: Moment) -> Self {
        let seconds = u64::try_from(moment.0).unwrap_or(0);
        Self::since_unix_epoch(std::time::Duration::from_secs(seconds))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is beyond the calendar is told as a number.
        let Ok(time) = ASN1Time::from_timestamp(self.0) else {
            return write!(f, "{}", self.0);
        };
        let time = time.to_datetime();
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        let (hour, minute, second) = time.to_hms();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_as_in_rfc_3339() {
        let shown = |seconds| Moment(seconds).to_string();
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(shown(4_102_444_800), "2100-01-01T00:00:00Z");
        assert_eq!(shown(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn the_clock_becomes_a_moment() {
        let second = std::time::Duration::from_secs(1);
        assert_eq!(Moment::from(UNIX_EPOCH + 7 * second), Moment(7));
        assert_eq!(Moment::from(UNIX_EPOCH - second), Moment(-1));
    }
}
