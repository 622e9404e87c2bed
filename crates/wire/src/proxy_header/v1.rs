//! Version 1: one line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Decoded, Extras, NotAProxyHeader, ProxyHeader, Relayed};

/// What it begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

const END: &[u8] = b"\r\n";

/// Reads a line that begins with the signature.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, NotAProxyHeader> {
    let within = &bytes[..bytes.len().min(ProxyHeader::V1_MAX)];
    let Some(end) = within.windows(END.len()).position(|two| two == END) else {
        return if within.len() == ProxyHeader::V1_MAX {
            Err(NotAProxyHeader::Endless)
        } else {
            Ok(Decoded::Incomplete { missing: 1 })
        };
    };
    let relayed = relayed(&within[SIGNATURE.len()..end]).ok_or(NotAProxyHeader::Unreadable)?;
    Ok(Decoded::Whole {
        header: ProxyHeader {
            relayed,
            extras: Extras::default(),
        },
        length: end + END.len(),
    })
}

/// Reads what is between the signature and the end of the line.
fn relayed(line: &[u8]) -> Option<Relayed> {
    let line = std::str::from_utf8(line).ok()?;
    let (protocol, rest) = line.split_once(' ').unwrap_or((line, ""));
    match protocol {
        // "the receiver must ignore anything presented before the CRLF is found"
        "UNKNOWN" => Some(Relayed::Unknown),
        "TCP4" => addresses::<Ipv4Addr>(rest),
        "TCP6" => addresses::<Ipv6Addr>(rest),
        _ => None,
    }
}

/// "exactly one space" is between the parts.
fn addresses<Ip: FromStr + Into<IpAddr>>(line: &str) -> Option<Relayed> {
    let mut parts = line.split(' ');
    let mut ip = || parts.next()?.parse::<Ip>().ok().map(Into::into);
    let (source, destination) = (ip()?, ip()?);
    let mut port = || port(parts.next()?);
    let (source_port, destination_port) = (port()?, port()?);
    parts.next().is_none().then(|| Relayed::Ip {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// "a decimal number between 0 and 65535 without leading zeroes"
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeroes = text.len() > 1 && text.starts_with('0');
    (is_plain && !has_zeroes).then(|| text.parse().ok())?
}

pub(super) fn encode(relayed: Relayed) -> Vec<u8> {
    let line = match relayed {
        Relayed::Ip {
            source,
            destination,
        } => {
            let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            format!(
                "PROXY {protocol} {} {} {} {}\r\n",
                source.ip(),
                destination.ip(),
                source.port(),
                destination.port()
            )
        }
        Relayed::Local | Relayed::Unknown | Relayed::Unix => "PROXY UNKNOWN\r\n".to_owned(),
    };
    line.into_bytes()
}
