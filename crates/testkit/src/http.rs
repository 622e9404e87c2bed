//! Heads of HTTP/1.1 messages (RFC 9112 2.1) as bytes, so that a test decides about every one of
//! them and sees every one that came.

use std::fmt::Write as _;

/// The head of a message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The request line or status line.
    pub first_line: String,
    /// Names as they were written, and values, in order.
    pub fields: Vec<(String, String)>,
}

/// The head of a request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
}

/// The key of every upgrade: that of the example in RFC 6455 1.3.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A whole answer to an upgrade with [`KEY`].
pub const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

// === impl Head ===

impl Head {
    /// The head that `bytes` begin with, once it is whole, and its length.
    ///
    /// # Panics
    /// If a line is no field.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = std::str::from_utf8(&bytes[..end]).expect("heads of these tests are text");
        let mut lines = text.split("\r\n").map(str::to_owned);
        let head = Self {
            first_line: lines.next().unwrap_or_default(),
            fields: lines.map(|line| field(&line)).collect(),
        };
        Some((head, end + 4))
    }

    /// All values of a field, by its name in any case.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self
            .fields
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field.
    ///
    /// # Panics
    /// If it is there more than once.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [] => None,
            [value] => Some(value),
            _ => panic!("more than one {name}: {self:?}"),
        }
    }

    /// Whether there is a line `name: value`, written just so.
    #[must_use]
    pub fn has_line(&self, line: &str) -> bool {
        self.fields.contains(&field(line))
    }

    /// The status code of an answer.
    ///
    /// # Panics
    /// If this is no status line.
    #[must_use]
    pub fn status(&self) -> u16 {
        let code = self
            .first_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("no status line: {:?}", self.first_line))
    }

    /// The announced length of the body.
    ///
    /// # Panics
    /// If it is no number.
    #[must_use]
    pub fn content_length(&self) -> Option<usize> {
        let length = self.field("content-length")?;
        Some(length.parse().expect("a length is a number"))
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').expect("a field has a colon");
    (name.to_owned(), value.trim().to_owned())
}

// === impl Request ===

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            fields: Vec::new(),
        }
        .field("Host", "lubdub.example")
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// An upgrade to WebSocket, with [`KEY`] (RFC 6455 4.1).
    #[must_use]
    pub fn upgrade(target: &str) -> Self {
        Self::get(target)
            .field("Upgrade", "websocket")
            .field("Connection", "Upgrade")
            .field("Sec-WebSocket-Key", KEY)
            .field("Sec-WebSocket-Version", "13")
    }

    /// The same with one more field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields
            .retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self
    }

    /// The same for this host instead.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        self.without("host").field("Host", host)
    }

    /// Its bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}
