//! The subject of a client's certificate as text (RFC 4514), in a form that fits a header field.

use std::fmt::Write as _;

use http::HeaderValue;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Short names of attribute types: those of RFC 4514 3, and a few that certificates have besides and
/// whose names are registered for LDAP as well.
const SHORT: [(&str, &str); 13] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GN"),
    ("2.5.4.5", "serialNumber"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The longest that is told. A part of a name would be another name.
const MOST: usize = 4096;

/// Why there is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untold {
    #[error("the subject of its certificate cannot be read")]
    Malformed,
    #[error("the subject of its certificate is longer than {MOST} bytes")]
    TooLong,
}

/// The subject of `certificate` for a header field.
pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<HeaderValue, Untold> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Untold::Malformed)?;
    let text = written(parsed.subject());
    if text.len() > MOST {
        return Err(Untold::TooLong);
    }
    HeaderValue::try_from(text).map_err(|_| Untold::Malformed)
}

/// A name as RFC 4514 writes it: the last part first. Only visible ASCII and spaces: all else is
/// escaped by its bytes in UTF-8 (2.4).
pub(super) fn written(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for (n, part) in parts.iter().rev().enumerate() {
        if n > 0 {
            text.push(',');
        }
        for (n, attribute) in part.iter().enumerate() {
            if n > 0 {
                text.push('+');
            }
            write_attribute(&mut text, attribute);
        }
    }
    text
}

fn write_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let kind = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == kind);
    match (short, attribute.as_str()) {
        (Some((_, name)), Ok(value)) => {
            text.push_str(name);
            text.push('=');
            write_value(text, value);
        }
        // 2.4: "If the AttributeType is of the dotted-decimal form, the AttributeValue is represented by a
        // number sign ('#' U+0023) character followed by the hexadecimal encoding of each of the octets".
        _ => {
            text.push_str(short.map_or(&*kind, |(_, name)| name));
            text.push_str("=#");
            let value = attribute.attr_value();
            let header = x509_parser::der_parser::asn1_rs::ToDer::to_der_vec(value);
            for byte in header.unwrap_or_default() {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
}

fn write_value(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let is_at_an_end = at == 0 || at == last;
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if is_at_an_end => text.push_str("\\ "),
            ' '..='~' => text.push(character),
            _ => {
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn told(parts: &[(DnType, &str)]) -> Result<String, Untold> {
        let mut name = DistinguishedName::new();
        for (kind, value) in parts {
            name.push(kind.clone(), *value);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        of(made.der()).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_last_part_of_a_name_stands_first() {
        let name = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example"),
            (DnType::CommonName, "device 7"),
        ];
        assert_eq!(told(&name).unwrap(), "CN=device 7,O=Example,C=DE");
        assert_eq!(told(&[]).unwrap(), "");
    }

    #[test]
    fn what_could_be_taken_for_another_name_is_escaped() {
        for (value, expected) in [
            ("a,O=Root", "CN=a\\,O=Root"),
            ("a+b", "CN=a\\+b"),
            (" #a ", "CN=\\ #a\\ "),
            ("#a", "CN=\\#a"),
            ("a\\b\"c", "CN=a\\\\b\\\"c"),
            ("a\r\nX-Admin: 1", "CN=a\\0D\\0AX-Admin: 1"),
            ("J\u{fc}rgen", "CN=J\\C3\\BCrgen"),
        ] {
            assert_eq!(told(&[(DnType::CommonName, value)]).unwrap(), expected);
        }
    }

    #[test]
    fn a_type_without_a_short_name_is_a_number() {
        let kind = DnType::CustomDnType(vec![1, 2, 3, 4]);
        assert_eq!(told(&[(kind, "ab")]).unwrap(), "1.2.3.4=#0c026162");
    }

    #[test]
    fn what_is_too_long_is_not_cut() {
        let long = "a".repeat(MOST);
        assert_eq!(told(&[(DnType::CommonName, &long)]), Err(Untold::TooLong));
    }
}
