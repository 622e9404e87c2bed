//! A reader of logfmt that takes nothing that is doubtful.

/// The fields of a line, in their order.
pub(super) fn parse(line: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (name, after) = rest.split_once('=').ok_or("a name without a value")?;
        let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.';
        if name.is_empty() || !name.bytes().all(is_of_name) {
            return Err("not a name");
        }
        let (value, after) = if after.starts_with('"') {
            let mut quoted = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = quoted.next().ok_or("no value")?.map_err(|_| "bad quotes")?;
            (value, &after[quoted.byte_offset()..])
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            let value = &after[..end];
            if value.is_empty() || value.contains(['"', '=', '\\']) || !value.is_ascii() {
                return Err("a value that wants quotes");
            }
            (value.to_owned(), &after[end..])
        };
        fields.push((name.to_owned(), value));
        if after.is_empty() {
            return Ok(fields);
        }
        rest = after.strip_prefix(' ').ok_or("no space between fields")?;
    }
}

#[test]
fn doubtful_lines_are_refused() {
    assert_eq!(
        parse("a=1 b=\"x \\\"y\\\" = z\""),
        Ok(vec![
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), "x \"y\" = z".to_owned())
        ])
    );
    for line in [
        "",
        "INFO",
        "a=",
        "a=b c",
        "a=b  c=d",
        "a=b\"c",
        "a=\"b",
        "a=\"b\"c=d",
        "A b=c",
        "a=b=c",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
