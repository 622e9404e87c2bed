//! How single values are read: each function takes what was set and says what it means, or what
//! would have been right.

mod network;
mod origin;

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use http::HeaderName;
use lubdub_keepalive::Jitter;
use lubdub_wire::CloseCode;

use super::choice::Choice;
use super::error::Wrong;
use super::leaf::Scalar;
use super::{duration, rate, size};

pub(crate) use network::{
    address, address_or_off, host_or_keep, host_pattern, hosts, networks, path_prefix, server_name,
    trust,
};
pub(crate) use origin::origins;

/// What reading a value gives.
type Read<T> = Result<T, Wrong>;

/// Header fields that mean something to every server: to set or take out one of these would be to change what the
/// request is.
pub(super) const FIELDS_OF_SERVERS: [&str; 6] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "te",
];
/// So do all that begin with this.
pub(super) const FIELDS_OF_WEBSOCKET: &str = "sec-websocket-";

/// A duration above zero.
pub(crate) fn duration(value: &Scalar) -> Read<Duration> {
    duration::but_zero(zero_or_longer(value)?)
}

/// A duration that may be zero.
pub(crate) fn duration_or_zero(value: &Scalar) -> Read<Duration> {
    match value {
        Scalar::Text(text) => duration::parse(text),
        Scalar::Integer(number) => duration::parse(&number.to_string()),
        Scalar::Bool(_) | Scalar::Float(_) | Scalar::List(_) => duration::parse(""),
    }
}

/// A duration that may be zero, but is refused then: so zero needs no unit, which would be refused
/// next.
fn zero_or_longer(value: &Scalar) -> Read<Duration> {
    match value {
        Scalar::Integer(0) => Ok(Duration::ZERO),
        Scalar::Text(text) if text == "0" => Ok(Duration::ZERO),
        Scalar::Text(_)
        | Scalar::Integer(_)
        | Scalar::Bool(_)
        | Scalar::Float(_)
        | Scalar::List(_) => duration_or_zero(value),
    }
}

/// The name of a header field that says something about the client, in lower case.
pub(crate) fn field(value: &Scalar) -> Read<HeaderName> {
    let name = HeaderName::from_bytes(text(value)?.as_bytes())
        .map_err(|_| Wrong::new("must be the name of a header field, such as X-Client-Subject"))?;
    let is_websocket = name.as_str().starts_with(FIELDS_OF_WEBSOCKET);
    if is_websocket || FIELDS_OF_SERVERS.contains(&name.as_str()) {
        return Err(Wrong(format!(
            "must be a field of its own: {name} means something to every server"
        )));
    }
    Ok(name)
}

/// A duration above zero, or "off".
pub(crate) fn duration_or_off(value: &Scalar) -> Read<Option<Duration>> {
    or_off(value, |value| match zero_or_longer(value)? {
        Duration::ZERO => Err(Wrong::new(
            "must be longer than zero; \"off\" switches it off",
        )),
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
    if bytes == 0 {
        Err(Wrong::new("must be more than zero"))
    } else {
        Ok(bytes)
    }
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

/// Permissions of a file, as chmod(1) takes them in octal digits.
pub(crate) fn mode(value: &Scalar) -> Read<u32> {
    let digits = match value {
        Scalar::Text(text) if matches!(text.len(), 3 | 4) => text.as_str(),
        Scalar::Text(_)
        | Scalar::Bool(_)
        | Scalar::Integer(_)
        | Scalar::Float(_)
        | Scalar::List(_) => "",
    };
    let is_octal = digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= 0o777)
        .ok_or_else(|| {
            Wrong::new("must be permissions in octal digits, in quotes, such as \"0660\"")
        })
}

/// How many a second, or "off".
pub(crate) fn rate_or_off(value: &Scalar) -> Read<Option<NonZeroU32>> {
    or_off(value, |value| match value {
        Scalar::Text(text) => rate::count(text),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) | Scalar::List(_) => {
            Err(rate::not_a_count())
        }
    })
}

/// How many bytes a second, or "off".
pub(crate) fn byte_rate_or_off(value: &Scalar) -> Read<Option<NonZeroU64>> {
    or_off(value, |value| match value {
        Scalar::Text(text) => rate::bytes(text),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) | Scalar::List(_) => {
            Err(rate::not_bytes())
        }
    })
}

