//! Where a socket is, and where a connection comes from: at an IP address and a port, or at a path of the
//! file system (unix(7)).
//!
//! Abstract names ("@name") are no addresses here: they have neither an owner nor a mode, so that every
//! user of the machine could connect, or be there first.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a socket is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket at this path; see [`unix`](Self::unix) for what can be one. Shared by all who name it.
    Unix(Arc<Path>),
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket: who connects to one has no address.
    Unix,
}

/// Why something is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnAddress {
    /// Neither an IP address with its port nor `unix:` and a path.
    #[error(
        "must be an IP address and a port, such as \"127.0.0.1:8080\", or \"unix:\" and a path"
    )]
    Neither,
    /// An abstract name.
    #[error("is an abstract name, which every user of this machine could connect to; give a path")]
    Abstract,
    /// Not from the root.
    #[error("must be a path from the root, such as \"unix:/run/lubdub/in.sock\"")]
    Relative,
    /// A directory can never be a socket.
    #[error("must be the path of a socket, and this names a directory")]
    Directory,
    /// A NUL in it.
    #[error("has a NUL in it, which no path can have")]
    Nul,
    /// It does not fit into `sockaddr_un`.
    #[error("is {0} bytes long, and a socket's path has {max} at most", max = Address::UNIX_MAX)]
    TooLong(usize),
}

/// Shows an address as the standard library does. One of IPv4 in a tenth of the instructions: three of them are in the
/// line of every pair that ends.
pub(crate) fn show(address: &SocketAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let address = match address {
        SocketAddr::V4(address) if f.width().is_none() => address,
        address @ (SocketAddr::V4(_) | SocketAddr::V6(_)) => return fmt::Display::fmt(address, f),
    };
    let mut number = itoa::Buffer::new();
    for (place, octet) in address.ip().octets().into_iter().enumerate() {
        if place > 0 {
            f.write_str(".")?;
        }
        f.write_str(number.format(octet))?;
    }
    f.write_str(":")?;
    f.write_str(number.format(address.port()))
}

/// What a Unix socket's address begins with.
const UNIX: &str = "unix:";
/// What stands for a peer without an address.
const NOBODY: &str = "unix";

// === impl Address ===

impl Address {
    /// The longest path of a Unix socket, in bytes: `sun_path` has 108, the last of them a NUL.
    pub const UNIX_MAX: usize = 107;

    /// A Unix socket at `path`, which is written in one way only: without empty parts and `.`.
    ///
    /// # Errors
    /// If no socket can be there.
    pub fn unix(path: &Path) -> Result<Self, NotAnAddress> {
        let bytes = path.as_os_str().as_bytes();
        if bytes.contains(&0) {
            return Err(NotAnAddress::Nul);
        }
        if bytes.starts_with(b"@") {
            return Err(NotAnAddress::Abstract);
        }
        if path.is_relative() {
            return Err(NotAnAddress::Relative);
        }
        let is_directory = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
        if is_directory || path.file_name().is_none() {
            return Err(NotAnAddress::Directory);
        }
        let path: PathBuf = path.components().collect();
        match path.as_os_str().len() {
            length if length > Self::UNIX_MAX => Err(NotAnAddress::TooLong(length)),
            _ => Ok(Self::Unix(path.into())),
        }
    }

    /// The IP address and the port, if it has them.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path, if it has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Ip(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Whether it is the kernel that chooses the port.
    #[must_use]
    pub fn is_kernels_choice(&self) -> bool {
        self.ip().is_some_and(|address| address.port() == 0)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => show(address, f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.strip_prefix(UNIX) {
            Some(path) => Self::unix(Path::new(path)),
            None => text.parse().map(Self::Ip).or(Err(NotAnAddress::Neither)),
        }
    }
}

// === impl Peer ===

impl Peer {
    /// The IP address, if it has one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }

    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.ip().is_none_or(|ip| ip.to_canonical().is_loopback())
    }
}

impl From<SocketAddr> for Peer {
    /// One of IPv4 is one however the socket tells it: a client has one address.
    fn from(address: SocketAddr) -> Self {
        Self::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => show(address, f),
            Self::Unix => f.write_str(NOBODY),
        }
    }
}

impl FromStr for Peer {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text {
            NOBODY => Ok(Self::Unix),
            text => text.parse().map(Self::Ip).or(Err(NotAnAddress::Neither)),
        }
    }
}

// === As data ===

