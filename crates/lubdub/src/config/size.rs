//! Sizes as an operator writes them: bytes, or whole numbers of KiB, MiB and GiB.

use super::error::Wrong;

/// The units, in bytes.
const UNITS: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

/// Reads a size in bytes, which may be zero.
///
/// # Errors
/// If it is not a whole number of one of the units.
pub(crate) fn parse(text: &str) -> Result<u64, Wrong> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    if digits.is_empty() {
        return Err(not_a_size());
    }
    let scale = match unit {
        "" => 1,
        _ => UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, scale)| *scale)
            .ok_or_else(not_a_size)?,
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(scale))
        .ok_or_else(|| Wrong::new("is more than can be counted"))
}

pub(crate) fn not_a_size() -> Wrong {
    Wrong::new("must be a size in bytes, KiB, MiB or GiB, such as 65536, \"64KiB\" or \"1MiB\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_and_binary_units() {
        assert_eq!(parse("65536"), Ok(65536));
        assert_eq!(parse("512B"), Ok(512));
        assert_eq!(parse("64KiB"), Ok(64 << 10));
        assert_eq!(parse("1MiB"), Ok(1 << 20));
        assert_eq!(parse("2GiB"), Ok(2 << 30));
    }

    #[test]
    fn nonsense_is_refused() {
        // "KB" is 1000 to some and 1024 to others.
        for text in ["", "KiB", "64KB", "64k", "1.5MiB", "-1", "64 KiB", "64kib"] {
            assert_eq!(parse(text), Err(not_a_size()), "{text}");
        }
        assert!(parse("18446744073709551615GiB").is_err());
    }
}
