//! Where the load goes: a URL, the addresses that it comes from, and how TLS is trusted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;

use anyhow::Context;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use socket2::{Domain, Protocol, Socket, Type};

use crate::handshake::Opening;
use crate::transport::Transport;

/// Where every connection of a run goes.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    opening: Opening,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    sources: u32,
}

// === impl Target ===

impl Target {
    /// The target of a `ws://` or `wss://` URL. Connections come from as many loopback addresses
    /// as `sources` says, in turn; 0 leaves the choice to the kernel.
    pub(crate) fn new(
        url: &str,
        tls: impl FnOnce() -> anyhow::Result<Arc<ClientConfig>>,
        sources: u32,
    ) -> anyhow::Result<Self> {
        let (scheme, rest) = url
            .split_once("://")
            .context("a URL begins with ws:// or wss://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let default_port = match scheme {
            "ws" => 80,
            "wss" => 443,
            other => anyhow::bail!("{other}:// is neither ws:// nor wss://"),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().context("the port is not a number")?)
            }
            _ => (authority, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = (host, port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .with_context(|| format!("{host} has no address"))?;
        anyhow::ensure!(
            sources == 0 || (address.is_ipv4() && address.ip().is_loopback()),
            "only connections to 127.0.0.0/8 can come from many addresses"
        );
        Ok(Self {
            address,
            opening: Opening::new(authority, path),
            tls: match scheme {
                "wss" => Some((tls()?, ServerName::try_from(host.to_owned())?)),
                _ => None,
            },
            sources,
        })
    }

    /// The handshake.
    pub(crate) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Begins to connect, the `number`th time.
    pub(crate) fn connect(&self, number: u64) -> anyhow::Result<Transport> {
        let socket = self
            .begin(number)
            .with_context(|| format!("cannot connect to {}", self.address))?;
        Ok(match &self.tls {
            None => Transport::plain(socket),
            Some((config, name)) => Transport::tls(
                socket,
                ClientConnection::new(Arc::clone(config), name.clone())?.into(),
            ),
        })
    }

    fn begin(&self, number: u64) -> io::Result<TcpStream> {
        let domain = Domain::for_address(self.address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        socket.set_tcp_nodelay(true)?;
        if self.sources > 0 {
            let source = loopback(number % u64::from(self.sources));
            socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
        }
        match socket.connect(&self.address.into()) {
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            result => result?,
        }
        Ok(socket.into())
    }
}

/// One of 65,024 addresses of 127.0.0.0/8, none of which is 127.0.0.1.
fn loopback(number: u64) -> Ipv4Addr {
    let third = (number / 254 % 256) as u8;
    let fourth = (number % 254) as u8 + 1;
    Ipv4Addr::new(127, 1, third, fourth)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn target(url: &str, sources: u32) -> anyhow::Result<Target> {
        Target::new(url, || anyhow::bail!("no TLS here"), sources)
    }

    #[test]
    fn a_url_names_address_host_and_path() {
        let target = target("ws://127.0.0.1:9000/chat?a=b", 0).unwrap();
        assert_eq!(target.address, "127.0.0.1:9000".parse().unwrap());
        let request = String::from_utf8(target.opening.request().to_vec()).unwrap();
        assert!(request.starts_with("GET /chat?a=b HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n"));
    }

    #[test]
    fn a_port_and_a_path_may_be_left_out() {
        let address = |url| target(url, 0).unwrap().address;
        assert_eq!(address("ws://127.0.0.1"), "127.0.0.1:80".parse().unwrap());
        assert_eq!(address("ws://[::1]/"), "[::1]:80".parse().unwrap());
        assert_eq!(address("ws://[::1]:9"), "[::1]:9".parse().unwrap());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(target("127.0.0.1:9000", 0).is_err());
        assert!(target("http://127.0.0.1", 0).is_err());
        assert!(target("wss://127.0.0.1", 0).is_err(), "without a CA");
        assert!(target("ws://[::1]:9", 2).is_err());
        assert!(target("ws://127.0.0.1:x", 0).is_err());
    }

    #[test]
    fn sources_are_all_different_and_none_is_the_usual_one() {
        let all: HashSet<Ipv4Addr> = (0..65_024).map(loopback).collect();
        assert_eq!(all.len(), 65_024);
        assert!(
            all.iter()
                .all(|ip| ip.is_loopback() && *ip != Ipv4Addr::LOCALHOST)
        );
    }
}
