//! The addresses that proxies write into header fields, one behind the other: `X-Forwarded-For`, and
//! `Forwarded` (RFC 7239).
//!
//! They are read from the right, because who is nearest has written last and what is left of an entry may
//! be the invention of whoever is behind it. Reading from there, no quotation mark that a stranger wrote can
//! swallow what others wrote behind it. Nothing is copied.

use std::net::IpAddr;

/// An entry that says an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The address; one of IPv4 as such, however it was written.
    pub ip: IpAddr,
    /// The port, if one was written.
    pub port: Option<u16>,
}

/// The entries of a line of `X-Forwarded-For`, the last first. `None` is one that says no address; empty
/// ones are left out (RFC 9110 5.6.1.2).
pub fn x_forwarded_for(line: &[u8]) -> impl Iterator<Item = Option<Node>> {
    line.rsplit(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .map(|entry| Node::read(std::str::from_utf8(entry).ok()?))
}

/// The same of a line of `Forwarded`.
pub fn forwarded(line: &[u8]) -> impl Iterator<Item = Option<Node>> {
    FromTheRight::new(line, b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
        .map(node_of)
}

/// What an element of `Forwarded` says of who is behind it: its only `for`.
fn node_of(element: &[u8]) -> Option<Node> {
    let mut found = FromTheRight::new(element, b';').filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim())
    });
    let (value, another) = (found.next()?, found.next());
    if another.is_some() {
        return None;
    }
    match value.strip_prefix('"') {
        // An address has nothing that would have to be escaped.
        Some(quoted) => Node::read(quoted.strip_suffix('"')?),
        None => Node::read(value),
    }
}

/// The parts of a text between separators that are not in quotation marks, the last first.
struct FromTheRight<'a> {
    left: Option<&'a [u8]>,
    separator: u8,
}

// === impl Node ===

impl Node {
    /// RFC 7239 6: an IPv4 address, or one of IPv6 in brackets, perhaps with a port. `X-Forwarded-For` has
    /// IPv6 without brackets as well.
    fn read(text: &str) -> Option<Self> {
        let (ip, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, behind) = rest.split_once(']')?;
                let IpAddr::V6(ip) = ip.parse().ok()? else {
                    return None;
                };
                (IpAddr::V6(ip), behind)
            }
            None => match text.parse() {
                Ok(ip) => (ip, ""),
                Err(_) => {
                    let (ip, _) = text.split_once(':')?;
                    (ip.parse().ok()?, &text[ip.len()..])
                }
            },
        };
        Some(Self {
            ip: ip.to_canonical(),
            port: match port.strip_prefix(':') {
                None if port.is_empty() => None,
                None => return None,
                // "_" and a name stand for a port that is not to be known.
                Some(hidden) if hidden.starts_with('_') => None,
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Some(digits.parse().ok()?)
                }
                Some(_) => return None,
            },
        })
    }
}

// === impl FromTheRight ===

impl<'a> FromTheRight<'a> {
    fn new(text: &'a [u8], separator: u8) -> Self {
        Self {
            left: Some(text),
            separator,
        }
    }
}

impl<'a> Iterator for FromTheRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let left = self.left.take()?;
        let mut is_quoted = false;
        for at in (0..left.len()).rev() {
            match left[at] {
                // Within quotation marks one that has a backslash before it is a part of the text.
                b'"' => is_quoted ^= !is_quoted || !is_escaped(&left[..at]),
                byte if byte == self.separator && !is_quoted => {
                    self.left = Some(&left[..at]);
                    return Some(&left[at + 1..]);
                }
                _ => {}
            }
        }
        Some(left)
    }
}

/// Whether what comes behind `before` is escaped: an odd number of backslashes is before it.
fn is_escaped(before: &[u8]) -> bool {
    let backslashes = before.iter().rev().take_while(|&&byte| byte == b'\\');
    backslashes.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(nodes: impl Iterator<Item = Option<Node>>) -> Vec<String> {
        nodes
            .map(|node| match node {
                None => "-".to_owned(),
                Some(Node { ip, port: None }) => ip.to_string(),
                Some(Node {
                    ip,
                    port: Some(port),
                }) => format!("{ip} {port}"),
            })
            .collect()
    }

    fn old(line: &str) -> Vec<String> {
        told(x_forwarded_for(line.as_bytes()))
    }

    fn new(line: &str) -> Vec<String> {
        told(forwarded(line.as_bytes()))
    }

    #[test]
    fn who_wrote_last_comes_first() {
        assert_eq!(
            old("192.0.2.1,198.51.100.2 ,\t2001:db8::3"),
            ["2001:db8::3", "198.51.100.2", "192.0.2.1"]
        );
        assert_eq!(
            new("for=192.0.2.1;proto=https, for=\"[2001:db8::3]\""),
            ["2001:db8::3", "192.0.2.1"]
        );
    }

    #[test]
    fn an_address_may_have_a_port() {
        assert_eq!(old("192.0.2.1:80"), ["192.0.2.1 80"]);
        assert_eq!(old("[2001:db8::1]:65535"), ["2001:db8::1 65535"]);
        assert_eq!(old("[2001:db8::1]"), ["2001:db8::1"]);
        assert_eq!(old("::ffff:192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(new("For = \"[2001:db8::1]:4711\""), ["2001:db8::1 4711"]);
        assert_eq!(new("for=\"192.0.2.1:_hidden\""), ["192.0.2.1"]);
    }

    #[test]
    fn what_is_no_address_is_an_entry_all_the_same() {
        for line in [
            "unknown",
            "_hidden",
            "localhost",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:+1",
            "192.0.2.1 192.0.2.2",
            "192.0.2.01",
            "[192.0.2.1]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "fe80::1%eth0",
            "\"192.0.2.1\"",
            "\u{e4}",
        ] {
            assert_eq!(old(line), ["-"], "{line}");
        }
        for element in [
            "proto=https",
            "for=192.0.2.1;for=192.0.2.2",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=\"192.0\\.2.1\"",
            "for",
            "for=",
            "x-for=192.0.2.1",
        ] {
            assert_eq!(new(element), ["-"], "{element}");
        }
        assert_eq!(old(", ,\t,"), [""; 0]);
        assert_eq!(new(", ,"), [""; 0]);
    }

    #[test]
    fn separators_in_quotation_marks_separate_nothing() {
        assert_eq!(
            new("for=192.0.2.1;host=\"a,b;for=1.1.1.1\\\",\", for=192.0.2.2"),
            ["192.0.2.2", "192.0.2.1"]
        );
        // A backslash that is itself escaped escapes nothing.
        assert_eq!(
            new("host=\"a\\\\\";for=192.0.2.1, for=192.0.2.2"),
            ["192.0.2.2", "192.0.2.1"]
        );
    }

    /// A stranger's open quotation mark would have swallowed what the balancer wrote behind it.
    #[test]
    fn what_a_stranger_wrote_cannot_swallow_what_is_behind_it() {
        for forged in ["for=\"", "host=\"x", "for=1.1.1.1;host=\"\\", "\"\"\""] {
            let line = format!("{forged}, for=192.0.2.9;proto=https");
            assert_eq!(new(&line)[0], "192.0.2.9", "{line}");
        }
    }
}
