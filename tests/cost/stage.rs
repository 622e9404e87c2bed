//! lubdub with one pair whose two ends are blocking sockets, so that they take turns in the thread
//! of the test and need nothing from the heap.
//!
//! Not the peers of the testkit: those remember all that they hear.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use lubdub_keepalive::{PerSide, Side};
use lubdub_proxy::{Address, Drained, Proxy};
use lubdub_testkit::PATIENCE;
use lubdub_testkit::http::{Request, SWITCHING};
use lubdub_testkit::proxy::{ProxyBox, metrics};
use tokio::task::spawn_blocking;

/// lubdub and both ends of a pair.
pub(crate) struct Stage {
    proxy: Proxy,
    ends: PerSide<TcpStream>,
}

impl Stage {
    /// Opens a pair on these terms.
    pub(crate) async fn open(settings: ProxyBox) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a port");
        let proxy = start(settings, &listener);
        let addresses = proxy.addresses();
        let [(_, Address::Ip(address))] = addresses[..] else {
            unreachable!("there is one listener");
        };
        // lubdub accepts on this thread: the ends must not block it until they are connected.
        let upstream = spawn_blocking(move || {
            let (upstream, _) = listener.accept().expect("lubdub connects");
            let mut upstream = patient(upstream);
            read_head(&mut upstream);
            write(&mut upstream, SWITCHING.as_bytes());
            upstream
        });
        let client = spawn_blocking(move || {
            let mut client = patient(TcpStream::connect(address).expect("lubdub listens"));
            write(&mut client, &Request::upgrade("/").encode());
            let head = read_head(&mut client);
            assert!(head.starts_with(b"HTTP/1.1 101"), "the upgrade is relayed");
            client
        });
        let (client, upstream) = tokio::join!(client, upstream);
        Self {
            proxy,
            ends: PerSide {
                client: client.expect("the client is upgraded"),
                upstream: upstream.expect("the upstream is asked"),
            },
        }
    }

    /// What `side` says.
    pub(crate) fn say(&mut self, side: Side, bytes: &[u8]) {
        write(&mut self.ends[side], bytes);
    }

    /// What `side` hears next: as much as there is room for.
    pub(crate) fn hear(&mut self, side: Side, heard: &mut [u8]) {
        let read = self.ends[side].read_exact(heard);
        read.unwrap_or_else(|error| panic!("the {side} hears nothing: {error}"));
    }

    /// Ends the pair and lubdub.
    pub(crate) async fn close(self) {
        drop(self.ends);
        assert_eq!(self.proxy.drain().await, Drained::Clean);
    }
}

/// A proxy in a box, but in front of a listener of the standard library.
fn start(settings: ProxyBox, upstream: &TcpListener) -> Proxy {
    let address = upstream.local_addr().expect("it listens");
    Proxy::start(settings.settings(address), &metrics(&["main"])).expect("the proxy starts")
}

/// An end that neither waits for ever nor holds bytes back.
fn patient(end: TcpStream) -> TcpStream {
    end.set_read_timeout(Some(PATIENCE))
        .and_then(|()| end.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| end.set_nodelay(true))
        .expect("a connected socket has options");
    end
}

fn write(end: &mut TcpStream, bytes: &[u8]) {
    end.write_all(bytes).expect("lubdub takes what is said");
}

/// What comes up to the empty line, and not a byte of what is behind it.
fn read_head(end: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        end.read_exact(&mut byte).expect("a head is whole");
        head.extend(byte);
    }
    head
}
