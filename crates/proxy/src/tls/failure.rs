//! What went wrong in a TLS handshake with a client, in words: what the client did, as far as it can
//! be told.

use std::borrow::Cow;
use std::fmt;

use lubdub_metrics::TlsFailure as Reason;
use rustls::{
    AlertDescription, CertRevocationListError, CertificateError, Error, PeerIncompatible,
};

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    words: Cow<'static, str>,
}

/// The beginning of what the client said: the header of a record, that of a handshake message, and the
/// version in a ClientHello (RFC 8446 4.1.2).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Opening {
    bytes: [u8; 11],
    len: usize,
}

// === impl Failure ===

impl Failure {
    pub(super) fn new(reason: Reason, words: impl Into<Cow<'static, str>>) -> Self {
        let words = words.into();
        Self { reason, words }
    }

    /// What rustls refused, or was told.
    pub(super) fn of(error: &Error, opening: &Opening) -> Self {
        // The enum is open, and most of it cannot happen here.
        #[allow(clippy::wildcard_enum_match_arm)]
        match error {
            Error::AlertReceived(alert) => Self::alert(*alert),
            Error::InvalidCertificate(error) => Self::certificate(error),
            Error::InvalidCertRevocationList(error) => Self::list(error),
            Error::NoCertificatesPresented => Self::new(
                Reason::NoClientCertificate,
                "it shows no certificate, and client_auth is \"required\"",
            ),
            Error::NoApplicationProtocol => Self::new(
                Reason::NoApplicationProtocol,
                "it does not speak http/1.1: by ALPN it offers other protocols only, such as h2",
            ),
            Error::PeerIncompatible(incompatible) => Self::incompatible(incompatible, opening),
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord
            | Error::DecryptError => Self::new(
                Reason::Malformed,
                format!("what it says is not TLS: {error}"),
            ),
            error => Self::new(Reason::Internal, error.to_string()),
        }
    }

