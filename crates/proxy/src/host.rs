//! Hosts: how they stand in a Host field (RFC 9110 7.2), and which of them a pattern is for.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::net::Ipv6Addr;

/// Which hosts: one, or all below a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// Lower case, without the dot of the root. Of a wildcard, what stands behind its `*.`.
    name: String,
    is_wildcard: bool,
}

/// How specific a pattern is: what sorts first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    is_wildcard: bool,
    longest: Reverse<usize>,
}

// === impl HostPattern ===

impl HostPattern {
    /// A pattern, as it is written: a host without a port, or `*.` and the name under which hosts
    /// must be, one label or more.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let (name, is_wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        Self {
            name: canonical(name).to_ascii_lowercase(),
            is_wildcard,
        }
    }

    /// Whether it is for a host, which is [`bare`] of its port and the like.
    pub(crate) fn matches(&self, host: &str) -> bool {
        if !self.is_wildcard {
            return self.name.eq_ignore_ascii_case(host);
        }
        // As bytes: a host may hold what is no ASCII, and must not be cut within a character.
        let Some(labels) = host.len().checked_sub(self.name.len() + 1) else {
            return false;
        };
        let (labels, name) = host.as_bytes().split_at(labels);
        name[0] == b'.'
            && name[1..].eq_ignore_ascii_case(self.name.as_bytes())
            && labels.split(|&byte| byte == b'.').all(|it| !it.is_empty())
    }

    /// One host goes before all below a name, and a longer name before a shorter one.
    pub(crate) fn rank(&self) -> Rank {
        Rank {
            is_wildcard: self.is_wildcard,
            longest: Reverse(self.name.len()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wildcard = if self.is_wildcard { "*." } else { "" };
        write!(f, "{wildcard}{}", self.name)
    }
}

/// The host of a Host field, in the form in which hosts are compared but for its case: without a
/// port and the dot of the root, an IPv6 literal as RFC 5952 writes it.
pub(crate) fn bare(host: &str) -> Cow<'_, str> {
    canonical(without_port(host))
}

fn canonical(host: &str) -> Cow<'_, str> {
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match literal.and_then(|literal| literal.parse::<Ipv6Addr>().ok()) {
        Some(address) => Cow::Owned(format!("[{address}]")),
        // Some clients write the dot: it is the same name.
        None => Cow::Borrowed(host.strip_suffix('.').unwrap_or(host)),
    }
}

/// The host of `host[:port]`, where the host may be an IPv6 literal in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && !name.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::new(pattern).matches(&bare(host))
    }

    #[test]
    fn ports_are_not_part_of_a_host() {
        assert_eq!(without_port("[::1]:8080"), "[::1]");
        assert_eq!(without_port("[::1]"), "[::1]");
        assert_eq!(without_port("a.example:80"), "a.example");
        assert_eq!(without_port("a.example:"), "a.example");
        assert_eq!(without_port("a.example"), "a.example");
    }

    #[test]
    fn a_wildcard_is_for_whole_labels_and_one_at_least() {
        for host in [
            "a.example.com",
            "A.B.Example.COM",
            "a.example.com:8080",
            "a.example.com.",
            "xn--bcher-kva.example.com",
        ] {
            assert!(matches("*.example.com", host), "{host}");
        }
        for host in [
            "example.com",
            ".example.com",
            "..example.com",
            "a..example.com",
            ".a.example.com",
            "aexample.com",
            "a.example.com.evil.test",
            "a.example.com..",
            "a.example.com:80:80",
            "",
            "com",
            "bücher-example.com",
        ] {
            assert!(!matches("*.example.com", host), "{host}");
        }
    }

    #[test]
    fn an_ipv6_address_is_the_same_however_it_is_written() {
        for host in [
            "[2001:db8::1]",
            "[2001:DB8:0:0::1]:8080",
            "[2001:0db8::0001]",
        ] {
            assert!(matches("[2001:db8::1]", host), "{host}");
        }
        assert!(!matches("[2001:db8::1]", "[2001:db8::2]"));
        assert!(!matches("[2001:db8::1]", "2001:db8::1"));
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_written() {
        assert_eq!(
            HostPattern::new("*.Example.com.").to_string(),
            "*.example.com"
        );
        assert_eq!(HostPattern::new("[0::1]").to_string(), "[::1]");
    }

    /// What the words say, label by label.
    fn naive(pattern: &str, host: &str) -> bool {
        let lower = |text: &str| text.to_ascii_lowercase();
        let (pattern, host) = (lower(pattern), lower(host));
        let host = host.split(':').next().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut wanted: Vec<&str> = pattern.split('.').collect();
        let mut given: Vec<&str> = host.split('.').collect();
        if wanted[0] != "*" {
            return wanted == given;
        }
        wanted.reverse();
        given.reverse();
        let fixed = wanted.len() - 1;
        given.len() > fixed
            && given[..fixed] == wanted[..fixed]
            && given[fixed..].iter().all(|label| !label.is_empty())
    }

    fn label() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "aa", "A", "", "com"])
    }

    proptest! {
        #[test]
        fn patterns_are_for_the_hosts_that_the_words_say(
            pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "aa", "com"]), 1..4),
            is_wildcard: bool,
            host in prop::collection::vec(label(), 1..6),
            end in prop::sample::select(vec!["", ".", ":80", ".:80"]),
        ) {
            let wildcard = if is_wildcard { "*." } else { "" };
            let pattern = format!("{wildcard}{}", pattern.join("."));
            let host = host.join(".") + end;
            // Of a port without a host nothing can be said.
            prop_assume!(!host.starts_with(':'));
            prop_assert_eq!(matches(&pattern, &host), naive(&pattern, &host), "{} {}", pattern, host);
        }
    }
}
