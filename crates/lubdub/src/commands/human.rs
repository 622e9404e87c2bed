//! What people read at a glance: numbers that are short, and of one width where that can be had; text of strangers.

use std::time::Duration;

use crate::plural::plural;

/// A duration in its two largest units, as in "3d 4h", "12m 5s" or "840ms".
pub(super) fn duration(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let secs = whole.as_secs();
    match secs {
        0 => format!("{}ms", whole.as_millis()),
        1..=9 => format!("{seconds:.1}s"),
        10..=59 => format!("{secs}s"),
        60..=3_599 => two(secs / 60, "m", secs % 60, "s"),
        3_600..=86_399 => two(secs / 3_600, "h", secs % 3_600 / 60, "m"),
        _ => two(secs / 86_400, "d", secs % 86_400 / 3_600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit} {small}{small_unit}"),
    }
}

/// A round trip, as in "0.3ms" or "48ms"; a dash before the first.
pub(super) fn round_trip(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 0.01 => format!("{:.1}ms", seconds * 1e3),
        Some(seconds) if seconds < 1.0 => format!("{:.0}ms", seconds * 1e3),
        Some(seconds) => duration(seconds),
    }
}

/// Bytes, as in "312 B" or "1.4 MiB".
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(super) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ if value < 10.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// A count with its thousands apart, as in "12,345".
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of something, as in "1 pair" or "12,345 pairs".
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", count(number), plural(number, noun))
}

/// What was read from strangers, fit for a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// What a pair's request was, in a line for each thing that is known.
pub(super) fn request(request: Option<&str>, id: Option<&str>) -> String {
    [("request", request), ("request id", id)]
        .iter()
        .filter_map(|(name, text)| Some(format!("  {name}: {}\n", plain((*text)?))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, written) in [
            (0.0, "0ms"),
            (0.84, "840ms"),
            (3.25, "3.2s"),
            (59.9, "59s"),
            (60.0, "1m"),
            (725.0, "12m 5s"),
            (7_260.0, "2h 1m"),
            (277_200.0, "3d 5h"),
            (-1.0, "0ms"),
            (f64::INFINITY, "213503982334601d 7h"),
        ] {
            assert_eq!(duration(seconds), written);
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(round_trip(None), "-");
        assert_eq!(round_trip(Some(0.0003)), "0.3ms");
        assert_eq!(round_trip(Some(0.048)), "48ms");
        assert_eq!(round_trip(Some(2.5)), "2.5s");
        assert_eq!(bytes(312), "312 B");
        assert_eq!(bytes(1_468_006), "1.4 MiB");
        assert_eq!(bytes(20 << 30), "20 GiB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(0, "pair"), "0 pairs");
        assert_eq!(counted(1, "pair"), "1 pair");
        assert_eq!(counted(1_000, "pair"), "1,000 pairs");
        assert_eq!(plain("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }
}
