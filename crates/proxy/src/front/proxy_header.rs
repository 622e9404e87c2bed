//! The PROXY header in front of a connection, as it comes in: byte by byte, or with what is behind it.
//!
//! Exactly the header is taken out of the socket. What begins with something else, and what is behind a
//! header, stays in the kernel for TLS or HTTP to read, so that nothing of it can get lost and no buffer
//! has to go along.

use std::io;

use lubdub_wire::{Beginning, Decoded, NotAProxyHeader, ProxyHeader};
use tokio::io::AsyncReadExt as _;

use crate::client::Proxied;
use crate::socket::Socket;

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error(transparent)]
    Malformed(#[from] NotAProxyHeader),
    #[error("a PROXY header that ends in the middle")]
    Half,
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// What a connection begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A header.
    Header(Proxied),
    /// Something else, of which nothing was taken.
    Other,
    /// Nothing but its end.
    Nothing,
}

/// So much is taken at a time.
const PIECE: usize = 256;

/// Takes the header that the connection begins with.
pub(super) async fn take(socket: &mut Socket) -> Result<Taken, HeaderError> {
    let mut bytes = [0; ProxyHeader::DECIDED];
    let mut there = 0;
    loop {
        let now = socket.peek_beyond(there, &mut bytes).await?;
        match Beginning::of(&bytes[..now]) {
            Beginning::Header(_) => return header(socket).await.map(Taken::Header),
            Beginning::Undecided if now == 0 => return Ok(Taken::Nothing),
            Beginning::Undecided if now > there => there = now,
            // No more comes.
            Beginning::Undecided | Beginning::Other => return Ok(Taken::Other),
        }
    }
}

/// Takes a header, which may not have come yet to its end.
async fn header(socket: &mut Socket) -> Result<Proxied, HeaderError> {
    let mut bytes = Vec::with_capacity(PIECE);
    loop {
        let taken = bytes.len();
        bytes.resize(taken + PIECE, 0);
        let there = socket.peek_beyond(0, &mut bytes[taken..]).await?;
        if there == 0 {
            return Err(HeaderError::Half);
        }
        match ProxyHeader::decode(&bytes[..taken + there])? {
            Decoded::Whole { header, length } => {
                let proxied = header.into();
                skip(socket, length - taken).await?;
                return Ok(proxied);
            }
            // All of it is the header's.
            Decoded::Incomplete { .. } => {
                bytes.truncate(taken + there);
                socket.read_exact(&mut bytes[taken..]).await?;
            }
        }
    }
}

