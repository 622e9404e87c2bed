//! What a header of version 2 says behind its addresses: fields of a type, a length and a value.

use super::NotAProxyHeader;

/// What is said beyond the addresses. Bytes as they came: a stranger may have chosen them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras<'a> {
    /// The host that the client asked for (SNI).
    pub authority: Option<&'a [u8]>,
    /// What client and sender speak.
    pub alpn: Option<&'a [u8]>,
    /// What the sender calls the connection.
    pub unique_id: Option<&'a [u8]>,
    /// What the sender says of TLS between the client and itself.
    pub tls: Option<TlsFacts<'a>>,
}

/// What is said of TLS between a client and the sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TlsFacts<'a> {
    /// Whether the client connected with TLS.
    pub is_used: bool,
    /// Whether it showed a certificate that the sender has verified.
    pub is_verified: bool,
    /// Its version, such as `TLSv1.3`.
    pub version: Option<&'a [u8]>,
    /// The common name of the client's certificate.
    pub common_name: Option<&'a [u8]>,
}

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;

/// Bits of the first byte of `SSL`.
const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERTIFICATES: u8 = 0x02 | 0x04;

/// One after the other; `None` when what is left is no field.
struct Fields<'a>(&'a [u8]);

// === impl Extras ===

impl<'a> Extras<'a> {
    /// Reads all fields. Those that are not known are skipped. If the header was cut off, so may the last
    /// one be.
    pub(super) fn read(fields: &'a [u8], is_cut: bool) -> Result<Self, NotAProxyHeader> {
        let mut extras = Self::default();
        for field in Fields(fields) {
            match field {
                Some((ALPN, value)) => extras.alpn = Some(value),
                Some((AUTHORITY, value)) => extras.authority = Some(value),
                Some((UNIQUE_ID, value)) => extras.unique_id = Some(value),
                Some((SSL, value)) => extras.tls = Some(TlsFacts::read(value)?),
                Some(_) => {}
                None if is_cut => {}
                None => return Err(NotAProxyHeader::Overrun),
            }
        }
        Ok(extras)
    }
}

// === impl TlsFacts ===

impl<'a> TlsFacts<'a> {
    /// A byte of bits, four that are 0 for a verified certificate, and fields.
    fn read(value: &'a [u8]) -> Result<Self, NotAProxyHeader> {
        let Some((&[client, ref verify @ ..], fields)) = value.split_first_chunk::<5>() else {
            return Err(NotAProxyHeader::Overrun);
        };
        let mut facts = Self {
            is_used: client & CLIENT_SSL != 0,
            is_verified: client & CLIENT_CERTIFICATES != 0 && verify == &[0; 4],
            ..Self::default()
        };
        for field in Fields(fields) {
            match field {
                Some((SSL_VERSION, value)) => facts.version = Some(value),
                Some((SSL_CN, value)) => facts.common_name = Some(value),
                Some(_) => {}
                None => return Err(NotAProxyHeader::Overrun),
            }
        }
        Ok(facts)
    }
}

// === impl Fields ===

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u8, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let left = std::mem::take(&mut self.0);
        let field = left.split_first_chunk::<3>().and_then(|(head, rest)| {
            let [kind, high, low] = *head;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let (value, rest) = rest.split_at_checked(length)?;
            self.0 = rest;
            Some((kind, value))
        });
        Some(field)
    }
}
