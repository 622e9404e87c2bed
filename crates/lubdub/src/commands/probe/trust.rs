//! Why there is no TLS with a backend, in plain words: most of all what is wrong with its
//! certificate (RFC 5280), and what would be right. lubdub itself judges upstreams just so.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use rustls::{CertificateError, Error};
use rustls_pki_types::UnixTime;

use super::Probe;
use crate::config;

/// Days are exact enough for what is days old.
const DAY: u64 = 24 * 60 * 60;

/// What `error` of a TLS handshake means to whoever runs the backend.
pub(super) fn explain(error: io::Error, probe: &Probe) -> anyhow::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    // The enum is open, and its other variants speak for themselves.
    #[allow(clippy::wildcard_enum_match_arm)]
    let words = match cause {
        Some(Error::InvalidCertificate(wrong)) => certificate(wrong, probe),
        Some(Error::InvalidMessage(_)) => Some(
            "what the server sent is no TLS; does it speak ws:// instead of wss:// there?"
                .to_owned(),
        ),
        Some(_) => None,
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Some("the server hung up during the TLS handshake".to_owned())
        }
        None => None,
    };
    words.map_or_else(|| error.into(), anyhow::Error::msg)
}

/// What is wrong with a certificate; `None` if the library's words have to do.
// The enum is open, and all but the common cases are left to the library.
#[allow(clippy::wildcard_enum_match_arm)]
fn certificate(wrong: &CertificateError, probe: &Probe) -> Option<String> {
    let host = probe.target.certificate_name().unwrap_or_default();
    let file = probe.ca.as_ref().map(|path| path.display());
    let words = match wrong {
        CertificateError::ExpiredContext { time, not_after } => {
            format!("its certificate expired {} ago", between(*not_after, *time))
        }
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is valid only {} from now; is the clock of this machine right?",
            between(*time, *not_before)
        ),
        CertificateError::UnknownIssuer => match file {
            Some(file) => format!(
                "its certificate is not signed by an authority in {file} (unknown issuer); or the \
                 server does not send the certificates in between"
            ),
            None => "its certificate is not signed by an authority that this machine trusts \
                     (unknown issuer); --ca names another, as upstream.NAME.ca does"
                .to_owned(),
        },
        CertificateError::BadSignature => format!(
            "its certificate is signed by another authority of the same name than the one in {} \
             (bad signature)",
            file.map_or_else(
                || "the platform's store".to_owned(),
                |file| file.to_string()
            )
        ),
        CertificateError::NotValidForNameContext { presented, .. } => match names(presented) {
            Some(names) => format!("its certificate is for {names}, not for {host}"),
            None => format!(
                "its certificate is not for {host}: it has no name in its subjectAltName (a common \
                 name does not count)"
            ),
        },
        CertificateError::NotValidForName => format!("its certificate is not for {host}"),
        CertificateError::Revoked => "its certificate has been revoked".to_owned(),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "its certificate is not for servers (extendedKeyUsage has no serverAuth)".to_owned()
        }
        // The verifier's own error, which is only to be had as its name.
        CertificateError::Other(other) => match &*other.to_string() {
            "CaUsedAsEndEntity" => "its certificate is that of a certificate authority \
                                    (basicConstraints CA:TRUE, as `openssl req -x509` makes it), \
                                    which no server may use as its own: make one with -addext \
                                    basicConstraints=critical,CA:FALSE, or have that authority \
                                    sign one for the server"
                .to_owned(),
            "UnsupportedCertVersion" => "its certificate is of version 1 (`openssl x509 -req` \
                                         without extensions makes such): make one of version 3, \
                                         with the host in its subjectAltName"
                .to_owned(),
            _ => return None,
        },
        _ => return None,
    };
    Some(words)
}

/// From one moment to another.
fn between(earlier: UnixTime, later: UnixTime) -> String {
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    let rounded = if seconds < DAY {
        seconds
    } else {
        seconds - seconds % DAY
    };
    config::written(Duration::from_secs(rounded))
}

/// The names in a certificate, which the verifier gives as `DnsName("...")` and
/// `IpAddress(...)`; `None` if there are none.
fn names(presented: &[String]) -> Option<String> {
    let mut names = String::new();
    for name in presented {
        let kindless = name
            .strip_prefix("DnsName(\"")
            .and_then(|name| name.strip_suffix("\")"))
            .or_else(|| name.strip_prefix("IpAddress(")?.strip_suffix(')'));
        let separator = if names.is_empty() { "" } else { ", " };
        let _ = write!(names, "{separator}{}", kindless.unwrap_or(name));
    }
    // They are the server's words, and for a terminal.
    let shown = names.replace(char::is_control, " ");
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_without_their_kind_and_fit_for_a_terminal() {
        let listed = |presented: &[&str]| {
            let presented: Vec<_> = presented.iter().copied().map(str::to_owned).collect();
            names(&presented)
        };
        assert_eq!(
            listed(&[
                "DnsName(\"a.example\")",
                "IpAddress(10.0.0.1)",
                "DirectoryName"
            ]),
            Some("a.example, 10.0.0.1, DirectoryName".to_owned())
        );
        let shown = listed(&["DnsName(\"\u{1b}[31m\")"]);
        assert_eq!(shown.as_deref(), Some(" [31m"));
        assert_eq!(listed(&[]), None);
    }

    #[test]
    fn days_are_told_in_days() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(between(at(0), at(3 * DAY + 7)), "3d");
        assert_eq!(between(at(0), at(DAY - 1)), "23h59m59s");
        assert_eq!(between(at(5), at(0)), "0s");
    }
}
