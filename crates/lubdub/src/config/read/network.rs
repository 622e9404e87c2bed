//! Addresses, hosts, networks and paths: what says where requests come from and go.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderValue;
use ipnet::{IpNet, Ipv4Net};
use lubdub_proxy::settings::{HostPattern, Trust};
use lubdub_proxy::{Address, NotAnAddress, tls};
use rustls_pki_types::ServerName;

use super::super::error::Wrong;
use super::super::leaf::Scalar;
use super::super::url;
use super::{Read, list, or_off, text};

/// Bits of an IPv4-mapped IPv6 address that are the same in all.
const MAPPED: u8 = 96;

/// An IP address and a port, or a Unix socket.
pub(crate) fn address(value: &Scalar) -> Read<Address> {
    let neither = || {
        Wrong::new(
            "must be an IP address and a port, such as \"0.0.0.0:8080\" or \"[::]:8080\", or a unix \
             socket, such as \"unix:/run/lubdub/in.sock\"",
        )
    };
    match text(value).map_err(|_| neither())?.parse() {
        Ok(address) => Ok(address),
        Err(NotAnAddress::Neither) => Err(neither()),
        Err(error) => Err(Wrong(error.to_string())),
    }
}

/// An IP address and a port, a Unix socket, or "off".
pub(crate) fn address_or_off(value: &Scalar) -> Read<Option<Address>> {
    or_off(value, address)
}

/// A host name or IP literal as it stands in `Host`, without its port; or `*.` and a name.
pub(crate) fn host_pattern(value: &Scalar) -> Read<HostPattern> {
    let host = text(value)?;
    let below = host.strip_prefix("*.");
    if host == "*" {
        return Err(Wrong::new(
            "is every host: leave it out, for what is not set is for every host",
        ));
    }
    let name = below.unwrap_or(host);
    let is_address = |name: &str| name.split('.').next_back().is_some_and(is_number);
    if name.contains('*') || below.is_some_and(|name| name.starts_with('[') || is_address(name)) {
        return Err(Wrong::new(
            "must be one whole host, or \"*.\" and the name that hosts are below, such as \
             \"*.example.com\"",
        ));
    }
    let name = whole_host(name)?;
    Ok(HostPattern::new(&match below {
        Some(_) => format!("*.{name}"),
        None => name,
    }))
}

/// A host with or without a port, or `None` for "keep".
pub(crate) fn host_or_keep(value: &Scalar) -> Read<Option<HeaderValue>> {
    let host = text(value)?;
    if host == "keep" {
        return Ok(None);
    }
    // What is before the port, which may stand within brackets.
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_port = |port: &str| is_number(port) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = whole_host(name).is_ok() && port.is_none_or(is_port);
    is_host
        .then(|| HeaderValue::from_str(host).ok())
        .flatten()
        .map(Some)
        .ok_or_else(|| {
            Wrong::new(
                "must be a host, perhaps with a port, such as \"chat.internal:8080\", or \"keep\"",
            )
        })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Any number of hosts.
pub(crate) fn hosts(value: &Scalar) -> Read<Vec<String>> {
    let host = |value: &Scalar| {
        let host = text(value)?;
        if host.contains('*') {
            return Err(Wrong::new("must be whole hosts, without \"*\""));
        }
        whole_host(host)
    };
    list(value).iter().map(host).collect()
}

/// Whose certificate it must be: a host name or an IP address.
pub(crate) fn server_name(value: &Scalar) -> Read<ServerName<'static>> {
    let name = text(value)?.to_ascii_lowercase();
    tls::server_name(&name).ok_or_else(|| {
        Wrong::new(
            "must be a host name or an IP address, without a port, such as \"chat.internal\"",
        )
    })
}

fn whole_host(host: &str) -> Read<String> {
    let literal = (host.strip_prefix('['))
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|literal| literal.parse::<Ipv6Addr>().ok());
    if let Some(literal) = literal {
        // However it is abbreviated.
        return Ok(format!("[{literal}]"));
    }
    if url::is_host_name(host) {
        return Ok(host.to_ascii_lowercase());
    }
    Err(Wrong::new(
        "must be a host without a port or a dot at its end, such as \"chat.example.com\"",
    ))
}

/// Any number of networks.
pub(crate) fn networks(value: &Scalar) -> Read<Vec<IpNet>> {
    let read = |value: &Scalar| network(value).ok_or_else(not_networks);
    list(value).iter().map(read).collect()
}

/// Any number of networks, and "unix" for whoever has no address.
pub(crate) fn trust(value: &Scalar) -> Read<Trust> {
    let mut trust = Trust::default();
    for value in &*list(value) {
        match network(value) {
            Some(network) => trust.networks.push(network),
            None if text(value) == Ok("unix") => trust.unix = true,
            None => return Err(not_trust()),
        }
    }
    Ok(trust)
}

/// A network; an address is a network of one.
fn network(value: &Scalar) -> Option<IpNet> {
    let text = text(value).ok()?;
    let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(single).map(canonical)
}

/// An IPv4 network that is written as one of IPv6 (RFC 4291 2.5.5.2), as what it is: peers with IPv4
/// addresses are known by these, whatever the socket says.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    mapped
        .addr()
        .to_ipv4_mapped()
        .and_then(|address| {
            let prefix = mapped.prefix_len().checked_sub(MAPPED)?;
            Ipv4Net::new(address, prefix).ok()
        })
        .map_or(network, IpNet::V4)
}

