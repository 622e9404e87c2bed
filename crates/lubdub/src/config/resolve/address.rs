//! The addresses that lubdub listens on: which cannot all be bound, and who else leads to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;

use lubdub_proxy::Address;

use super::super::error::Mistakes;
use super::super::file;
use super::super::leaf::Leaf;
use super::super::raw::Raw;
use super::super::read;

/// Every address that lubdub listens on, the admin's and the hand-over's last, as far as they can be read.
pub(super) struct Addresses<'a>(Vec<Listening<'a>>);

/// An address that lubdub listens on.
struct Listening<'a> {
    address: Address,
    leaf: &'a Leaf,
    /// What it is to somebody who reaches it by way of an upstream.
    role: Role,
}

/// What is at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A listener for clients.
    Listener,
    /// The listener for operators.
    Admin,
    /// Where the next process asks to take over.
    Handover,
}

// === impl Addresses ===

impl<'a> Addresses<'a> {
    /// The addresses in `raw`.
    pub(super) fn of(raw: &'a Raw) -> Self {
        let listeners = raw
            .listen
            .values()
            .map(|set| (&set.address, Role::Listener));
        let all = listeners.chain([(&raw.admin.address, Role::Admin)]);
        let read = all.filter_map(|(leaf, role)| {
            let leaf = leaf.as_ref()?;
            let address = read::address(&leaf.value).ok()?;
            Some(Listening {
                address,
                leaf,
                role,
            })
        });
        let handover = raw.handover.socket.as_ref().and_then(|leaf| {
            let path = file::socket(leaf).ok()?;
            let address = Address::unix(&std::path::absolute(path).ok()?).ok()?;
            Some(Listening {
                address,
                leaf,
                role: Role::Handover,
            })
        });
        Self(read.chain(handover).collect())
    }

    /// Notes those that the kernel would not give out beside each other.
    pub(super) fn refuse_overlaps(&self, mistakes: &mut Mistakes) {
        for (n, second) in self.0.iter().enumerate() {
            for first in &self.0[..n] {
                let Some(overlap) = Overlap::of(&first.address, &second.address) else {
                    continue;
                };
                let Leaf { key, value, origin } = first.leaf;
                let wrong = match overlap {
                    Overlap::Same => format!("is also {key} ({origin})"),
                    Overlap::Family => format!(
                        "overlaps with {key} = {value} ({origin}): one of them is every address \
                         with this port"
                    ),
                    Overlap::Both => format!(
                        "overlaps with {key} = {value} ({origin}): [::] takes IPv4 as well, except \
                         beside 0.0.0.0"
                    ),
                };
                mistakes.wrong(second.leaf, wrong);
            }
        }
    }

    /// Whether a socket for `address` must leave IPv4 alone: `[::]` takes both families, unless
    /// there is a socket for all of IPv4 with that port.
    pub(super) fn v6_only(&self, address: &Address) -> bool {
        address.ip().is_some_and(|address| self.is_v6_only(address))
    }

    fn is_v6_only(&self, address: SocketAddr) -> bool {
        let is_twin = |other: IpAddr| other.to_canonical() == Ipv4Addr::UNSPECIFIED;
        address.ip() == Ipv6Addr::UNSPECIFIED
            && self
                .sockets()
                .any(|(other, _)| is_twin(other.ip()) && shared_port(address, other))
    }

    /// Whether lubdub listens with this port at all, wherever.
    pub(super) fn have_port(&self, port: u16) -> bool {
        port != 0 && self.sockets().any(|(own, _)| own.port() == port)
    }

    /// Who is at `path`, if it is lubdub.
    pub(super) fn at_path(&self, path: &Path) -> Option<(Role, &'a Leaf)> {
        let found = (self.0.iter()).find(|own| own.address.path() == Some(path))?;
        Some((found.role, found.leaf))
    }

    /// Who is at `target`, if it is lubdub.
    pub(super) fn at(&self, target: SocketAddr) -> Option<(Role, &'a Leaf)> {
        let is_reached = |(own, _): &(SocketAddr, _)| {
            shared_port(*own, target) && reaches(target.ip(), own.ip(), self.is_v6_only(*own))
        };
        let (_, found) = self.sockets().find(is_reached)?;
        Some((found.role, found.leaf))
    }

    /// Those with an IP address.
    fn sockets(&self) -> impl Iterator<Item = (SocketAddr, &Listening<'a>)> {
        self.0
            .iter()
            .filter_map(|own| Some((own.address.ip()?, own)))
    }
}

/// How two addresses overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overlap {
    /// They are one.
    Same,
    /// One is all of a family, and the other is of it.
    Family,
    /// One is `[::]` and takes IPv4 as well.
    Both,
}

impl Overlap {
    fn of(a: &Address, b: &Address) -> Option<Self> {
        match (a, b) {
            (Address::Ip(a), Address::Ip(b)) => Self::of_ip(*a, *b),
            (a, b) => (a == b).then_some(Self::Same),
        }
    }

