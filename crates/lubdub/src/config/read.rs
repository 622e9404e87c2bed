//! How single values are read: each function takes what was set and says what it means, or what
//! would have been right.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use lubdub_keepalive::Jitter;
use lubdub_wire::CloseCode;

use super::choice::Choice;
use super::error::Wrong;
use super::leaf::Scalar;
use super::{duration, size, url};

/// What reading a value gives.
type Read<T> = Result<T, Wrong>;

/// A duration above zero.
pub(crate) fn duration(value: &Scalar) -> Read<Duration> {
    match duration_or_zero(value)? {
        Duration::ZERO => Err(Wrong::new("must be longer than zero")),
        duration => Ok(duration),
    }
}

/// A duration that may be zero.
pub(crate) fn duration_or_zero(value: &Scalar) -> Read<Duration> {
    match value {
        Scalar::Text(text) => duration::parse(text),
        Scalar::Integer(number) => duration::parse(&number.to_string()),
        Scalar::Bool(_) | Scalar::Float(_) | Scalar::List(_) => duration::parse(""),
    }
}

/// A duration above zero, or "off".
pub(crate) fn duration_or_off(value: &Scalar) -> Read<Option<Duration>> {
    or_off(value, |value| match duration_or_zero(value)? {
        Duration::ZERO => Err(Wrong::new("must be longer than zero; \"off\" switches it off")),
        duration => Ok(duration),
    })
}

/// A number of bytes above zero.
pub(crate) fn size(value: &Scalar) -> Read<u64> {
    let bytes = match value {
        Scalar::Text(text) => size::parse(text)?,
        Scalar::Integer(number) => u64::try_from(*number).map_err(|_| size::not_a_size())?,
        Scalar::Bool(_) | Scalar::Float(_) | Scalar::List(_) => return Err(size::not_a_size()),
    };
    if bytes == 0 { Err(Wrong::new("must be more than zero")) } else { Ok(bytes) }
}

/// A number of bytes above zero, or "off".
pub(crate) fn size_or_off(value: &Scalar) -> Read<Option<u64>> {
    or_off(value, size)
}

/// A whole number above zero.
pub(crate) fn count(value: &Scalar) -> Read<NonZeroUsize> {
    let Scalar::Integer(number) = value else {
        return Err(Wrong::new("must be a whole number"));
    };
    usize::try_from(*number)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| Wrong::new("must be a whole number above zero"))
}

/// A whole number above zero, or "off".
pub(crate) fn count_or_off(value: &Scalar) -> Read<Option<usize>> {
    or_off(value, count).map(|count| count.map(NonZeroUsize::get))
}

/// A whole number above zero; `None` for "auto".
pub(crate) fn count_or_auto(value: &Scalar) -> Read<Option<NonZeroUsize>> {
    or_word(value, "auto", count)
}

/// A share of the interval.
pub(crate) fn jitter(value: &Scalar) -> Read<Jitter> {
    let share = match value {
        Scalar::Float(share) => *share,
        // Whatever loses precision here is far out of range.
        #[allow(clippy::cast_precision_loss)]
        Scalar::Integer(share) => *share as f64,
        Scalar::Text(_) | Scalar::Bool(_) | Scalar::List(_) => f64::NAN,
    };
    Jitter::try_new(share).map_err(|_| Wrong::new("must be a number from 0 to 1, such as 0.1"))
}

/// A code that a Close may carry.
pub(crate) fn close_code(value: &Scalar) -> Read<CloseCode> {
    let Scalar::Integer(number) = value else {
        return Err(Wrong::new("must be a close code such as 1001 or 4000"));
    };
    u16::try_from(*number)
        .ok()
        .and_then(|code| CloseCode::try_new(code).ok())
        .ok_or_else(|| {
            Wrong::new("is not a code that a Close may carry, such as 1001, 1011 or 3000 to 4999")
        })
}

/// One of the words of `T`.
pub(crate) fn choice<T: Choice>(value: &Scalar) -> Read<T> {
    let word = match value {
        Scalar::Text(text) => T::from_word(text),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) | Scalar::List(_) => None,
    };
    word.ok_or_else(|| Wrong(format!("must be one of \"{}\"", T::WORDS.join("\", \""))))
}

/// An IP address and a port.
pub(crate) fn address(value: &Scalar) -> Read<SocketAddr> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        Wrong::new("must be an IP address and a port, such as \"0.0.0.0:8080\" or \"[::]:8080\"")
    })
}

/// An IP address and a port, or "off".
pub(crate) fn address_or_off(value: &Scalar) -> Read<Option<SocketAddr>> {
    or_off(value, address)
}

/// A host name or IP literal as it stands in `Host`, without its port, in lower case.
pub(crate) fn host(value: &Scalar) -> Read<String> {
    let host = text(value)?;
    let is_literal = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(literal) => matches!(literal.parse(), Ok(IpAddr::V6(_))),
        None => false,
    };
    if is_literal || url::is_host_name(host) {
        return Ok(host.to_ascii_lowercase());
    }
    Err(Wrong::new("must be a host without a port, such as \"chat.example.com\""))
}

/// Any number of hosts.
pub(crate) fn hosts(value: &Scalar) -> Read<Vec<String>> {
    list(value).iter().map(host).collect()
}

/// Any number of networks; an address is a network of one.
pub(crate) fn networks(value: &Scalar) -> Read<Vec<IpNet>> {
    let network = |value: &Scalar| {
        let text = text(value).ok()?;
        let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(single)
    };
    list(value)
        .iter()
        .map(|value| network(value).ok_or_else(not_networks))
        .collect()
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
        return Err(Wrong::new("must be the beginning of a path, such as \"/chat\""));
    }
    Ok(if bare.is_empty() { "/".to_owned() } else { bare.to_owned() })
}

