//! Why there is no TLS with an upstream, in plain words: most of all what is wrong with its certificate
//! (RFC 5280), and which setting would help.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::trust::NotItsKey;
use super::{Moment, UpstreamTls};

/// So many names of a certificate are told.
const TOLD: usize = 3;

/// What `error` of a TLS handshake means to whoever runs the upstream or configures lubdub. `key` makes of
/// the last part of a key, such as `ca`, what it is called where this is read.
pub fn explain(error: &io::Error, tls: &UpstreamTls, key: impl Fn(&str) -> String) -> String {
    let words = match (rustls_error(error), error.kind()) {
        (Some(error), _) => Words { tls, key: &key }.of(error),
        (None, io::ErrorKind::UnexpectedEof) => {
            Some("it hung up during the TLS handshake; does it speak TLS there at all?".to_owned())
        }
        (None, io::ErrorKind::ConnectionReset) => Some(
            "it reset the connection during the TLS handshake; does it speak TLS there at all?"
                .to_owned(),
        ),
        (None, _) => None,
    };
    words.unwrap_or_else(|| error.to_string())
}

/// The same for what came behind the handshake in place of the first answer, if it is a part of it: with TLS
/// 1.3 lubdub is through before the upstream has looked at lubdub's certificate. What that comes to it says by
/// an alert, or just hangs up (as asyncio and Node do).
pub fn explain_late(
    error: &hyper::Error,
    tls: &UpstreamTls,
    key: impl Fn(&str) -> String,
) -> Option<String> {
    let words = Words { tls, key: &key };
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut has_hung_up = error.is_incomplete_message();
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        // The enum is open; all other alerts are about what was sent since.
        if let Some(Error::AlertReceived(alert)) = io.and_then(rustls_error) {
            return words.of_certificate_of_lubdub(*alert);
        }
        has_hung_up |= io.is_some_and(|io| {
            let kinds = [
                io::ErrorKind::UnexpectedEof,
                io::ErrorKind::ConnectionReset,
                io::ErrorKind::BrokenPipe,
            ];
            kinds.contains(&io.kind())
        });
        cause = error.source();
    }
    (has_hung_up && tls.was_asked()).then(|| words.of_silence())
}

fn rustls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What errors mean to an upstream. `None` if the library's words have to do.
struct Words<'a> {
    tls: &'a UpstreamTls,
    key: &'a dyn Fn(&str) -> String,
}

