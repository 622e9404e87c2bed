//! Durations as an operator writes them: whole numbers with units, "500ms", "1m30s".
//!
//! A unit is required: a bare number is seconds to one reader and milliseconds to another.

use std::time::Duration;

use lubdub_keepalive::Policy;

use super::error::Wrong;

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration that is accepted: far beyond use, well within the clock's range.
const MAX: Duration = Policy::MAX;

/// Any but zero.
pub(crate) fn but_zero(duration: Duration) -> Result<Duration, Wrong> {
    match duration {
        Duration::ZERO => Err(Wrong::new("must be longer than zero")),
        duration => Ok(duration),
    }
}

/// Reads a duration, which may be zero.
///
/// # Errors
/// If it is not a duration with units, longest first, or longer than a year.
pub(crate) fn parse(text: &str) -> Result<Duration, Wrong> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return Err(not_a_duration());
    }
    while !rest.is_empty() {
        let (digits, after) = split(rest, |c| c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        if digits.is_empty() {
            return Err(not_a_duration());
        }
        if unit.is_empty() && after.is_empty() {
            return Err(Wrong(format!(
                "needs a unit (ms, s, m, h or d), as in \"{text}s\""
            )));
        }
        // The iterator goes on from the unit before, so that units must fall.
        let (_, scale) = units
            .by_ref()
            .find(|(name, _)| *name == unit)
            .ok_or_else(not_a_duration)?;
        total = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(*scale))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(too_long)?;
        rest = after;
    }
    let total = Duration::from_millis(total);
    if total > MAX {
        Err(too_long())
    } else {
        Ok(total)
    }
}

/// A duration of whole milliseconds as [`parse`] reads it.
pub(crate) fn written(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, scale) in UNITS {
        if rest >= scale {
            text += &format!("{}{unit}", rest / scale);
            rest %= scale;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// Splits where `inside` ends to hold.
fn split(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !inside(c)).unwrap_or(text.len()))
}

fn not_a_duration() -> Wrong {
    Wrong::new("must be a duration in ms, s, m, h or d, such as \"500ms\", \"30s\" or \"1m30s\"")
}

fn too_long() -> Wrong {
    Wrong::new("must be at most \"365d\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_their_combinations() {
        let millis = |text| parse(text).unwrap().as_millis();
        assert_eq!(millis("1ms"), 1);
        assert_eq!(millis("5s"), 5_000);
        assert_eq!(millis("1m30s"), 90_000);
        assert_eq!(millis("1h"), 3_600_000);
        assert_eq!(millis("1d2h3m4s5ms"), 93_784_005);
        assert_eq!(millis("365d"), 31_536_000_000);
        assert_eq!(millis("0s"), 0);
    }

    #[test]
    fn what_is_written_can_be_read() {
        for text in ["1ms", "5s", "1m30s", "2h", "1d2h3m4s5ms", "365d", "0s"] {
            assert_eq!(written(parse(text).unwrap()), text);
        }
        assert_eq!(written(Duration::from_secs(60)), "1m");
    }

    #[test]
    fn a_bare_number_is_told_about_units() {
        assert_eq!(
            parse("5").unwrap_err().to_string(),
            "needs a unit (ms, s, m, h or d), as in \"5s\""
        );
        assert!(
            parse("1m30")
                .unwrap_err()
                .to_string()
                .starts_with("needs a unit")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", "s", "-5s", "1.5s", "5 s", "5x", "5S", "30s1m", "5s5s", "five", "5s ", "١s",
        ] {
            assert_eq!(parse(text), Err(not_a_duration()), "{text}");
        }
        for text in ["366d", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse(text), Err(too_long()), "{text}");
        }
    }
}