/// The path of a file.
pub(crate) fn file(value: &Scalar) -> Read<PathBuf> {
    text(value).map(PathBuf::from)
}

/// Text that is not empty.
pub(crate) fn text(value: &Scalar) -> Read<&str> {
    match value {
        Scalar::Text(text) if !text.is_empty() => Ok(text),
        Scalar::Text(_) => Err(Wrong::new("must not be empty")),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) | Scalar::List(_) => {
            Err(Wrong::new("must be a string"))
        }
    }
}

/// The values of a list. Text is a list with commas, as the environment likes it.
fn list(value: &Scalar) -> Vec<Scalar> {
    match value {
        Scalar::List(values) => values.clone(),
        Scalar::Text(text) if text.trim().is_empty() => Vec::new(),
        Scalar::Text(text) => {
            text.split(',').map(|item| Scalar::Text(item.trim().to_owned())).collect()
        }
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) => vec![value.clone()],
    }
}

fn or_off<T>(value: &Scalar, read: impl FnOnce(&Scalar) -> Read<T>) -> Read<Option<T>> {
    or_word(value, "off", read)
}

fn or_word<T>(
    value: &Scalar,
    word: &str,
    read: impl FnOnce(&Scalar) -> Read<T>,
) -> Read<Option<T>> {
    match value {
        Scalar::Text(text) if text == word => Ok(None),
        _ => match read(value) {
            Ok(value) => Ok(Some(value)),
            Err(Wrong(wrong)) if wrong.contains(&format!("\"{word}\"")) => Err(Wrong(wrong)),
            Err(Wrong(wrong)) => Err(Wrong(format!("{wrong}; or \"{word}\""))),
        },
    }
}

fn not_networks() -> Wrong {
    Wrong::new("must be a list of networks, such as [\"10.0.0.0/8\", \"fd00::/8\"]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(value: &str) -> Scalar {
        Scalar::Text(value.to_owned())
    }

    fn wrong<T: std::fmt::Debug>(result: Read<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn zero_is_a_duration_only_where_it_is_fine() {
        assert_eq!(duration_or_zero(&t("0s")), Ok(Duration::ZERO));
        assert_eq!(wrong(duration(&t("0s"))), "must be longer than zero");
        assert!(wrong(duration_or_off(&t("0s"))).contains("\"off\""));
        assert_eq!(duration_or_off(&t("off")), Ok(None));
        assert!(duration(&t("off")).is_err());
    }

    #[test]
    fn a_number_is_not_a_duration() {
        assert!(wrong(duration(&Scalar::Integer(5))).contains("needs a unit"));
        assert!(wrong(duration_or_off(&t("5"))).contains("needs a unit"));
        assert!(duration(&Scalar::Float(0.5)).is_err());
    }

    #[test]
    fn counts_and_sizes() {
        assert_eq!(count(&Scalar::Integer(3)).map(NonZeroUsize::get), Ok(3));
        assert_eq!(count_or_auto(&t("auto")), Ok(None));
        assert_eq!(count_or_off(&t("off")), Ok(None));
        for value in [Scalar::Integer(0), Scalar::Integer(-1), Scalar::Float(1.5), t("many")] {
            assert!(count(&value).is_err(), "{value}");
        }
        assert!(wrong(count_or_auto(&t("many"))).contains("\"auto\""));
        assert_eq!(size(&Scalar::Integer(10)), Ok(10));
        assert_eq!(size_or_off(&t("64KiB")), Ok(Some(65536)));
        assert!(size(&t("0")).is_err());
    }

    #[test]
    fn codes_that_may_not_be_sent_are_refused() {
        assert_eq!(close_code(&Scalar::Integer(1001)), Ok(CloseCode::GOING_AWAY));
        for code in [0, 999, 1005, 1006, 1015, 5000, 70000, -1] {
            assert!(close_code(&Scalar::Integer(code)).is_err(), "{code}");
        }
    }

    #[test]
    fn lists_are_arrays_or_have_commas() {
        let expected = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let array = Scalar::List(vec![t("10.0.0.0/8"), t("::1")]);
        assert_eq!(networks(&array), Ok(expected.clone()));
        assert_eq!(networks(&t("10.0.0.0/8, ::1")), Ok(expected));
        assert_eq!(networks(&t("")), Ok(vec![]));
        assert!(networks(&t("10.0.0.0/33")).is_err());
        assert_eq!(hosts(&t("A,b.c")), Ok(vec!["a".to_owned(), "b.c".to_owned()]));
        assert!(hosts(&t("a:80")).is_err());
    }

    #[test]
    fn prefixes_are_segments() {
        let prefix = |text| path_prefix(&t(text));
        assert_eq!(prefix("/"), Ok("/".to_owned()));
        assert_eq!(prefix("/chat/"), Ok("/chat".to_owned()));
        assert_eq!(prefix("/a/b"), Ok("/a/b".to_owned()));
        for text in ["", "chat", "//", "/a//b", "/a//", "/a?b", "/a#b", "/a b", "/ä"] {
            assert!(prefix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_have_no_port() {
        assert_eq!(host(&t("Chat.Example")), Ok("chat.example".to_owned()));
        assert_eq!(host(&t("[::1]")), Ok("[::1]".to_owned()));
        for text in ["", "a:80", "::1", "http://a", "*", "a b"] {
            assert!(host(&t(text)).is_err(), "{text}");
        }
    }
}
