//! The bearer token of the admin listener.

use std::fmt;
use std::path::Path;

use http::HeaderValue;

use super::error::Wrong;
use super::reading;

/// A secret that is compared, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// Reads a token from a file, without the white space around it.
    pub(crate) fn from_file(path: &Path) -> Result<Self, Wrong> {
        let text =
            reading::read_text(path).map_err(|error| Wrong(format!("cannot be read: {error}")))?;
        Self::try_new(&text)
    }

    /// Takes the one word in `text`.
    pub(crate) fn try_new(text: &str) -> Result<Self, Wrong> {
        let token = text.trim();
        if token.is_empty() {
            return Err(Wrong::new("names a file without a token in it"));
        }
        // What a header field can carry after "Bearer ".
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Wrong::new(
                "names a file with more in it than one word of ASCII",
            ));
        }
        Ok(Self(token.to_owned()))
    }

    /// The value of `Authorization` that presents it.
    pub(crate) fn bearer(&self) -> HeaderValue {
        let value = HeaderValue::try_from(format!("Bearer {}", self.0));
        let mut value = value.expect("a token has nothing that a field cannot carry");
        value.set_sensitive(true);
        value
    }

    /// Whether `presented` is the token, in a time that does not tell how much of it is right.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        let ours = self.0.as_bytes();
        let differences = ours
            .iter()
            .zip(presented)
            .fold(0, |seen, (a, b)| seen | (a ^ b));
        ours.len() == presented.len() && std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_trimmed_compared_and_never_shown() {
        let token = Token::try_new(" s3cret\n").unwrap();
        assert!(token.matches(b"s3cret"));
        for wrong in [&b"s3cre"[..], b"s3cret2", b"S3cret", b""] {
            assert!(!token.matches(wrong));
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for text in ["", " \n", "two words", "ä"] {
            assert!(Token::try_new(text).is_err(), "{text}");
        }
    }
}
