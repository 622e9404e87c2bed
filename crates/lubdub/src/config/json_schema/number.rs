//! Whole numbers in text, as patterns: a schema can compare numbers only.

/// A pattern for the numbers from `least` to `most`, without zeros in front.
pub(super) fn between(least: u64, most: u64) -> String {
    let mut all = Vec::new();
    let mut from = least;
    // Those with as many digits at a time.
    loop {
        let digits = from.to_string().len();
        let longest = 10_u64.checked_pow(u32::try_from(digits).unwrap_or(u32::MAX));
        let to = longest.map_or(most, |next| most.min(next - 1));
        all.extend(same_length(&from.to_string(), &to.to_string()));
        if to == most {
            break;
        }
        from = to + 1;
    }
    format!("({})", all.join("|"))
}

/// A pattern for the numbers from `least` on, with at most so many digits.
pub(super) fn at_least(least: u64, digits: usize) -> String {
    let own = least.to_string().len();
    let most = "9".repeat(own);
    let mut all = same_length(&least.to_string(), &most);
    if own < digits {
        all.push(format!("[1-9][0-9]{{{own},{}}}", digits - 1));
    }
    format!("({})", all.join("|"))
}

/// Patterns for the numbers from `least` to `most`, which have as many digits.
fn same_length(least: &str, most: &str) -> Vec<String> {
    let (Some(first), Some(last)) = (least.bytes().next(), most.bytes().next()) else {
        return vec![String::new()];
    };
    let (least, most) = (&least[1..], &most[1..]);
    let is_all = |digits: &str, digit| digits.bytes().all(|it| it == digit);
    let (from_zero, to_nine) = (is_all(least, b'0'), is_all(most, b'9'));
    let with = |digit: u8, rest: Vec<String>| {
        let digit = char::from(digit);
        rest.into_iter().map(move |rest| format!("{digit}{rest}"))
    };
    if first == last && !(from_zero && to_nine) {
        return with(first, same_length(least, most)).collect();
    }
    let mut all = Vec::new();
    // The digits behind which everything may stand.
    let whole = (first + u8::from(!from_zero), last - u8::from(!to_nine));
    if !from_zero {
        let rest = same_length(least, &"9".repeat(least.len()));
        all.extend(with(first, rest));
    }
    if whole.0 <= whole.1 {
        all.push(class(whole.0, whole.1) + &any(least.len()));
    }
    if !to_nine {
        let rest = same_length(&"0".repeat(most.len()), most);
        all.extend(with(last, rest));
    }
    all
}

fn class(first: u8, last: u8) -> String {
    let (from, to) = (char::from(first), char::from(last));
    match last - first {
        0 => from.to_string(),
        _ => format!("[{from}-{to}]"),
    }
}

fn any(digits: usize) -> String {
    match digits {
        0 => String::new(),
        1 => "[0-9]".to_owned(),
        _ => format!("[0-9]{{{digits}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_can_be_read() {
        assert_eq!(
            between(0, 255),
            "([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
        );
        assert_eq!(
            between(1, 365),
            "([1-9]|[1-9][0-9]|[1-2][0-9]{2}|3[0-5][0-9]|36[0-5])"
        );
        assert_eq!(at_least(1, 3), "([1-9]|[1-9][0-9]{1,2})");
        assert_eq!(
            at_least(125, 19),
            "(12[5-9]|1[3-9][0-9]|[2-9][0-9]{2}|[1-9][0-9]{3,18})"
        );
    }

    /// Against the numbers themselves.
    #[test]
    fn patterns_match_their_numbers_and_no_others() {
        for (least, most) in [
            (0, 0),
            (0, 9),
            (1, 10),
            (7, 7),
            (8, 1013),
            (99, 101),
            (365, 2047),
        ] {
            let pattern = format!("^{}$", between(least, most));
            let schema = serde_json::json!({ "pattern": pattern });
            let schema = jsonschema::validator_for(&schema).unwrap();
            for number in 0..3000 {
                let matches = schema.is_valid(&number.to_string().into());
                assert_eq!(
                    matches,
                    (least..=most).contains(&number),
                    "{number}: {pattern}"
                );
            }
        }
        for least in [1, 8, 125, 8192] {
            let schema = serde_json::json!({ "pattern": format!("^{}$", at_least(least, 4)) });
            let schema = jsonschema::validator_for(&schema).unwrap();
            for number in 0..20_000 {
                let matches = schema.is_valid(&number.to_string().into());
                assert_eq!(
                    matches,
                    number >= least && number < 10_000,
                    "{number} of {least}"
                );
            }
        }
    }
}
