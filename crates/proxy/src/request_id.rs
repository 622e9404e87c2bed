//! What a request is called (`X-Request-Id`), by all who write something down about it.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestId {
    /// By this process: the number of the request in it. So a pair keeps eight bytes of it, not the text.
    Made(u64),
    /// By somebody who is trusted.
    Kept(HeaderValue),
}

/// Half of every id that this process makes, so that those of two processes are different ones.
static PROCESS: LazyLock<u64> = LazyLock::new(|| {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the operating system has randomness");
    u64::from_ne_bytes(random)
});

static NEXT: AtomicU64 = AtomicU64::new(1);

impl RequestId {
    /// The longest that is kept.
    const MOST: usize = 128;

    /// What the request with these header fields is called, if whoever says so is trusted and says one
    /// thing that can stand everywhere; or else a new name.
    pub(crate) fn of(headers: &HeaderMap, is_trusted: bool) -> Self {
        let mut said = headers.get_all(X_REQUEST_ID).iter();
        match (said.next(), said.next()) {
            (Some(said), None) if is_trusted && is_plain(said) => Self::Kept(said.clone()),
            _ => Self::Made(NEXT.fetch_add(1, Relaxed)),
        }
    }

    /// The name that another process has given to it, or has kept.
    pub(crate) fn kept(text: &str) -> Option<Self> {
        let value = HeaderValue::from_str(text).ok()?;
        is_plain(&value).then_some(Self::Kept(value))
    }

    /// As the upstream is told.
    pub(crate) fn value(&self) -> HeaderValue {
        match self {
            Self::Made(_) => {
                HeaderValue::try_from(self.to_string()).expect("hexadecimal digits can stand in it")
            }
            Self::Kept(value) => value.clone(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(number) => write!(f, "{:016x}{number:016x}", *PROCESS),
            Self::Kept(value) => f.write_str(value.to_str().unwrap_or_default()),
        }
    }
}

/// Whether it is 1 to 128 letters, digits, dots, hyphens and underscores.
fn is_plain(value: &HeaderValue) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=RequestId::MOST).contains(&value.len()) && value.as_bytes().iter().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &[&str], is_trusted: bool) -> RequestId {
        let said = said
            .iter()
            .map(|value| (X_REQUEST_ID, HeaderValue::from_str(value).unwrap()));
        RequestId::of(&HeaderMap::from_iter(said), is_trusted)
    }

    #[test]
    fn what_somebody_trusted_calls_it_is_kept() {
        for said in ["a", "A.b-c_9", &"x".repeat(128)] {
            assert_eq!(of(&[said], true).to_string(), *said);
            assert_eq!(of(&[said], true).value(), *said);
        }
    }

    #[test]
    fn what_strangers_say_or_what_is_not_plain_is_replaced() {
        let made = |id: RequestId| matches!(id, RequestId::Made(_));
        assert!(made(of(&["a"], false)));
        for said in ["", " ", "a b", "a\tb", "a/b", "a=\"b\"", &"x".repeat(129)] {
            assert!(made(of(&[said], true)), "{said:?}");
        }
        assert!(made(of(&["a", "a"], true)), "which of the two?");
        assert!(made(of(&[], true)));
    }

    #[test]
    fn names_that_are_made_are_plain_and_different() {
        let (one, another) = (of(&[], true), of(&[], true));
        assert_ne!(one.to_string(), another.to_string());
        assert!(is_plain(&one.value()));
        assert_eq!(one.to_string().len(), 32);
    }
}
