//! Origins of pages, and what to write in place of what is none.

use lubdub_proxy::settings::{InvalidOrigin, OriginPattern};

use super::super::error::Wrong;
use super::super::leaf::Scalar;
use super::{Read, list, text};

/// Any number of origins.
pub(crate) fn origins(value: &Scalar) -> Read<Vec<OriginPattern>> {
    list(value).iter().map(origin).collect()
}

fn origin(value: &Scalar) -> Read<OriginPattern> {
    let written = text(value)?;
    if written == "*" {
        return Err(Wrong::new(
            "\"*\" is every page: leave it out, or list the pages that may, such as \
             [\"https://example.com\"]",
        ));
    }
    let scheme = written.split_once("://").map(|(scheme, _)| scheme);
    let is_of_a_websocket = |scheme: &str| ["ws", "wss"].contains(&&*scheme.to_ascii_lowercase());
    if let Some(scheme) = scheme
        && is_of_a_websocket(scheme)
    {
        let page = instead(&format!("http{}", &written[2..]));
        return Err(Wrong(format!(
            "{written:?} is not where a page is from: {page}"
        )));
    }
    OriginPattern::parse(written).map_err(|invalid| Wrong(wrong(written, invalid)))
}

fn wrong(written: &str, invalid: InvalidOrigin) -> String {
    match invalid {
        InvalidOrigin::Scheme => {
            let page = instead(&format!("https://{}", without_scheme(written)));
            format!("{written:?} has no scheme: {page}")
        }
        InvalidOrigin::Path => {
            let page = instead(written);
            format!("{written:?} has something behind the host: {page}")
        }
        InvalidOrigin::User => {
            // What is before the @ may be a secret.
            "must not name a user or a password".to_owned()
        }
        InvalidOrigin::Port => {
            format!("{written:?} has no port from 1 to 65535 behind its colon")
        }
        InvalidOrigin::Host if !written.is_ascii() => format!(
            "{written:?} is not as browsers send it, which is in ASCII: \
             \"https://b\u{fc}cher.example\" is \"https://xn--bcher-kva.example\""
        ),
        InvalidOrigin::Host => format!(
            "{written:?} has no host: write a whole one, or \"*.\" and a name, such as \
             \"https://*.example.com\""
        ),
    }
}

/// What to write instead, if that can be said.
fn instead(written: &str) -> String {
    let (scheme, rest) = written.split_once("://").unwrap_or_default();
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    match OriginPattern::parse(&format!("{scheme}://{host}")) {
        Ok(origin) => format!("write \"{origin}\""),
        Err(_) => {
            "write a scheme, a host and perhaps a port, such as \"https://example.com\"".to_owned()
        }
    }
}

fn without_scheme(written: &str) -> &str {
    written.trim_start_matches("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(value: &str) -> Scalar {
        Scalar::Text(value.to_owned())
    }

    #[test]
    fn origins_are_a_list() {
        let read = |value: &Scalar| -> Vec<_> {
            let origins = origins(value).unwrap();
            origins.iter().map(ToString::to_string).collect()
        };
        let expected = ["https://example.com", "https://*.example.com:8443", "null"];
        let array = expected.map(t).to_vec();
        assert_eq!(read(&Scalar::List(array)), expected);
        assert_eq!(read(&t(&expected.join(", "))), expected);
        assert!(read(&Scalar::List(Vec::new())).is_empty());
        assert!(read(&t("")).is_empty());
        assert!(origins(&Scalar::Bool(true)).is_err());
    }

    #[test]
    fn what_is_no_origin_is_told_what_to_write() {
        for (written, expected) in [
            ("https://example.com/", "write \"https://example.com\""),
            (
                "https://Example.com/chat?x",
                "write \"https://example.com\"",
            ),
            ("example.com", "write \"https://example.com\""),
            ("*.example.com", "write \"https://*.example.com\""),
            ("//example.com", "write \"https://example.com\""),
            ("wss://example.com", "write \"https://example.com\""),
            ("ws://example.com:8080", "write \"http://example.com:8080\""),
            ("*", "leave it out"),
            ("https://*", "\"https://*.example.com\""),
            ("https://a.*.com", "\"https://*.example.com\""),
            ("https://example.com:*", "no port from 1 to 65535"),
            ("https://b\u{fc}cher.example", "xn--bcher-kva"),
            ("https://me:hunter2@example.com", "must not name a user"),
            ("Null", "no scheme"),
        ] {
            let Wrong(wrong) = origins(&t(written)).unwrap_err();
            assert!(wrong.contains(expected), "{written}: {wrong}");
            assert!(!wrong.contains("hunter2"), "{wrong}");
        }
    }
}