    /// What is wrong with a client's certificate.
    pub(super) fn certificate(error: &CertificateError) -> Self {
        // The enum is open; the rest is told in its own words.
        #[allow(clippy::wildcard_enum_match_arm)]
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::new(
                Reason::ClientCertificateExpired,
                "its certificate has expired",
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::new(
                    Reason::ClientCertificateExpired,
                    "its certificate is not valid yet; is the clock of this machine right?",
                )
            }
            CertificateError::Revoked => Self::new(
                Reason::ClientCertificateRevoked,
                "its certificate has been revoked",
            ),
            CertificateError::UnknownIssuer => Self::new(
                Reason::ClientCertificateUnknownCa,
                "its certificate is from nobody in client_ca",
            ),
            CertificateError::UnknownRevocationStatus => Self::new(
                Reason::ClientCertificateUnknownCa,
                "whether its certificate has been revoked cannot be told: no list in client_crl is from the \
                 authority that issued it",
            ),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::new(
                    Reason::ClientCertificateBad,
                    "its certificate is not for clients (extended key usage clientAuth)",
                )
            }
            CertificateError::BadSignature => Self::new(
                Reason::ClientCertificateBad,
                "a signature does not fit: its certificate is from another authority of the same name as one in \
                 client_ca, or the client does not have its key",
            ),
            // webpki's own error, which is only to be had as its name.
            CertificateError::Other(other) if other.to_string() == "UnsupportedCertVersion" => {
                Self::new(
                    Reason::ClientCertificateBad,
                    "its certificate is of version 1 (openssl x509 -req without extensions makes such); it takes one \
                     of version 3",
                )
            }
            error => {
                let error = Error::InvalidCertificate(error.clone());
                let words = format!("its certificate cannot be used: {error}");
                Self::new(Reason::ClientCertificateBad, words)
            }
        }
    }

    /// What is wrong with the list in which a client's certificate was looked for.
    fn list(error: &CertRevocationListError) -> Self {
        const UNTOLD: &str = "whether its certificate has been revoked cannot be told:";
        let words = if matches!(error, CertRevocationListError::BadSignature) {
            format!(
                "{UNTOLD} the list in client_crl is from another authority of the same name as the one that issued it"
            )
        } else {
            let error = Error::InvalidCertRevocationList(error.clone());
            format!("{UNTOLD} {error}")
        };
        Self::new(Reason::ClientCertificateUnknownCa, words)
    }

    fn alert(alert: AlertDescription) -> Self {
        let name = name(alert);
        // The enum is open, and the rest says nothing about certificates.
        #[allow(clippy::wildcard_enum_match_arm)]
        match alert {
            AlertDescription::UnknownCA => Self::new(
                Reason::UnknownCa,
                format!("it does not trust our certificate (alert {name})"),
            ),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::BadCertificateStatusResponse => Self::new(
                Reason::CertificateRefused,
                format!("it refuses our certificate (alert {name})"),
            ),
            AlertDescription::ProtocolVersion => Self::new(
                Reason::ProtocolVersion,
                format!("it speaks neither TLS 1.2 nor 1.3 (alert {name})"),
            ),
            _ => Self::new(Reason::Alert, format!("it gives up (alert {name})")),
        }
    }

    fn incompatible(error: &PeerIncompatible, opening: &Opening) -> Self {
        if let Some(version) = opening.version() {
            // Whatever else it lacks, it lacks because it is old.
            let words = format!("it offers only {version}; lubdub speaks TLS 1.2 and 1.3");
            return Self::new(Reason::ProtocolVersion, words);
        }
        // The enum is open, and so it is told in its own words.
        #[allow(clippy::wildcard_enum_match_arm)]
        match error {
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired => {
                Self::new(Reason::ProtocolVersion, "it offers neither TLS 1.2 nor 1.3")
            }
            PeerIncompatible::NoCipherSuitesInCommon => Self::new(
                Reason::NothingInCommon,
                "it offers no cipher suite that lubdub has",
            ),
            PeerIncompatible::NoKxGroupsInCommon => Self::new(
                Reason::NothingInCommon,
                "it offers no group for the key exchange that lubdub has",
            ),
            PeerIncompatible::NoSignatureSchemesInCommon => Self::new(
                Reason::NothingInCommon,
                "it offers no kind of signature that fits our certificate's key",
            ),
            error => {
                let error = Error::PeerIncompatible(error.clone());
                let words = format!("it has nothing in common with lubdub: {error}");
                Self::new(Reason::NothingInCommon, words)
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// An alert's name as the RFC writes it: `BadCertificate` is `bad_certificate`.
fn name(alert: AlertDescription) -> String {
    // All others are named as the RFC names them, in another spelling.
    #[allow(clippy::wildcard_enum_match_arm)]
    let camel = match alert {
        AlertDescription::UnknownCA => "UnknownCa".to_owned(),
        AlertDescription::Unknown(code) => return code.to_string(),
        alert => format!("{alert:?}"),
    };
    let mut name = String::new();
    for (at, character) in camel.char_indices() {
        if at > 0 && character.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

// === impl Opening ===

impl Opening {
    /// A record with a handshake message in it.
    const HANDSHAKE: u8 = 22;

    /// Some of what came.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        let rest = &mut self.bytes[self.len..];
        let n = rest.len().min(bytes.len());
        rest[..n].copy_from_slice(&bytes[..n]);
        self.len += n;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it is, if it is no TLS at all.
    pub(super) fn foreign(&self) -> Option<Failure> {
        match self.bytes[..self.len] {
            [] | [Self::HANDSHAKE, ..] => None,
            // Version 1, and what version 2 begins with.
            [b'P', b'R', b'O', b'X', b'Y', b' ', ..] | [b'\r', b'\n', b'\r', b'\n', 0, ..] => {
                Some(Failure::new(
                    Reason::NotTls,
                    "it sends a PROXY header, and proxy_protocol is off at this listener",
                ))
            }
            [b'\r' | b'\n' | b'A'..=b'Z', ..] if self.is_http() => {
                Some(Failure::new(Reason::PlainHttp, "it speaks plain HTTP"))
            }
            // A record of two bytes' length, and a hello in it (RFC 6101 E).
            [128..=255, _, 1, ..] => Some(Failure::new(
                Reason::ProtocolVersion,
                "it says hello as SSL 2.0 did; lubdub speaks TLS 1.2 and 1.3",
            )),
            _ => Some(Failure::new(
                Reason::NotTls,
                "what it says is neither TLS nor HTTP",
            )),
        }
    }

    /// Whether it is an empty line; or a method, or the beginning of one, or the preface of HTTP/2.
    fn is_http(&self) -> bool {
        let bytes = &self.bytes[..self.len];
        let rest = bytes.iter().find(|byte| !byte.is_ascii_uppercase());
        matches!(rest, None | Some(b' ' | b'\r' | b'\n'))
    }

    /// The newest version that it offers if that is older than TLS 1.2. Newer ones are said elsewhere.
    fn version(&self) -> Option<&'static str> {
        match self.bytes[..self.len] {
            [Self::HANDSHAKE, 3, _, _, _, 1, _, _, _, 3, minor] => match minor {
                0 => Some("SSL 3.0"),
                1 => Some("TLS 1.0"),
                2 => Some("TLS 1.1"),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(bytes: &[u8]) -> Opening {
        let mut opening = Opening::default();
        // However it comes.
        for byte in bytes {
            opening.note(&[*byte]);
        }
        opening
    }

    #[test]
    fn alerts_have_the_names_of_the_rfc() {
        for (alert, expected) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadCertificate, "bad_certificate"),
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::Unknown(200), "200"),
        ] {
            assert_eq!(name(alert), expected);
        }
    }

    #[test]
    fn what_is_no_tls_is_told_from_its_first_bytes() {
        let reason = |bytes: &[u8]| opening(bytes).foreign().map(|failure| failure.reason);
        assert_eq!(reason(b""), None);
        assert_eq!(reason(b"\x16\x03\x01"), None);
        assert_eq!(reason(b"GET / HTTP/1.1"), Some(Reason::PlainHttp));
        assert_eq!(reason(b"PRI * HTTP/2.0"), Some(Reason::PlainHttp));
        assert_eq!(
            reason(b"\x80\x2e\x01\x00\x02"),
            Some(Reason::ProtocolVersion)
        );
        assert_eq!(reason(b"\x00\x01\x02\x03"), Some(Reason::NotTls));
        assert_eq!(reason(b"OPT"), Some(Reason::PlainHttp));
        assert_eq!(reason(b"\r\nGET /"), Some(Reason::PlainHttp));
        assert_eq!(reason(b"SSH-2.0-OpenSSH"), Some(Reason::NotTls));
        assert_eq!(reason(b"PROXY TCP4 1"), Some(Reason::NotTls));
        assert_eq!(reason(b"\r\n\r\n\0\r\nQUIT\n"), Some(Reason::NotTls));
    }

    #[test]
    fn the_version_is_that_of_the_hello_and_not_that_of_the_record() {
        let hello = |minor| [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, minor];
        for (minor, version) in [(0, Some("SSL 3.0")), (2, Some("TLS 1.1")), (3, None)] {
            assert_eq!(opening(&hello(minor)).version(), version);
        }
        assert_eq!(opening(&hello(1)[..10]).version(), None);
    }
}
