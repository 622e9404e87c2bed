//! Rates as an operator writes them: how much a second, "20/s" or "1MiB/s".
//!
//! The time is always a second, and always said: "100" is a rate to one reader and a total to another.

use std::num::{NonZeroU32, NonZeroU64};

use super::error::Wrong;
use super::size;

/// Reads how many a second.
///
/// # Errors
/// If it is not a whole number above zero with `/s` behind it.
pub(crate) fn count(text: &str) -> Result<NonZeroU32, Wrong> {
    let digits = text.strip_suffix("/s").ok_or_else(not_a_count)?;
    if !is_whole(digits) {
        return Err(not_a_count());
    }
    let count: u32 = digits.parse().map_err(|_| too_much())?;
    NonZeroU32::new(count).ok_or_else(not_a_count)
}

/// Reads how many bytes a second.
///
/// # Errors
/// If it is not a size above zero with `/s` behind it.
pub(crate) fn bytes(text: &str) -> Result<NonZeroU64, Wrong> {
    let size = text.strip_suffix("/s").ok_or_else(not_bytes)?;
    let bytes = size::parse(size).map_err(|wrong| {
        if wrong == size::not_a_size() {
            not_bytes()
        } else {
            wrong
        }
    })?;
    NonZeroU64::new(bytes).ok_or_else(not_bytes)
}

pub(crate) fn not_a_count() -> Wrong {
    Wrong::new("must be a whole number above zero a second, such as \"10/s\"")
}

pub(crate) fn not_bytes() -> Wrong {
    Wrong::new("must be a size above zero a second, such as \"64KiB/s\" or \"1MiB/s\"")
}

fn too_much() -> Wrong {
    Wrong::new("is more than can be counted")
}

fn is_whole(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second() {
        assert_eq!(count("1/s").map(NonZeroU32::get), Ok(1));
        assert_eq!(count("20/s").map(NonZeroU32::get), Ok(20));
        assert_eq!(count("4294967295/s").map(NonZeroU32::get), Ok(u32::MAX));
        assert_eq!(count("4294967296/s"), Err(too_much()));
    }

    #[test]
    fn so_many_bytes_a_second() {
        let bytes = |text| bytes(text).map(NonZeroU64::get);
        assert_eq!(bytes("1/s"), Ok(1));
        assert_eq!(bytes("1B/s"), Ok(1));
        assert_eq!(bytes("64KiB/s"), Ok(64 << 10));
        assert_eq!(bytes("1MiB/s"), Ok(1 << 20));
        assert_eq!(bytes("2GiB/s"), Ok(2 << 30));
        assert_eq!(bytes("18446744073709551615/s"), Ok(u64::MAX));
        assert_eq!(bytes("18446744073709551616/s"), Err(too_much()));
        assert_eq!(bytes("17179869184GiB/s"), Err(too_much()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", "/s", "s", "20", "0/s", "-1/s", "+1/s", "1.5/s", "20/m", "20/ s", "20 /s", "20/S",
            "20/s/s", "20ps", "١/s",
        ] {
            assert_eq!(count(text), Err(not_a_count()), "{text}");
            assert_eq!(bytes(text), Err(not_bytes()), "{text}");
        }
        for text in [
            "1MiB", "0KiB/s", "1MB/s", "1Mbit/s", "1MiB/m", "1.5MiB/s", "1 MiB/s",
        ] {
            assert_eq!(bytes(text), Err(not_bytes()), "{text}");
        }
    }

    #[test]
    fn a_number_of_things_has_no_unit() {
        for text in ["1KiB/s", "1B/s"] {
            assert_eq!(count(text), Err(not_a_count()), "{text}");
        }
    }
}
