//! Version 2: binary.

use std::net::{IpAddr, SocketAddr};

use super::{Decoded, Extras, NotAProxyHeader, ProxyHeader, Relayed};

/// What it begins with: nothing that a client of another protocol could say.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and protocol, and the length of the rest.
const FIXED: usize = SIGNATURE.len() + 4;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const UNSPEC: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

/// Reads a header that begins with the signature.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded<'_>, NotAProxyHeader> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else {
        let missing = FIXED - bytes.len();
        return Ok(Decoded::Incomplete { missing });
    };
    let [.., command, family, high, low] = *fixed else {
        unreachable!("it is {FIXED} bytes long");
    };
    if !matches!(command, LOCAL | PROXY) {
        return Err(NotAProxyHeader::Command(command));
    }
    let announced = usize::from(u16::from_be_bytes([high, low]));
    let kept = announced.min(ProxyHeader::KEPT - FIXED);
    let Some(block) = rest.get(..kept) else {
        let missing = kept - rest.len();
        return Ok(Decoded::Incomplete { missing });
    };
    let header = match command {
        // "The receiver [...] must discard the protocol block including the family which is ignored."
        LOCAL => ProxyHeader {
            relayed: Relayed::Local,
            extras: Extras::default(),
        },
        _ => relayed(family, block, kept < announced)?,
    };
    Ok(Decoded::Whole {
        header,
        length: FIXED + announced,
    })
}

/// Reads the addresses and what is behind them, which may have been cut off.
fn relayed(family: u8, block: &[u8], is_cut: bool) -> Result<ProxyHeader<'_>, NotAProxyHeader> {
    let (of_family, protocol) = (family >> 4, family & 0xf);
    // "Other values are unspecified and must not be emitted [...] Receivers must drop connections
    // presenting unexpected values here."
    let size = match (of_family, protocol) {
        (0, 0..=2) => 0,
        (1, 0..=2) => 2 * 4 + 4,
        (2, 0..=2) => 2 * 16 + 4,
        (3, 0..=2) => 2 * 108,
        _ => return Err(NotAProxyHeader::Family(family)),
    };
    let (addresses, fields) = block.split_at_checked(size).ok_or(NotAProxyHeader::Short)?;
    let relayed = match family {
        TCP_OVER_IPV4 => ip::<4>(addresses),
        TCP_OVER_IPV6 => ip::<16>(addresses),
        UNIX_STREAM => Relayed::Unix,
        // Nobody's address, or the address of somebody who sends datagrams.
        _ => Relayed::Unknown,
    };
    Ok(ProxyHeader {
        relayed,
        extras: Extras::read(fields, is_cut)?,
    })
}

/// Two addresses, then two ports.
fn ip<const N: usize>(addresses: &[u8]) -> Relayed
where
    [u8; N]: Into<IpAddr>,
{
    let array = |at: usize| -> [u8; N] {
        let octets = &addresses[at..at + N];
        octets.try_into().expect("it is as long as it is")
    };
    let port = |at: usize| u16::from_be_bytes([addresses[at], addresses[at + 1]]);
    Relayed::Ip {
        source: SocketAddr::new(array(0).into(), port(2 * N)),
        destination: SocketAddr::new(array(N).into(), port(2 * N + 2)),
    }
}

pub(super) fn encode(relayed: Relayed) -> Vec<u8> {
    let (command, family, block) = match relayed {
        Relayed::Local => (LOCAL, UNSPEC, Vec::new()),
        Relayed::Unknown | Relayed::Unix => (PROXY, UNSPEC, Vec::new()),
        Relayed::Ip {
            source,
            destination,
        } => {
            let mut block = Vec::with_capacity(2 * 16 + 4);
            for address in [source, destination] {
                match address.ip() {
                    IpAddr::V4(ip) => block.extend(ip.octets()),
                    IpAddr::V6(ip) => block.extend(ip.octets()),
                }
            }
            block.extend(source.port().to_be_bytes());
            block.extend(destination.port().to_be_bytes());
            let family = match source {
                SocketAddr::V4(_) => TCP_OVER_IPV4,
                SocketAddr::V6(_) => TCP_OVER_IPV6,
            };
            (PROXY, family, block)
        }
    };
    let length = u16::try_from(block.len()).expect("two addresses are short");
    let fixed = [command, family].into_iter().chain(length.to_be_bytes());
    let mut header = SIGNATURE.to_vec();
    header.extend(fixed.chain(block));
    header
}
