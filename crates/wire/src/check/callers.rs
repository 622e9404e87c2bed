//! What is said of who is behind a connection or a request.

use std::net::SocketAddr;

use crate::forwarded::{self, Node};
use crate::{Beginning, Decoded, NotAProxyHeader, ProxyHeader, ProxyVersion, Relayed};

/// What the header of a connection came to, once that was decided.
type Outcome = Result<(Relayed, usize), NotAProxyHeader>;

/// So many beginnings of an input are tried: more than any decision takes of bytes that are not skipped.
const CUTS: usize = ProxyHeader::KEPT + 8;

/// The bytes, and the same as the rest of a line of version 1.
pub fn proxy_v1(data: &[u8]) {
    proxy_header(data);
    proxy_header(&[b"PROXY ", data].concat());
    proxy_header(&[b"PROXY TCP4 ", data].concat());
}

/// The bytes, and the same as the rest of a header of version 2.
pub fn proxy_v2(data: &[u8]) {
    proxy_header(data);
    let signature = &Relayed::Local.to_header(ProxyVersion::V2)[..ProxyHeader::DECIDED];
    proxy_header(&[signature, data].concat());
    proxy_header(&[signature, &[0x21], data].concat());
}

/// However many of the bytes have come, the decision is the same, and comes when it was said to; what is
/// written of it is read again.
fn proxy_header(data: &[u8]) {
    let mut decided: Option<Outcome> = None;
    let mut earliest = 0;
    for cut in 0..=data.len().min(CUTS) {
        let decoded = ProxyHeader::decode(&data[..cut]);
        let outcome = match decoded {
            Ok(Decoded::Incomplete { missing }) => {
                assert!(missing > 0, "a decision waits for something");
                assert_eq!(decided, None, "what is decided stays so");
                earliest = earliest.max(cut + missing);
                continue;
            }
            Ok(Decoded::Whole { header, length }) => Ok((header.relayed, length)),
            Err(error) => Err(error),
        };
        assert!(
            outcome.is_err() || cut >= earliest,
            "whole before what was missing has come"
        );
        assert_eq!(*decided.get_or_insert(outcome), outcome, "{cut} bytes");
    }
    let beginning = Beginning::of(data);
    match decided {
        Some(Ok((relayed, length))) => {
            let bounds = match beginning {
                Beginning::Header(ProxyVersion::V1) => 15..=ProxyHeader::V1_MAX,
                Beginning::Header(ProxyVersion::V2) => 16..=16 + usize::from(u16::MAX),
                Beginning::Undecided | Beginning::Other => panic!("{beginning:?} is no header"),
            };
            assert!(bounds.contains(&length), "{length}");
            assert!(earliest <= length, "no more is waited for than there is");
            written_again(relayed);
        }
        Some(Err(error)) => {
            let is_other = error == NotAProxyHeader::Other;
            assert_eq!(is_other, beginning == Beginning::Other);
            assert!(!error.to_string().is_empty());
        }
        // It can still become one.
        None => assert!(earliest > data.len().min(CUTS)),
    }
}

fn written_again(relayed: Relayed) {
    let expected = match relayed {
        Relayed::Ip {
            source,
            destination,
        } => Relayed::between(source, destination),
        Relayed::Local | Relayed::Unknown | Relayed::Unix => Relayed::Unknown,
    };
    let written = relayed.to_header(ProxyVersion::V1);
    let header = Decoded::Whole {
        header: ProxyHeader {
            relayed: expected,
            extras: crate::Extras::default(),
        },
        length: written.len(),
    };
    assert_eq!(ProxyHeader::decode(&written), Ok(header));
}

/// Whatever stands in a line, what is written behind it is read first and changes nothing before it; and
/// an address is read again as it is written.
pub fn forwarded(data: &[u8]) {
    let last = Node {
        ip: [192, 0, 2, 9].into(),
        port: None,
    };
    let old: Vec<_> = forwarded::x_forwarded_for(data).collect();
    assert!(old.len() <= data.len());
    let line = [data, b", 192.0.2.9"].concat();
    let mut more = forwarded::x_forwarded_for(&line);
    assert_eq!(more.next(), Some(Some(last)));
    assert!(more.eq(old.iter().copied()));

    let new: Vec<_> = forwarded::forwarded(data).collect();
    assert!(new.len() <= data.len());
    let line = [data, b", for=192.0.2.9;host=\"a,\\\"b;c\""].concat();
    let mut more = forwarded::forwarded(&line);
    assert_eq!(more.next(), Some(Some(last)));
    assert!(more.eq(new.iter().copied()));

    for Node { ip, port } in old.into_iter().chain(new).flatten() {
        assert_eq!(ip, ip.to_canonical());
        let written = match port {
            Some(port) => SocketAddr::new(ip, port).to_string(),
            None => ip.to_string(),
        };
        let mut again = forwarded::x_forwarded_for(written.as_bytes());
        assert_eq!(again.next(), Some(Some(Node { ip, port })), "{written}");
        assert_eq!(again.next(), None);
    }
}