/// The beginning of a path, without a slash at its end.
pub(crate) fn path_prefix(value: &Scalar) -> Read<String> {
    let path = text(value)?;
    let bare = path.strip_suffix('/').unwrap_or(path);
    let is_visible = |b: u8| b.is_ascii_graphic() && b != b'?' && b != b'#';
    if !path.starts_with('/') {
        return Err(Wrong::new("must begin with \"/\""));
    }
    if !path.bytes().all(is_visible) || bare.contains("//") || bare.ends_with('/') {
        return Err(Wrong::new(
            "must be the beginning of a path, such as \"/chat\"",
        ));
    }
    Ok(if bare.is_empty() {
        "/".to_owned()
    } else {
        bare.to_owned()
    })
}

fn not_networks() -> Wrong {
    Wrong::new("must be a list of networks, such as [\"10.0.0.0/8\", \"fd00::/8\"]")
}

fn not_trust() -> Wrong {
    Wrong::new(
        "must be a list of networks, such as [\"10.0.0.0/8\", \"fd00::/8\"], and perhaps \"unix\"",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(value: &str) -> Scalar {
        Scalar::Text(value.to_owned())
    }

    #[test]
    fn lists_are_arrays_or_have_commas() {
        let expected = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let array = Scalar::List(vec![t("10.0.0.0/8"), t("::1")]);
        let expected = Trust {
            networks: expected,
            unix: false,
        };
        assert_eq!(trust(&array), Ok(expected.clone()));
        assert_eq!(trust(&t("10.0.0.0/8, ::1")), Ok(expected.clone()));
        let unix = true;
        let also = trust(&t("10.0.0.0/8, unix, ::1"));
        assert_eq!(also, Ok(Trust { unix, ..expected }));
        assert_eq!(trust(&t("")), Ok(Trust::default()));
        for wrong in ["10.0.0.0/33", "Unix", "localhost", "10.0.0.0/8 ::1"] {
            assert!(trust(&t(wrong)).is_err(), "{wrong}");
        }
        let all = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        assert_eq!(networks(&array), Ok(all));
        assert_eq!(networks(&t("")), Ok(Vec::new()));
        // Who has no address is in no network, whatever that is called.
        assert!(networks(&t("unix")).is_err());
        assert_eq!(
            hosts(&t("A,b.c")),
            Ok(vec!["a".to_owned(), "b.c".to_owned()])
        );
        assert!(hosts(&t("a:80")).is_err());
    }

    /// `::ffff:10.0.0.0/104` was taken, and never matched: peers are compared by their IPv4 address.
    #[test]
    fn an_ipv4_network_in_ipv6_is_one_of_ipv4() {
        let network = |text: &str| trust(&t(text)).unwrap().networks[0].to_string();
        assert_eq!(network("::ffff:10.0.0.0/104"), "10.0.0.0/8");
        assert_eq!(network("::ffff:0:0/96"), "0.0.0.0/0");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1/32");
        assert_eq!(network("::ffff:192.0.2.1/128"), "192.0.2.1/32");
        // These are of IPv6 whatever they are called.
        assert_eq!(network("::/0"), "::/0");
        assert_eq!(network("::ffff:10.0.0.0/95"), "::ffff:10.0.0.0/95");
        assert_eq!(network("fd00::/8"), "fd00::/8");
    }

    #[test]
    fn prefixes_are_segments() {
        let prefix = |text| path_prefix(&t(text));
        assert_eq!(prefix("/"), Ok("/".to_owned()));
        assert_eq!(prefix("/chat/"), Ok("/chat".to_owned()));
        assert_eq!(prefix("/a/b"), Ok("/a/b".to_owned()));
        for text in [
            "", "chat", "//", "/a//b", "/a//", "/a?b", "/a#b", "/a b", "/ä",
        ] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_have_no_port() {
        let host = |text: &str| host_pattern(&t(text)).map(|host| host.to_string());
        assert_eq!(host("Chat.Example"), Ok("chat.example".to_owned()));
        assert_eq!(host("[::1]"), Ok("[::1]".to_owned()));
        assert_eq!(host("[2001:DB8:0::0:1]"), Ok("[2001:db8::1]".to_owned()));
        assert_eq!(host("*.Example.com"), Ok("*.example.com".to_owned()));
        for text in [
            "", "a:80", "::1", "http://a", "a b", "*.a:80", "*.a..b", "*.a b", "a.",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
        let wrong = |text: &str| host(text).unwrap_err().to_string();
        assert!(wrong("*").contains("leave it out"));
        for text in [
            "*.", "a.*", "a.*.b", "*a.b", "*.*.b", "*.0.0.1", "*.[::1]", "**.a",
        ] {
            let wrong = wrong(text);
            let says = wrong.contains("\"*.example.com\"") || wrong.contains("without a port");
            assert!(says, "{text}: {wrong}");
        }
        for text in ["*", "*.example.com"] {
            assert!(hosts(&t(text)).unwrap_err().0.contains("whole hosts"));
        }
    }

    #[test]
    fn a_host_for_an_upstream_may_have_a_port() {
        for text in [
            "chat.internal",
            "Chat.Internal:8080",
            "10.0.0.1:80",
            "[::1]:9000",
            "[::1]",
        ] {
            let host = host_or_keep(&t(text)).unwrap().unwrap();
            assert_eq!(host, text, "as it is written");
        }
        assert_eq!(host_or_keep(&t("keep")), Ok(None));
        for text in [
            "", "a:", "a:0", "a:65536", "a:+1", ":80", "::1", "a b", "u@a", "http://a", "a/b",
            "a\r\nb", "*.a", "a:80:80",
        ] {
            assert!(host_or_keep(&t(text)).is_err(), "{text:?}");
        }
    }
}
