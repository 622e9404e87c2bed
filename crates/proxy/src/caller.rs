//! Who is calling: the one notion of a client's true address, for limits, logs, the admin and the upstream.
//!
//! Two may say another address than the connection has: a PROXY header in front of it (`front`), and
//! header fields of the request, where who said them is trusted. What they say is a claim of whoever is
//! nearest, so it is read from the nearest on, and only as far as trust goes.

use std::fmt;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};
use lubdub_wire::forwarded::{self, Node};

use crate::address::{self, Peer};
use crate::settings::{ForwardedStyle, Trust};

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who is calling, and whose the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The other end of the connection.
    pub peer: Peer,
    /// The client's true address: the peer's, unless somebody who is trusted says another.
    pub client: ClientAddress,
}

/// Where a client is, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientAddress {
    /// With its port.
    Socket(SocketAddr),
    /// Without: header fields mostly tell none.
    Ip(IpAddr),
    /// It came by a unix socket, and nobody has said more.
    Unix,
}

/// So many entries are read of the header fields of a request at the most: more proxies than stand in
/// front of anything.
const MOST: usize = 64;

/// What stands for a client without an address.
const NOBODY: &str = "unix";

// === impl Caller ===

impl Caller {
    /// The peer itself.
    #[must_use]
    pub fn peer(peer: Peer) -> Self {
        Self {
            peer,
            client: peer.into(),
        }
    }

    /// The client's true IP address: what limits, `allow` and `deny` go by. `None` if it has none; then
    /// no network has it.
    #[must_use]
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client.ip()
    }

    /// Whether nobody stands between the client and this process that is known of.
    #[must_use]
    pub fn is_peer(&self) -> bool {
        self.client == self.peer.into()
    }
}

// === impl ClientAddress ===

impl ClientAddress {
    /// The rightmost address in the header fields that is not trusted; the first where all are. An entry
    /// that says none ends the search at the one before it. `nearest` has sent the request, and is trusted.
    pub(crate) fn behind(
        nearest: Peer,
        headers: &HeaderMap,
        style: ForwardedStyle,
        trust: &Trust,
    ) -> Self {
        if style == ForwardedStyle::Forwarded {
            let lines = headers.get_all(FORWARDED).iter().rev();
            let nodes = lines.flat_map(|line| forwarded::forwarded(line.as_bytes()));
            Self::of_the_rightmost(nearest, nodes, trust)
        } else {
            let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
            let nodes =
                lines.flat_map(|line: &HeaderValue| forwarded::x_forwarded_for(line.as_bytes()));
            Self::of_the_rightmost(nearest, nodes, trust)
        }
    }

    fn of_the_rightmost(
        nearest: Peer,
        nodes: impl Iterator<Item = Option<Node>>,
        trust: &Trust,
    ) -> Self {
        let mut client = Self::from(nearest);
        for node in nodes.take(MOST) {
            let Some(node) = node else {
                break;
            };
            client = node.into();
            if !trust.has(Some(node.ip)) {
                break;
            }
        }
        client
    }

    /// The IP address, if it has one; one of IPv4 as such.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Socket(address) => Some(address.ip().to_canonical()),
            Self::Ip(ip) => Some(ip.to_canonical()),
            Self::Unix => None,
        }
    }

    /// Address and port, if there is an address; the port is 0 if it is not known.
    #[must_use]
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(address) => Some(*address),
            Self::Ip(ip) => Some(SocketAddr::new(*ip, 0)),
            Self::Unix => None,
        }
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl From<Peer> for ClientAddress {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Ip(address) => Self::Socket(address),
            Peer::Unix => Self::Unix,
        }
    }
}

impl From<Node> for ClientAddress {
    fn from(Node { ip, port }: Node) -> Self {
        port.map_or(Self::Ip(ip), |port| Self::Socket(SocketAddr::new(ip, port)))
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address::show(address, f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Unix => f.write_str(NOBODY),
        }
    }
}