/// Takes so many bytes, and forgets them.
async fn skip(socket: &mut Socket, mut left: usize) -> Result<(), HeaderError> {
    let mut piece = [0; PIECE];
    while left > 0 {
        let some = left.min(PIECE);
        match socket.read(&mut piece[..some]).await? {
            0 => return Err(HeaderError::Half),
            n => left -= n,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lubdub_wire::{ProxyVersion, Relayed};
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;

    use super::*;
    use crate::socket::testing::connection;

    fn relayed() -> Relayed {
        Relayed::Ip {
            source: "192.0.2.1:4000".parse().unwrap(),
            destination: "198.51.100.2:443".parse().unwrap(),
        }
    }

    /// Headers with what they say.
    fn headers() -> Vec<(Vec<u8>, Proxied)> {
        let long = {
            let mut header = relayed().to_header(ProxyVersion::V2);
            let field = [&[0xe0, 0xff, 0x00][..], &vec![7; 0xff00]].concat();
            let length = u16::try_from(12 + field.len()).unwrap();
            header[14..16].copy_from_slice(&length.to_be_bytes());
            header.extend(field);
            header
        };
        let v1 = relayed().to_header(ProxyVersion::V1);
        let v2 = relayed().to_header(ProxyVersion::V2);
        [v1, v2, long]
            .into_iter()
            .map(|bytes| {
                let Ok(Decoded::Whole { header, .. }) = ProxyHeader::decode(&bytes) else {
                    panic!("a header");
                };
                let proxied = header.into();
                (bytes, proxied)
            })
            .collect()
    }

    const BEHIND: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    async fn expect_behind(mut far: TcpStream, mut socket: Socket, expected: &[u8]) {
        far.shutdown().await.unwrap();
        let mut behind = Vec::new();
        socket.read_to_end(&mut behind).await.unwrap();
        assert_eq!(behind, expected);
    }

    #[tokio::test]
    async fn what_is_behind_a_header_stays_where_it_is() {
        for (header, proxied) in headers() {
            let (mut socket, mut far) = connection().await;
            let all = [&header[..], BEHIND].concat();
            let writing = async {
                far.write_all(&all).await.unwrap();
            };
            let (taken, ()) = tokio::join!(take(&mut socket), writing);
            assert_eq!(taken.unwrap(), Taken::Header(proxied));
            expect_behind(far, socket, BEHIND).await;
        }
    }

    #[tokio::test]
    async fn a_header_may_come_byte_by_byte() {
        for (header, proxied) in headers() {
            let (mut socket, mut far) = connection().await;
            far.set_nodelay(true).unwrap();
            let writing = async {
                for byte in header.iter().take(300) {
                    far.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
                far.write_all(header.get(300..).unwrap_or_default())
                    .await
                    .unwrap();
                far.write_all(BEHIND).await.unwrap();
            };
            let (taken, ()) = tokio::join!(take(&mut socket), writing);
            assert_eq!(taken.unwrap(), Taken::Header(proxied));
            expect_behind(far, socket, BEHIND).await;
        }
    }

    #[tokio::test]
    async fn of_something_else_nothing_is_taken() {
        for other in [
            BEHIND,
            b"PR",
            b"PROXX",
            b"\r\n\r\n\0\r\nQUIX",
            b"\x16\x03\x01",
            b"",
        ] {
            let (mut socket, mut far) = connection().await;
            far.write_all(other).await.unwrap();
            // It may still become a header.
            if Beginning::of(other) == Beginning::Undecided {
                far.shutdown().await.unwrap();
            }
            let taken = take(&mut socket).await.unwrap();
            let expected = if other.is_empty() {
                Taken::Nothing
            } else {
                Taken::Other
            };
            assert_eq!(taken, expected, "{other:?}");
            expect_behind(far, socket, other).await;
        }
    }

    #[tokio::test]
    async fn a_header_that_ends_in_the_middle_is_none() {
        for (header, _) in headers() {
            for cut in [13, 16, 27, header.len() - 1] {
                let (mut socket, mut far) = connection().await;
                let writing = async {
                    far.write_all(&header[..cut]).await.unwrap();
                    far.shutdown().await.unwrap();
                };
                let (taken, ()) = tokio::join!(take(&mut socket), writing);
                assert!(matches!(taken, Err(HeaderError::Half)), "{cut}: {taken:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_header_without_an_end_is_refused_as_soon_as_it_is_too_long() {
        let (mut socket, mut far) = connection().await;
        far.write_all(format!("PROXY UNKNOWN {}", "x".repeat(200)).as_bytes())
            .await
            .unwrap();
        let refused = take(&mut socket).await;
        assert!(matches!(
            refused,
            Err(HeaderError::Malformed(NotAProxyHeader::Endless))
        ));
    }

    /// It must wait for more, and not look again and again at what is there.
    #[tokio::test]
    async fn a_beginning_that_goes_on_later_is_waited_for() {
        let (socket, mut far) = connection().await;
        far.write_all(b"PROX").await.unwrap();
        let mut bytes = [0; ProxyHeader::DECIDED];
        assert_eq!(socket.peek_beyond(0, &mut bytes).await.unwrap(), 4);
        let more = socket.peek_beyond(4, &mut bytes);
        let waited = tokio::time::timeout(Duration::from_millis(50), more).await;
        assert!(waited.is_err(), "{waited:?}");
        far.write_all(b"Y ").await.unwrap();
        assert_eq!(socket.peek_beyond(4, &mut bytes).await.unwrap(), 6);
        far.shutdown().await.unwrap();
        assert_eq!(socket.peek_beyond(6, &mut bytes).await.unwrap(), 6);
    }
}