    fn of_ip(a: SocketAddr, b: SocketAddr) -> Option<Self> {
        if !shared_port(a, b) {
            return None;
        }
        let (a_ip, b_ip) = (a.ip().to_canonical(), b.ip().to_canonical());
        if a_ip == b_ip {
            // A link-local address is one for each link.
            return (scope(a) == scope(b)).then_some(Self::Same);
        }
        let is_any = |ip: IpAddr| ip.is_unspecified();
        if a_ip.is_ipv4() == b_ip.is_ipv4() {
            return (is_any(a_ip) || is_any(b_ip)).then_some(Self::Family);
        }
        let (v4, v6) = if a_ip.is_ipv4() {
            (a_ip, b_ip)
        } else {
            (b_ip, a_ip)
        };
        (is_any(v6) && !is_any(v4)).then_some(Self::Both)
    }
}

/// Port 0 is another port every time.
fn shared_port(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.port() != 0
}

fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

/// Whether who connects to `target` comes to a socket that listens on `own`.
fn reaches(target: IpAddr, own: IpAddr, v6_only: bool) -> bool {
    // Linux takes the unspecified address for loopback.
    let target = target.to_canonical();
    let target = match (target, target.is_unspecified()) {
        (IpAddr::V4(_), true) => Ipv4Addr::LOCALHOST.into(),
        (IpAddr::V6(_), true) => Ipv6Addr::LOCALHOST.into(),
        (target, false) => target,
    };
    let own = own.to_canonical();
    if !own.is_unspecified() {
        return own == target;
    }
    let takes_family = own.is_ipv4() == target.is_ipv4() || (own.is_ipv6() && !v6_only);
    takes_family && is_local(target)
}

/// Whether `address` is one of this machine's.
fn is_local(address: IpAddr) -> bool {
    if address.is_loopback() {
        return true;
    }
    let binds = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    // Addresses for documentation (RFC 5737, RFC 3849) are nobody's. Where even they can be bound
    // (net.ipv4.ip_nonlocal_bind), it is asked by which address the other would be reached.
    let nobodys: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    if !binds(nobodys) {
        return binds(address);
    }
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Nothing is sent: connecting a datagram socket only looks up the route.
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_if_the_kernel_would_refuse_the_second() {
        let overlap = |a: &str, b: &str| {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            let overlap = Overlap::of(&a, &b);
            assert_eq!(Overlap::of(&b, &a), overlap, "{a} {b}");
            overlap
        };
        assert_eq!(overlap("127.0.0.1:1", "127.0.0.1:1"), Some(Overlap::Same));
        assert_eq!(
            overlap("127.0.0.1:1", "[::ffff:127.0.0.1]:1"),
            Some(Overlap::Same)
        );
        assert_eq!(overlap("0.0.0.0:1", "127.0.0.1:1"), Some(Overlap::Family));
        assert_eq!(overlap("[::]:1", "[::1]:1"), Some(Overlap::Family));
        assert_eq!(overlap("[::]:1", "127.0.0.1:1"), Some(Overlap::Both));
        assert_eq!(
            overlap("[::]:1", "[::ffff:10.0.0.1]:1"),
            Some(Overlap::Both)
        );
        for (a, b) in [
            ("0.0.0.0:1", "[::]:1"),
            ("0.0.0.0:1", "[::1]:1"),
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("127.0.0.1:1", "[::1]:1"),
            ("0.0.0.0:1", "0.0.0.0:2"),
            ("0.0.0.0:0", "0.0.0.0:0"),
            ("[fe80::1%1]:1", "[fe80::1%2]:1"),
        ] {
            assert_eq!(overlap(a, b), None, "{a} {b}");
        }
    }

    #[test]
    fn a_listener_is_reached_by_its_address_and_all_of_them_by_every_one_of_the_machine() {
        let reaches = |target: &str, own: &str, v6_only| {
            reaches(target.parse().unwrap(), own.parse().unwrap(), v6_only)
        };
        assert!(reaches("127.0.0.1", "127.0.0.1", false));
        assert!(reaches("127.0.0.1", "0.0.0.0", false));
        assert!(reaches("127.9.9.9", "0.0.0.0", false));
        assert!(reaches("0.0.0.0", "127.0.0.1", false));
        assert!(reaches("::", "::1", false));
        assert!(reaches("::1", "::", true));
        assert!(reaches("127.0.0.1", "::", false));
        assert!(reaches("::ffff:127.0.0.1", "127.0.0.1", false));
        assert!(!reaches("127.0.0.1", "::", true));
        assert!(!reaches("127.0.0.2", "127.0.0.1", false));
        assert!(!reaches("::1", "0.0.0.0", false));
        assert!(!reaches("192.0.2.1", "0.0.0.0", false));
        assert!(!reaches("2001:db8::1", "::", false));
    }
}
