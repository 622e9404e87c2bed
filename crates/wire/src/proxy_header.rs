//! The PROXY protocol, versions 1 and 2: what somebody who relays a connection says in front of it about
//! who is behind. ("The PROXY protocol", doc/proxy-protocol.txt of HAProxy.)
//!
//! Bytes in, a header out; who may say such a thing is for others to decide. What a header takes is bounded
//! whatever it announces: one of version 1 has 107 bytes at most, and of a longer one of version 2 than
//! [`KEPT`](ProxyHeader::KEPT) only so much is looked at.

mod extras;
mod v1;
mod v2;

use std::error;
use std::fmt;
use std::net::SocketAddr;

pub use extras::{Extras, TlsFacts};

/// What a PROXY header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyHeader<'a> {
    /// For whom the connection was made.
    pub relayed: Relayed,
    /// What is said beyond that; nothing in version 1.
    pub extras: Extras<'a>,
}

/// For whom a connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relayed {
    /// For nobody: the sender itself connects, mostly to see whether the receiver is well (`LOCAL`).
    Local,
    /// For somebody of whom no address is told (`UNKNOWN`, `UNSPEC`, or a kind that does not fit a stream).
    Unknown,
    /// For somebody with an IP address.
    Ip {
        /// Who that is.
        source: SocketAddr,
        /// Where they connected to.
        destination: SocketAddr,
    },
    /// For somebody who came by a unix socket.
    Unix,
}

/// The version of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// More are needed: so far they are those of a header.
    Undecided,
    /// A header of this version, whole or not, well-formed or not: nothing else begins like this.
    Header(ProxyVersion),
    /// Something else.
    Other,
}

/// How far the bytes of a header go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// It can become a header: so many bytes at least are missing.
    Incomplete {
        /// Never 0.
        missing: usize,
    },
    /// A header.
    Whole {
        /// What it says.
        header: ProxyHeader<'a>,
        /// How long it is. May be more than the bytes that were given: the rest is to be skipped.
        length: usize,
    },
}

/// Why bytes are no PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAProxyHeader {
    /// They begin with something else.
    Other,
    /// A line of version 1 does not come to its end.
    Endless,
    /// A line of version 1 that says nothing that is known.
    Unreadable,
    /// Another version than 1 and 2, or an unknown command.
    Command(u8),
    /// An unknown kind of address.
    Family(u8),
    /// It is shorter than the addresses that it says to have.
    Short,
    /// A field behind the addresses is longer than what is there.
    Overrun,
}

// === impl ProxyHeader ===

impl<'a> ProxyHeader<'a> {
    /// The longest of version 1, its CRLF included.
    pub const V1_MAX: usize = 107;
    /// So much of one of version 2 is looked at: the longest addresses, and a screenful of fields.
    pub const KEPT: usize = 2048;
    /// With so many bytes it is decided whether they begin a header.
    pub const DECIDED: usize = v2::SIGNATURE.len();

    /// Reads the header that `bytes` begin with. What is behind it is not looked at.
    ///
    /// # Errors
    /// If they do not, and whatever comes behind them cannot change that.
    pub fn decode(bytes: &'a [u8]) -> Result<Decoded<'a>, NotAProxyHeader> {
        match Beginning::of(bytes) {
            Beginning::Undecided => Ok(Decoded::Incomplete { missing: 1 }),
            Beginning::Header(ProxyVersion::V1) => v1::decode(bytes),
            Beginning::Header(ProxyVersion::V2) => v2::decode(bytes),
            Beginning::Other => Err(NotAProxyHeader::Other),
        }
    }
}

// === impl Relayed ===

impl Relayed {
    /// For a client at `source` who connected to `destination`, as far as that can be said: one of IPv4
    /// and the other of IPv6 cannot.
    #[must_use]
    pub fn between(source: SocketAddr, destination: SocketAddr) -> Self {
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (source, destination) = (canonical(source), canonical(destination));
        if source.is_ipv4() == destination.is_ipv4() {
            Self::Ip {
                source,
                destination,
            }
        } else {
            Self::Unknown
        }
    }

    /// The header that says so. Of a unix socket no path is known, so nothing can be said of it.
    #[must_use]
    pub fn to_header(self, version: ProxyVersion) -> Vec<u8> {
        let said = match self {
            Self::Ip {
                source,
                destination,
            } => Self::between(source, destination),
            Self::Local | Self::Unknown | Self::Unix => self,
        };
        match version {
            ProxyVersion::V1 => v1::encode(said),
            ProxyVersion::V2 => v2::encode(said),
        }
    }
}

// === impl Beginning ===

impl Beginning {
    /// What `bytes` begin.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        for (signature, version) in [
            (v1::SIGNATURE, ProxyVersion::V1),
            (v2::SIGNATURE, ProxyVersion::V2),
        ] {
            if bytes.starts_with(signature) {
                return Self::Header(version);
            }
            if signature.starts_with(bytes) {
                return Self::Undecided;
            }
        }
        Self::Other
    }
}

// === impl NotAProxyHeader ===

impl fmt::Display for NotAProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("no PROXY header"),
            Self::Endless => {
                let most = ProxyHeader::V1_MAX;
                write!(
                    f,
                    "a PROXY header of version 1 without an end in {most} bytes"
                )
            }
            Self::Unreadable => f.write_str("a PROXY header of version 1 that cannot be read"),
            Self::Command(byte) => {
                write!(
                    f,
                    "a PROXY header of an unknown version or command ({byte:#04x})"
                )
            }
            Self::Family(byte) => {
                write!(
                    f,
                    "a PROXY header with an unknown kind of address ({byte:#04x})"
                )
            }
            Self::Short => f.write_str("a PROXY header that is too short for its addresses"),
            Self::Overrun => f.write_str("a PROXY header with a field that is longer than itself"),
        }
    }
}

impl error::Error for NotAProxyHeader {}

#[cfg(test)]
mod tests;
