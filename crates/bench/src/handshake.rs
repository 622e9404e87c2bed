//! The opening handshake (RFC 6455 section 4), as little of it as a load generator and an echo
//! need. Not a parser of HTTP: it reads what lubdub's peers write.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// What ends the head of a request or an answer.
const END: &[u8] = b"\r\n\r\n";
/// The longest head that is waited for.
pub(crate) const MAX_HEAD: usize = 8 * 1024;
/// What is added to the key (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The key of every handshake; it protects caches, of which there are none here.
const KEY: &str = "bHViZHViIGlzIGEgYmVhdA==";
/// The path of the echo backend's counters.
pub(crate) const COUNTERS_PATH: &str = "/counters";

/// The handshake of a client, the same for every connection of a run.
#[derive(Debug)]
pub(crate) struct Opening {
    request: Vec<u8>,
    accept: String,
}

/// What a client asked of the echo backend.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To speak WebSocket; the answer to its key.
    Upgrade {
        /// The value of Sec-WebSocket-Accept.
        accept: String,
    },
    /// What the backend has counted.
    Counters,
    /// Anything else.
    Other,
}

/// The answer to an opening handshake was not what RFC 6455 section 4.1 asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The first line of the answer.
    pub status_line: String,
}

// === impl Opening ===

impl Opening {
    /// The handshake for a path at a host.
    pub(crate) fn new(host: &str, path: &str) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        Self {
            request: request.into_bytes(),
            accept: accept(KEY),
        }
    }

    /// The bytes to send.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Judges the head of the answer.
    pub(crate) fn judge(&self, head: &[u8]) -> Result<(), Refused> {
        let head = String::from_utf8_lossy(head);
        let status_line = head.lines().next().unwrap_or_default();
        if status_line.split(' ').nth(1) == Some("101")
            && field(&head, "sec-websocket-accept") == Some(&self.accept)
        {
            Ok(())
        } else {
            Err(Refused {
                status_line: status_line.to_owned(),
            })
        }
    }
}

// === impl Request ===

impl Request {
    /// Reads the head of a request.
    pub(crate) fn read(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head);
        match field(&head, "sec-websocket-key") {
            Some(key) => Self::Upgrade {
                accept: accept(key),
            },
            None if head.split(' ').nth(1) == Some(COUNTERS_PATH) => Self::Counters,
            None => Self::Other,
        }
    }
}

// === impl Refused ===

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handshake was refused: {:?}", self.status_line)
    }
}

impl std::error::Error for Refused {}

/// The answer that upgrades a connection.
pub(crate) fn switching_protocols(accept: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// An answer with a body, behind which the connection ends.
pub(crate) fn last_answer(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The length of the head that `bytes` begin with, once it is whole.
pub(crate) fn head_len(bytes: &[u8]) -> Option<usize> {
    (bytes.windows(END.len()))
        .position(|window| window == END)
        .map(|at| at + END.len())
}

/// The value of the first field of this name.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The answer to a key (RFC 6455 section 4.2.2).
fn accept(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_section_1_3_is_answered_as_there() {
        let head = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
                     sec-websocket-key:  dGhlIHNhbXBsZSBub25jZQ== \r\n\r\n";
        assert_eq!(
            Request::read(head),
            Request::Upgrade {
                accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned()
            }
        );
    }

    #[test]
    fn both_sides_understand_each_other() {
        let opening = Opening::new("example.com", "/a?b");
        let request = opening.request();
        assert_eq!(head_len(request), Some(request.len()));
        assert_eq!(head_len(&request[..request.len() - 1]), None);
        let Request::Upgrade { accept } = Request::read(request) else {
            panic!("an upgrade");
        };
        let answer = switching_protocols(&accept);
        assert_eq!(opening.judge(&answer), Ok(()));
        assert!(opening.judge(&switching_protocols("wrong")).is_err());
        let refusal = last_answer("404 Not Found", "");
        assert_eq!(
            opening.judge(&refusal).unwrap_err().status_line,
            "HTTP/1.1 404 Not Found"
        );
    }

    #[test]
    fn what_is_no_upgrade_is_told_apart_by_its_path() {
        let request = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        assert_eq!(Request::read(&request("/counters")), Request::Counters);
        assert_eq!(Request::read(&request("/")), Request::Other);
    }
}
