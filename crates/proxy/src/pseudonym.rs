//! `Via` (RFC 9110 7.6.3): by it a request that comes back is known.

use http::Version;
use http::header::{HeaderMap, HeaderValue, VIA};

/// The name under which this process is known in `Via`: "a recipient might use a pseudonym".
#[derive(Debug)]
pub(crate) struct Pseudonym(String);

impl Pseudonym {
    /// Another one for each process, so that two of them in a row are no loop.
    pub(crate) fn random() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the operating system has randomness");
        Self(format!("lubdub-{:016x}", u64::from_ne_bytes(random)))
    }

    /// Whether a request has come through this process before.
    pub(crate) fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(VIA).iter();
        values.any(|value| {
            let mut words = value
                .as_bytes()
                .split(|byte| byte.is_ascii_whitespace() || *byte == b',');
            words.any(|word| word.eq_ignore_ascii_case(self.0.as_bytes()))
        })
    }

    /// Adds this process to those that a request has come through: as a line of its own, so that
    /// nothing has to be made of what others wrote.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap, received: Version) {
        let version = if received == Version::HTTP_10 {
            "1.0"
        } else {
            "1.1"
        };
        if let Ok(via) = HeaderValue::from_str(&format!("{version} {}", self.0)) {
            headers.append(VIA, via);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_comes_back_is_known() {
        let (ours, another) = (Pseudonym::random(), Pseudonym::random());
        let mut headers = HeaderMap::new();
        headers.append(VIA, HeaderValue::from_static("1.0 fred, 1.1 p.example.net"));
        another.add_to(&mut headers, Version::HTTP_11);
        assert!(!ours.is_in(&headers));
        ours.add_to(&mut headers, Version::HTTP_10);
        assert!(ours.is_in(&headers) && another.is_in(&headers));
        let last = headers.get_all(VIA).iter().next_back().unwrap();
        assert!(last.to_str().unwrap().starts_with("1.0 lubdub-"));
    }
}