impl FromStr for ClientAddress {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        if text == NOBODY {
            return Ok(Self::Unix);
        }
        let ip = || text.parse().map(Self::Ip);
        text.parse().map(Self::Socket).or_else(|_| ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1:4000";

    /// Whom a request is from that `PROXY` has sent with these lines, where 10.0.0.0/8 and fd00::/8 are
    /// trusted.
    fn client(style: ForwardedStyle, lines: &[(HeaderName, &str)]) -> String {
        let trust = Trust {
            networks: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            unix: false,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let nearest = PROXY.parse().unwrap();
        ClientAddress::behind(nearest, &headers, style, &trust).to_string()
    }

    fn old(lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| (X_FORWARDED_FOR, *line)).collect();
        client(ForwardedStyle::XForwarded, &lines)
    }

    #[test]
    fn the_rightmost_that_is_not_trusted_counts() {
        for (lines, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["203.0.113.9, 10.0.0.7"], "203.0.113.9"),
            (&["203.0.113.9, fd00::7,10.0.0.7"], "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
            // What stands to the left of a stranger is that stranger's word.
            (&["10.6.6.6, 203.0.113.9"], "203.0.113.9"),
            (&["203.0.113.9:5555, 10.0.0.7:80"], "203.0.113.9:5555"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            // Lines are one list, in their order.
            (
                &["6.6.6.6", "203.0.113.9, 10.0.0.8", "10.0.0.7"],
                "203.0.113.9",
            ),
        ] {
            assert_eq!(old(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn where_all_are_trusted_the_first_counts() {
        assert_eq!(old(&["10.0.0.9, 10.0.0.8", "fd00::7"]), "10.0.0.9");
        assert_eq!(old(&[]), PROXY);
        assert_eq!(old(&["", ", ,"]), PROXY);
    }

    #[test]
    fn what_cannot_be_read_ends_at_the_last_trusted_hop() {
        assert_eq!(old(&["unknown"]), PROXY);
        assert_eq!(old(&["203.0.113.9, unknown, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(old(&["203.0.113.9, 10.0.0.8", "x, 10.0.0.7"]), "10.0.0.7");
    }

    #[test]
    fn one_family_is_read() {
        let both = [
            (X_FORWARDED_FOR, "203.0.113.9"),
            (FORWARDED, "for=203.0.113.10;proto=https"),
        ];
        for (style, expected) in [
            (ForwardedStyle::XForwarded, "203.0.113.9"),
            (ForwardedStyle::Both, "203.0.113.9"),
            (ForwardedStyle::Off, "203.0.113.9"),
            (ForwardedStyle::Forwarded, "203.0.113.10"),
        ] {
            assert_eq!(client(style, &both), expected, "{style:?}");
            let is_new = style == ForwardedStyle::Forwarded;
            let other = if is_new { &both[..1] } else { &both[1..] };
            assert_eq!(client(style, other), PROXY, "{style:?}");
        }
    }

    /// Who is in a trusted network can write thousands of addresses of it.
    #[test]
    fn a_list_without_end_is_read_for_so_long() {
        let endless = format!("203.0.113.9{}", ", 10.0.0.2".repeat(5000));
        assert_eq!(old(&[&endless]), "10.0.0.2");
        let many = format!("203.0.113.9{}", ", 10.0.0.2".repeat(MOST - 1));
        assert_eq!(old(&[&many]), "203.0.113.9");
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "203.0.113.9",
            "203.0.113.9:80",
            "2001:db8::1",
            "[2001:db8::1]:80",
            "unix",
        ] {
            assert_eq!(text.parse::<ClientAddress>().unwrap().to_string(), text);
        }
        for text in ["", "localhost", "203.0.113.9:", "[::1]"] {
            assert!(text.parse::<ClientAddress>().is_err(), "{text}");
        }
    }

    /// Each pair has one.
    #[test]
    fn it_is_as_small_as_an_address_with_a_port() {
        assert_eq!(size_of::<ClientAddress>(), size_of::<SocketAddr>());
    }
}
