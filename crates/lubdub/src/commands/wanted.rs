//! What `--where` says: which pairs, live or ended, in the words of the admin interface.

use anyhow::bail;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    key: String,
    value: String,
}

/// Reads `KEY=VALUE`.
pub(crate) fn condition(text: &str) -> Result<Condition, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok(Condition {
            key: key.replace('-', "_"),
            value: value.to_owned(),
        }),
        _ => Err("must be KEY=VALUE, such as route=chat".to_owned()),
    }
}

/// A path with a query. Conditions may have only the keys that are `known`.
pub(super) fn path(
    path: &str,
    conditions: &[Condition],
    known: &[&str],
    more: &[(&str, String)],
) -> anyhow::Result<String> {
    let mut query = Vec::new();
    for Condition { key, value } in conditions {
        if !known.contains(&key.as_str()) {
            bail!(
                "--where {key}=...: there is no such key; there is: {}",
                known.join(", ")
            );
        }
        query.push((key.as_str(), value.as_str()));
    }
    query.extend(more.iter().map(|(key, value)| (*key, value.as_str())));
    let query: Vec<_> = query
        .iter()
        .map(|(key, value)| format!("{key}={}", escaped(value)))
        .collect();
    Ok(match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", query.join("&")),
    })
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
    fn a_condition_is_a_key_and_a_value() {
        let read = condition("silent-for=30s").unwrap();
        assert_eq!((&*read.key, &*read.value), ("silent_for", "30s"));
        for wrong in ["", "route", "=x", "route="] {
            assert!(condition(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn conditions_are_a_query() {
        let conditions =
            ["client=2001:db8::/32", "route=a&b c"].map(|text| condition(text).unwrap());
        let more = [("limit", "5".to_owned())];
        let made = path("/x", &conditions, &["client", "route"], &more).unwrap();
        assert_eq!(made, "/x?client=2001:db8::/32&route=a%26b%20c&limit=5");
        assert_eq!(path("/x", &[], &[], &[]).unwrap(), "/x");
        let error = path("/x", &conditions, &["route"], &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--where client=") && error.ends_with("there is: route"),
            "{error}"
        );
    }
}