/// True or false.
pub(crate) fn switch(value: &Scalar) -> Read<bool> {
    match value {
        Scalar::Bool(value) => Ok(*value),
        Scalar::Text(_) | Scalar::Integer(_) | Scalar::Float(_) | Scalar::List(_) => {
            Err(Wrong::new("must be true or false"))
        }
    }
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
    let code = match value {
        Scalar::Integer(number) => u16::try_from(*number).ok(),
        Scalar::Text(_) | Scalar::Bool(_) | Scalar::Float(_) | Scalar::List(_) => None,
    };
    let code = code.ok_or_else(|| Wrong::new("must be a close code such as 1001 or 4000"))?;
    CloseCode::try_new(code).map_err(|error| Wrong(error.to_string()))
}

/// One of the words of `T`.
pub(crate) fn choice<T: Choice>(value: &Scalar) -> Read<T> {
    let word = match value {
        Scalar::Text(text) => T::from_word(text),
        Scalar::Bool(_) | Scalar::Integer(_) | Scalar::Float(_) | Scalar::List(_) => None,
    };
    word.ok_or_else(|| Wrong(format!("must be one of \"{}\"", T::WORDS.join("\", \""))))
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
        Scalar::Text(text) => text
            .split(',')
            .map(|item| Scalar::Text(item.trim().to_owned()))
            .collect(),
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
    if matches!(value, Scalar::Text(text) if text == word) {
        return Ok(None);
    }
    match read(value) {
        Ok(value) => Ok(Some(value)),
        Err(Wrong(wrong)) if wrong.contains(&format!("\"{word}\"")) => Err(Wrong(wrong)),
        Err(Wrong(wrong)) => Err(Wrong(format!("{wrong}, or \"{word}\""))),
    }
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
        // To say what unit it lacks would be to send somebody on to the next mistake.
        for zero in [Scalar::Integer(0), t("0")] {
            let longer = "must be longer than zero";
            assert_eq!(wrong(duration(&zero)), longer);
            assert_eq!(
                wrong(duration_or_off(&zero)),
                format!("{longer}; \"off\" switches it off")
            );
            assert!(wrong(duration_or_zero(&zero)).contains("as in \"0s\""));
        }
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
        for value in [
            Scalar::Integer(0),
            Scalar::Integer(-1),
            Scalar::Float(1.5),
            t("many"),
        ] {
            assert!(count(&value).is_err(), "{value}");
        }
        assert!(wrong(count_or_auto(&t("many"))).contains("\"auto\""));
        assert_eq!(size(&Scalar::Integer(10)), Ok(10));
        assert_eq!(size_or_off(&t("64KiB")), Ok(Some(65536)));
        assert!(size(&t("0")).is_err());
    }

    #[test]
    fn a_rate_is_so_many_a_second() {
        assert_eq!(rate_or_off(&t("10/s")), Ok(NonZeroU32::new(10)));
        assert_eq!(rate_or_off(&t("off")), Ok(None));
        for value in [t("10"), t("10/m"), Scalar::Integer(10)] {
            let wrong = wrong(rate_or_off(&value));
            assert!(wrong.contains("\"10/s\", or \"off\""), "{value}");
        }
        assert_eq!(byte_rate_or_off(&t("1KiB/s")), Ok(NonZeroU64::new(1024)));
        assert_eq!(byte_rate_or_off(&t("off")), Ok(None));
        for value in [t("1KiB"), t("on"), Scalar::Integer(10)] {
            let wrong = wrong(byte_rate_or_off(&value));
            assert!(wrong.contains("\"1MiB/s\", or \"off\""), "{value}");
        }
    }

    #[test]
    fn codes_that_may_not_be_sent_are_refused() {
        assert_eq!(
            close_code(&Scalar::Integer(1001)),
            Ok(CloseCode::GOING_AWAY)
        );
        for code in [0, 999, 1005, 1006, 1015, 5000, 70000, -1] {
            assert!(close_code(&Scalar::Integer(code)).is_err(), "{code}");
        }
    }
}