// The enums are open, and all but the common cases are left to the library.
#[allow(clippy::wildcard_enum_match_arm)]
impl Words<'_> {
    fn of(&self, error: &Error) -> Option<String> {
        match error {
            Error::InvalidCertificate(wrong) => self.of_certificate(wrong),
            Error::InvalidMessage(_) => Some(
                "it speaks no TLS there; is it ws:// (or http://) in place of wss://?".to_owned(),
            ),
            Error::AlertReceived(alert) => Some(self.of_alert(*alert)),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Some(OLD.to_owned()),
            Error::PeerIncompatible(PeerIncompatible::ExtendedMasterSecretExtensionRequired) => {
                Some(
                    "its TLS 1.2 has no extended master secret (RFC 7627), which lubdub needs"
                        .to_owned(),
                )
            }
            _ => None,
        }
    }

    /// What is wrong with the certificate that the upstream has shown.
    fn of_certificate(&self, wrong: &CertificateError) -> Option<String> {
        let (ca, server_name) = ((self.key)("ca"), (self.key)("server_name"));
        let wanted = self.tls.name().to_str();
        let words = match wrong {
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("its certificate expired on {}", Moment::from(*not_after))
            }
            CertificateError::Expired => "its certificate has expired".to_owned(),
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "its certificate is not valid before {}; is the clock of this machine right?",
                Moment::from(*not_before)
            ),
            CertificateError::NotValidYet => "its certificate is not valid yet".to_owned(),
            CertificateError::UnknownIssuer if self.tls.trust().is_in_named() => format!(
                "its certificate has an unknown issuer: none that is in {ca}; or it does not send \
                 the certificates in between"
            ),
            CertificateError::UnknownIssuer => format!(
                "its certificate has an unknown issuer, which this machine does not trust: name its \
                 CA in {ca}; or it does not send the certificates in between"
            ),
            CertificateError::BadSignature => format!(
                "its certificate is not signed by the authority that is trusted, but by another of \
                 the same name (bad signature): name its CA in {ca}"
            ),
            CertificateError::NotValidForNameContext { presented, .. } => match names(presented) {
                Some(names) => format!(
                    "its certificate is for other names ({names}), not for {wanted}; {server_name} \
                     says for which it has to be"
                ),
                None => format!(
                    "its certificate is not for {wanted}: it has no name in its subjectAltName (a \
                     common name does not count)"
                ),
            },
            CertificateError::NotValidForName => {
                format!("its certificate is not for {wanted}")
            }
            CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
                "its certificate is not for servers (extendedKeyUsage has no serverAuth)".to_owned()
            }
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "its certificate, or one between it and its authority, is signed in a way that is \
                 not supported (such as by SHA-1)"
                    .to_owned()
            }
            CertificateError::BadEncoding => "its certificate cannot be read".to_owned(),
            CertificateError::Other(other) if other.0.is::<NotItsKey>() => {
                format!("its certificate is not its own: {other}")
            }
            // webpki's own error, which is only to be had as its name.
            CertificateError::Other(other) => match &*other.to_string() {
                "CaUsedAsEndEntity" => format!(
                    "its certificate is that of an authority (basicConstraints CA:TRUE, as openssl \
                     req -x509 makes it): name this very certificate in {ca}"
                ),
                "UnsupportedCertVersion" => "its certificate is of version 1 (openssl x509 -req \
                                             without extensions makes such): make one of version \
                                             3, with the host in its subjectAltName"
                    .to_owned(),
                other => format!("its certificate cannot be used: {other}"),
            },
            _ => return None,
        };
        Some(words)
    }

    /// Why the upstream has broken off.
    fn of_alert(&self, alert: AlertDescription) -> String {
        if let Some(words) = self.of_certificate_of_lubdub(alert) {
            return words;
        }
        match alert {
            AlertDescription::ProtocolVersion => OLD.to_owned(),
            AlertDescription::HandshakeFailure => match self.tls.certificate() {
                // With TLS 1.2 that is also how a server says that it wants one.
                None => format!(
                    "it broke off the TLS handshake: it has no cipher suite in common with lubdub, or \
                     asks for a certificate ({} and {})",
                    (self.key)("certificate"),
                    (self.key)("key")
                ),
                Some(_) => format!(
                    "it broke off the TLS handshake: it has no cipher suite in common with lubdub, or \
                     refuses the certificate in {}",
                    (self.key)("certificate")
                ),
            },
            AlertDescription::UnrecognisedName => format!(
                "it does not know {} (SNI); {} names another host",
                self.tls.name().to_str(),
                (self.key)("server_name")
            ),
            AlertDescription::NoApplicationProtocol => {
                "it does not speak HTTP/1.1 there (ALPN)".to_owned()
            }
            other => format!("it broke off the TLS handshake ({other:?})"),
        }
    }

    /// Why it may have hung up, which asks for a certificate.
    fn of_silence(&self) -> String {
        let (certificate, key) = ((self.key)("certificate"), (self.key)("key"));
        match self.tls.certificate() {
            Some(_) => format!(
                "it hung up behind the TLS handshake; it asks for a certificate, and may refuse the \
                 certificate in {certificate}"
            ),
            None => format!(
                "it hung up behind the TLS handshake, in which it asks for a certificate: set {certificate} \
                 and {key}"
            ),
        }
    }

    /// What the upstream has against the certificate that it was shown, or against there being none; if
    /// that is what the alert is about.
    fn of_certificate_of_lubdub(&self, alert: AlertDescription) -> Option<String> {
        let certificate = (self.key)("certificate");
        let what = match alert {
            AlertDescription::CertificateExpired => "which has expired, it says",
            AlertDescription::CertificateRevoked => "which has been revoked, it says",
            AlertDescription::UnknownCA => "whose issuer it does not trust",
            AlertDescription::UnsupportedCertificate => "which is not for clients, it says",
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired => "and does not say why",
            _ => return None,
        };
        let key = (self.key)("key");
        Some(match self.tls.certificate() {
            Some(_) => format!("it refuses the certificate in {certificate}, {what} ({alert:?})"),
            None => format!("it asks for a certificate: set {certificate} and {key} ({alert:?})"),
        })
    }
}

/// What an upstream that is too old speaks.
const OLD: &str = "it speaks neither TLS 1.3 nor TLS 1.2";

/// The names in a certificate, which the verifier gives as `DnsName("...")` and
/// `IpAddress(...)`; `None` if there are none.
fn names(presented: &[String]) -> Option<String> {
    let mut names = String::new();
    for name in presented.iter().take(TOLD) {
        let kindless = name
            .strip_prefix("DnsName(\"")
            .and_then(|name| name.strip_suffix("\")"))
            .or_else(|| name.strip_prefix("IpAddress(")?.strip_suffix(')'));
        let separator = if names.is_empty() { "" } else { ", " };
        let _ = write!(names, "{separator}{}", kindless.unwrap_or(name));
    }
    if let Some(more @ 1..) = presented.len().checked_sub(TOLD) {
        let _ = write!(names, " and {more} more");
    }
    // They are the server's words, and for a terminal.
    let told = names.replace(char::is_control, " ");
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(presented: &[&str]) -> Option<String> {
        let presented: Vec<_> = presented.iter().copied().map(str::to_owned).collect();
        names(&presented)
    }

    #[test]
    fn names_are_listed_without_their_kind_and_fit_for_a_terminal() {
        assert_eq!(
            listed(&[
                "DnsName(\"a.example\")",
                "IpAddress(10.0.0.1)",
                "DirectoryName"
            ]),
            Some("a.example, 10.0.0.1, DirectoryName".to_owned())
        );
        let told = listed(&["DnsName(\"\u{1b}[31m\")"]);
        assert_eq!(told.as_deref(), Some(" [31m"));
        assert_eq!(listed(&[]), None);
    }

    #[test]
    fn of_many_names_the_first_are_told() {
        let told = listed(&["a", "b", "c", "d", "e"]);
        assert_eq!(told.as_deref(), Some("a, b, c and 2 more"));
        let told = listed(&["a", "b", "c"]);
        assert_eq!(told.as_deref(), Some("a, b, c"));
    }
}
