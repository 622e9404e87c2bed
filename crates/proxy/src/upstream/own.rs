//! The addresses at which this process itself listens. A connection of lubdub's to one of them comes
//! back to it, and takes descriptors until there are none.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{PoisonError, RwLock};

use crate::starvation::is_starvation;

/// Where this process listens.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses(RwLock<Vec<SocketAddr>>);

impl OwnAddresses {
    /// It listens there, too.
    pub(crate) fn add(&self, address: SocketAddr) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        own.push(address);
    }

    /// It listens there no more.
    pub(crate) fn remove(&self, address: SocketAddr) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = own.iter().position(|own| *own == address) {
            own.swap_remove(at);
        }
    }

    /// Whether a connection to `address` would come back.
    pub(super) fn contains(&self, address: SocketAddr) -> bool {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner);
        own.iter().any(|own| is_at(*own, address))
    }
}

/// Whether who listens at `own` is reached at `address`.
fn is_at(own: SocketAddr, address: SocketAddr) -> bool {
    if own.port() != address.port() {
        return false;
    }
    let (own, ip) = (own.ip().to_canonical(), address.ip().to_canonical());
    if own.is_unspecified() {
        // [::] takes IPv4 as well.
        return (own.is_ipv6() || ip.is_ipv4()) && is_of_this_host(ip);
    }
    own == ip || (ip.is_unspecified() && own.is_loopback())
}

/// Whether this host has the address: then it can be bound. Who cannot ask, for want of a descriptor, say,
/// has to take it for granted.
fn is_of_this_host(ip: IpAddr) -> bool {
    ip.is_unspecified()
        || ip.is_loopback()
        || match UdpSocket::bind((ip, 0)) {
            Ok(_) => true,
            Err(error) => is_starvation(&error),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_lubdubs_own_however_it_is_written() {
        for (own, address, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8081", false),
            ("127.0.0.1:8080", "127.0.0.2:8080", false),
            ("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", true),
            ("127.0.0.1:8080", "0.0.0.0:8080", true),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("0.0.0.0:8080", "127.9.9.9:8080", true),
            ("0.0.0.0:8080", "[::1]:8080", false),
            ("[::]:8080", "[::1]:8080", true),
            ("[::]:8080", "127.0.0.1:8080", true),
            // TEST-NET-1 of RFC 5737 is nobody's.
            ("0.0.0.0:8080", "192.0.2.1:8080", false),
            ("[::]:8080", "192.0.2.1:8080", false),
        ] {
            let all = OwnAddresses::default();
            all.add(own.parse().unwrap());
            assert_eq!(
                all.contains(address.parse().unwrap()),
                expected,
                "{address} of {own}"
            );
        }
    }
}
