//! The addresses at which this process itself listens. A connection of lubdub's to one of them comes
//! back to it, and takes descriptors until there are none.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use crate::address::Address;
use crate::starvation::is_starvation;
use crate::unix::FileId;

/// Where this process listens.
#[derive(Debug, Default)]
pub(crate) struct OwnAddresses(RwLock<Vec<Address>>);

impl OwnAddresses {
    /// It listens there, too.
    pub(crate) fn add(&self, address: Address) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        own.push(address);
    }

    /// It listens there no more.
    pub(crate) fn remove(&self, address: &Address) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = own.iter().position(|own| own == address) {
            own.swap_remove(at);
        }
    }

    /// Whether a connection to `address` would come back. An error if there is no descriptor to find out with.
    pub(super) fn contains(&self, address: &Address) -> io::Result<bool> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        for own in &*all {
            if is_at(own, address)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether who listens at `own` is reached at `address`.
fn is_at(own: &Address, address: &Address) -> io::Result<bool> {
    let (own, address) = match (own, address) {
        (Address::Ip(own), Address::Ip(address)) => (own, address),
        (Address::Unix(own), Address::Unix(path)) => {
            return Ok(own == path || is_one_file(own, path));
        }
        (Address::Ip(_), Address::Unix(_)) | (Address::Unix(_), Address::Ip(_)) => {
            return Ok(false);
        }
    };
    if own.port() != address.port() {
        return Ok(false);
    }
    let (own, ip) = (own.ip().to_canonical(), address.ip().to_canonical());
    if own.is_unspecified() {
        // [::] takes IPv4 as well.
        return Ok((own.is_ipv6() || ip.is_ipv4()) && is_of_this_host(ip)?);
    }
    Ok(own == ip || (ip.is_unspecified() && own.is_loopback()))
}

/// Whether both paths lead to one file, by way of a link, say.
fn is_one_file(a: &Path, b: &Path) -> bool {
    let file = |path| FileId::behind(path).ok();
    file(a).is_some_and(|a| file(b) == Some(a))
}

/// Whether this host has the address: then it can be bound.
fn is_of_this_host(ip: IpAddr) -> io::Result<bool> {
    if ip.is_unspecified() || ip.is_loopback() {
        return Ok(true);
    }
    could_be_bound(UdpSocket::bind((ip, 0)))
}

fn could_be_bound(bound: io::Result<UdpSocket>) -> io::Result<bool> {
    match bound {
        Ok(_) => Ok(true),
        Err(error) if is_starvation(&error) => Err(error),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// Without a descriptor to find out with, every address was another host's, and lubdub connected to itself.
    #[test]
    fn who_has_no_descriptor_to_find_out_with_does_not_guess() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(could_be_bound(Err(errno.into())).is_err(), "{errno:?}");
        }
        assert!(!could_be_bound(Err(Errno::ADDRNOTAVAIL.into())).unwrap());
        assert!(could_be_bound(UdpSocket::bind(("127.0.0.1", 0))).unwrap());
    }

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
                all.contains(&address.parse().unwrap()).unwrap(),
                expected,
                "{address} of {own}"
            );
        }
    }
}