/// As other processes read and write it: an IP address looks as it did when there was nothing else, and a
/// path may be any bytes.
#[derive(Serialize, Deserialize)]
enum Written {
    V4(std::net::SocketAddrV4),
    V6(std::net::SocketAddrV6),
    Unix(serde_bytes::ByteBuf),
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Ip(SocketAddr::V4(address)) => Written::V4(*address),
            Self::Ip(SocketAddr::V6(address)) => Written::V6(*address),
            Self::Unix(path) => Written::Unix(path.as_os_str().as_bytes().to_vec().into()),
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(deserializer)? {
            Written::V4(address) => Self::Ip(address.into()),
            Written::V6(address) => Self::Ip(address.into()),
            Written::Unix(path) => {
                let path = OsString::from_vec(path.into_vec());
                Self::unix(Path::new(&path)).map_err(serde::de::Error::custom)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "[fe80::1%3]:80",
            "unix:/run/x.sock",
            "unix:/run/with space.sock",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in ["127.0.0.1:80", "[::1]:80", "unix"] {
            let peer: Peer = text.parse().unwrap();
            assert_eq!(peer.to_string(), text);
        }
    }

    #[test]
    fn a_client_of_ipv4_has_one_address() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
        assert_eq!(Peer::from(mapped).to_string(), "192.0.2.1:80");
        let own: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        assert_eq!(Peer::from(own), Peer::Ip(own));
    }

    #[test]
    fn a_path_is_written_in_one_way() {
        let path: Address = "unix:/run/x.sock".parse().unwrap();
        for text in ["unix:///run/x.sock", "unix:/run//./x.sock"] {
            assert_eq!(text.parse::<Address>().unwrap(), path, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        let longest = format!("unix:/{}", "x".repeat(106));
        assert!(longest.parse::<Address>().is_ok());
        for (text, wrong) in [
            ("", NotAnAddress::Neither),
            ("127.0.0.1", NotAnAddress::Neither),
            ("localhost:80", NotAnAddress::Neither),
            ("/run/x.sock", NotAnAddress::Neither),
            ("unix:", NotAnAddress::Relative),
            ("unix:run/x.sock", NotAnAddress::Relative),
            ("unix:./x.sock", NotAnAddress::Relative),
            ("unix:@lubdub", NotAnAddress::Abstract),
            ("unix:\0lubdub", NotAnAddress::Nul),
            ("unix:/run/x\0", NotAnAddress::Nul),
            ("unix:/", NotAnAddress::Directory),
            ("unix:/run/", NotAnAddress::Directory),
            ("unix:/run/.", NotAnAddress::Directory),
            ("unix:/run/..", NotAnAddress::Directory),
            (&format!("{longest}x"), NotAnAddress::TooLong(108)),
        ] {
            assert_eq!(text.parse::<Address>(), Err(wrong), "{text}");
        }
        for text in ["", "unix:/run/x.sock", "127.0.0.1"] {
            assert_eq!(text.parse::<Peer>(), Err(NotAnAddress::Neither), "{text}");
        }
    }

    /// Each pair has one of each.
    #[test]
    fn neither_is_larger_than_an_ip_address_and_a_port() {
        assert_eq!(size_of::<Address>(), size_of::<SocketAddr>());
        assert_eq!(size_of::<Peer>(), size_of::<SocketAddr>());
    }

    /// Another release may read it.
    #[test]
    fn an_ip_address_is_written_as_it_was_when_there_was_nothing_else() {
        for text in ["127.0.0.1:80", "[2001:db8::1]:80"] {
            let ip: SocketAddr = text.parse().unwrap();
            let bytes = rmp_serde::to_vec_named(&Address::Ip(ip)).unwrap();
            assert_eq!(bytes, rmp_serde::to_vec_named(&ip).unwrap());
            assert_eq!(
                rmp_serde::from_slice::<Address>(&bytes).unwrap(),
                Address::Ip(ip)
            );
        }
    }

    #[test]
    fn an_address_is_shown_as_the_standard_library_does_it() {
        for address in ["0.0.0.0:0", "192.0.2.255:65535", "[2001:db8::1]:80"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(Address::from(address).to_string(), address.to_string());
            let padded = format!("{:>30}", Peer::from(address));
            assert_eq!(padded, format!("{address:>30}"));
        }
    }

    #[test]
    fn a_path_goes_along_whatever_its_bytes_are() {
        let path = OsString::from_vec(b"/run/\xff.sock".to_vec());
        let address = Address::unix(Path::new(&path)).unwrap();
        let bytes = rmp_serde::to_vec_named(&address).unwrap();
        assert_eq!(rmp_serde::from_slice::<Address>(&bytes).unwrap(), address);
        let wrong = Written::Unix(b"run".to_vec().into());
        let bytes = rmp_serde::to_vec_named(&wrong).unwrap();
        assert!(rmp_serde::from_slice::<Address>(&bytes).is_err());
    }
}
