//! Addresses in half of the room that they take by themselves, where they are of IPv4: every pair keeps two.

use std::net::{SocketAddr, SocketAddrV4};

use crate::address::Address;
use crate::caller::ClientAddress;

/// An address.
#[derive(Debug)]
pub(super) enum Packed<T> {
    V4(SocketAddrV4),
    Other(Box<T>),
}

// === impl Packed ===

impl<T: Clone + From<SocketAddr>> Packed<T> {
    fn of(address: T, socket: Option<SocketAddr>) -> Self {
        match socket {
            Some(SocketAddr::V4(socket)) => Self::V4(socket),
            Some(SocketAddr::V6(_)) | None => Self::Other(Box::new(address)),
        }
    }

    pub(super) fn get(&self) -> T {
        match self {
            Self::V4(socket) => SocketAddr::V4(*socket).into(),
            Self::Other(address) => T::clone(address),
        }
    }
}

impl From<Address> for Packed<Address> {
    fn from(address: Address) -> Self {
        let socket = address.ip();
        Self::of(address, socket)
    }
}

impl From<ClientAddress> for Packed<ClientAddress> {
    fn from(address: ClientAddress) -> Self {
        let socket = match address {
            ClientAddress::Socket(socket) => Some(socket),
            ClientAddress::Ip(_) | ClientAddress::Unix => None,
        };
        Self::of(address, socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        assert_eq!(size_of::<Packed<Address>>(), 16);
        for address in ["192.0.2.1:80", "[2001:db8::1]:80", "unix:/run/a.sock"] {
            let address: Address = address.parse().unwrap();
            assert_eq!(Packed::from(address.clone()).get(), address);
        }
        for client in ["192.0.2.1:80", "192.0.2.1", "[2001:db8::1]:80", "unix"] {
            let client: ClientAddress = client.parse().unwrap();
            assert_eq!(Packed::from(client).get(), client);
        }
    }
}
