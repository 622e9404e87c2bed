//! Which pairs somebody means, live or ended: by number, or by what `--where` says in the words of the admin interface.

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    key: String,
    value: String,
}

/// Reads `KEY=VALUE`, of which the key is a `known` one.
pub(crate) fn condition(text: &str, known: &[&str]) -> Result<Condition, String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            (key.replace('-', "_"), value)
        }
        _ => return Err("must be KEY=VALUE, such as route=chat".to_owned()),
    };
    if !known.contains(&key.as_str()) {
        return Err(format!(
            "there is no such key; there is: {}",
            known.join(", ")
        ));
    }
    let value = value.to_owned();
    Ok(Condition { key, value })
}

/// Reads the number of a pair.
pub(crate) fn pair_id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        "must be the number of a pair, such as 17: PAIR in `lubdub pairs`, `pair` in the log"
            .to_owned()
    })
}

/// A path with a query.
pub(super) fn path(path: &str, conditions: &[Condition], more: &[(&str, String)]) -> String {
    let conditions = conditions.iter().map(|it| (&*it.key, &*it.value));
    let more = more.iter().map(|(key, value)| (*key, &**value));
    let query = conditions.chain(more);
    let query: Vec<_> = query
        .map(|(key, value)| format!("{key}={}", escaped(value)))
        .collect();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", query.join("&")),
    }
}

/// As it stands in a query (RFC 3986 2.1).
fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    text.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_known_key_and_a_value() {
        let known = ["route", "silent_for"];
        let read = condition("silent-for=30s", &known).unwrap();
        assert_eq!((&*read.key, &*read.value), ("silent_for", "30s"));
        for wrong in ["", "route", "=x", "route="] {
            assert!(condition(wrong, &known).is_err(), "{wrong}");
        }
        let error = condition("color=red", &known).unwrap_err();
        assert!(error.ends_with("there is: route, silent_for"), "{error}");
    }

    #[test]
    fn conditions_are_a_query() {
        let known = ["client", "route"];
        let conditions = ["client=2001:db8::/32", "route=a&b c"];
        let conditions = conditions.map(|text| condition(text, &known).unwrap());
        let more = [("limit", "5".to_owned())];
        let made = path("/x", &conditions, &more);
        assert_eq!(made, "/x?client=2001:db8::/32&route=a%26b%20c&limit=5");
        assert_eq!(path("/x", &[], &[]), "/x");
    }
}
