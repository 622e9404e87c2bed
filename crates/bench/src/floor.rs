//! A bare relay: what comes in on one side goes out on the other, and nothing is looked at. What a
//! proxy costs beyond this is what it does besides moving bytes.
//!
//! Two of them, each as lean as its way of waiting allows: one on epoll itself, and one on tokio's
//! runtime with a single thread, which is what lubdub runs on.

mod epoll;
mod tokio;

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use clap::ValueEnum;
use socket2::{Domain, Socket, Type};

/// How much is read at once: what lubdub reads.
const SCRATCH: usize = 60 * 1024;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 65_535;

/// How it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// On epoll, in a loop.
    Epoll,
    /// On tokio, with a task for each pair.
    Tokio,
}

/// Relays from `listen` to `backend` until stopped.
pub(crate) fn run(kind: Kind, listen: SocketAddr, backend: SocketAddr) -> anyhow::Result<()> {
    let listener = listener(listen).with_context(|| format!("cannot listen on {listen}"))?;
    match kind {
        Kind::Epoll => epoll::run(&listener, backend),
        Kind::Tokio => tokio::run(listener, backend),
    }
}

fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};

    use super::*;

    /// Both relay all bytes, more than any buffer holds, and pass the end of either side on.
    #[test]
    fn all_bytes_arrive_and_the_end_behind_them() {
        for kind in [Kind::Epoll, Kind::Tokio] {
            let backend = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = backend.local_addr().unwrap();
            std::thread::spawn(move || {
                let (mut socket, _) = backend.accept().unwrap();
                let mut bytes = Vec::new();
                socket.read_to_end(&mut bytes).unwrap();
                bytes.reverse();
                socket.write_all(&bytes).unwrap();
            });
            let listen = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            std::thread::spawn(move || run(kind, listen, address));

            let mut client = loop {
                match TcpStream::connect(listen) {
                    Ok(client) => break client,
                    Err(_) => std::thread::yield_now(),
                }
            };
            let mut sent: Vec<u8> = (0..8 << 20)
                .map(|i: u32| i.to_le_bytes()[i as usize % 3])
                .collect();
            client.write_all(&sent).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            sent.reverse();
            assert!(
                got == sent,
                "{kind:?}: {} of {} bytes",
                got.len(),
                sent.len()
            );
        }
    }
}
