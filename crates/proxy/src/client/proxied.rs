//! What a PROXY header has said of a connection.

use std::fmt::Write as _;
use std::net::SocketAddr;

use lubdub_wire::{Extras, ProxyHeader, Relayed};

use crate::address::Peer;

/// What a PROXY header has said of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proxied {
    /// For whom it was made; `None` if it was made for nobody, or for somebody of whom nothing is known.
    pub(crate) source: Option<Peer>,
    /// It was made for somebody of whom nothing is known. What comes over it is that one's word, and not
    /// the word of who has relayed it.
    pub(crate) is_anonymous: bool,
    /// Where the client connected to.
    pub(crate) destination: Option<SocketAddr>,
    /// The client did so with TLS.
    pub(crate) is_tls: bool,
    /// The rest, as the log tells it.
    pub(crate) told: Option<Box<str>>,
}

/// So many bytes of a value are told.
const MOST: usize = 128;
/// Stands for what was cut off.
const CUT: &str = "...";

// === impl Proxied ===

impl From<ProxyHeader<'_>> for Proxied {
    fn from(ProxyHeader { relayed, extras }: ProxyHeader<'_>) -> Self {
        let (source, destination) = match relayed {
            Relayed::Local | Relayed::Unknown => (None, None),
            Relayed::Unix => (Some(Peer::Unix), None),
            Relayed::Ip {
                source,
                destination,
            } => (Some(Peer::from(source)), Some(destination)),
        };
        Self {
            source,
            is_anonymous: relayed == Relayed::Unknown,
            destination,
            is_tls: extras.tls.is_some_and(|tls| tls.is_used),
            told: tell(&extras),
        }
    }
}

/// Names and values; nothing in a value can be taken for a name, or for the end of the value.
fn tell(extras: &Extras<'_>) -> Option<Box<str>> {
    let tls = extras.tls.unwrap_or_default();
    // A name is worth something if whoever has it was asked for proof.
    let common_name = tls.common_name.filter(|_| tls.is_verified);
    let all = [
        ("authority", extras.authority),
        ("alpn", extras.alpn),
        ("tls", tls.version),
        ("cn", common_name),
        ("unique_id", extras.unique_id),
    ];
    let mut told = String::new();
    for (name, value) in all {
        let Some(value) = value else {
            continue;
        };
        let separator = if told.is_empty() { "" } else { " " };
        // It cannot fail: a String takes whatever is written to it.
        let _ = write!(told, "{separator}{name}=");
        for &byte in value.iter().take(MOST) {
            let _ = match byte {
                b'%' | b'"' | b'\\' => write!(told, "%{byte:02X}"),
                _ if byte.is_ascii_graphic() => write!(told, "{}", char::from(byte)),
                _ => write!(told, "%{byte:02X}"),
            };
        }
        if value.len() > MOST {
            told.push_str(CUT);
        }
    }
    (!told.is_empty()).then(|| told.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use lubdub_wire::TlsFacts;

    use super::*;

    fn told(extras: Extras<'_>) -> String {
        tell(&extras).unwrap_or_default().into()
    }

    #[test]
    fn what_is_said_beside_the_addresses_is_told() {
        let tls = TlsFacts {
            is_used: true,
            is_verified: true,
            version: Some(b"TLSv1.3"),
            common_name: Some(b"joe"),
        };
        let extras = Extras {
            authority: Some(b"chat.example"),
            alpn: Some(b"h2"),
            unique_id: Some(b"id-1"),
            tls: Some(tls),
        };
        assert_eq!(
            told(extras),
            "authority=chat.example alpn=h2 tls=TLSv1.3 cn=joe unique_id=id-1"
        );
        // Anybody can write a name into a certificate.
        let stranger = TlsFacts {
            is_verified: false,
            ..tls
        };
        let extras = Extras {
            tls: Some(stranger),
            ..Extras::default()
        };
        assert_eq!(told(extras), "tls=TLSv1.3");
        assert_eq!(told(Extras::default()), "");
    }

    #[test]
    fn strangers_bytes_stay_a_value() {
        let extras = Extras {
            authority: Some(b"a tls=x\n\"\\\xff%"),
            unique_id: Some(&[b'i'; 129]),
            ..Extras::default()
        };
        let long = "i".repeat(128);
        assert_eq!(
            told(extras),
            format!("authority=a%20tls=x%0A%22%5C%FF%25 unique_id={long}...")
        );
    }
}
