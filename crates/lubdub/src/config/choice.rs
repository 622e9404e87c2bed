//! Settings that are one of a few words: the words are declared here, once, for the parser, the
//! reference and the error messages.

use lubdub_keepalive::{Enforce, Evidence, Mode};
use lubdub_proxy::settings::{
    CloseReason, ForwardedStyle, OnRemoved, OriginMissing, ProxyProtocol, ProxyVersion,
    RequestDetail,
};
use tracing::Level;

use super::{ClientAuth, LogFormat};

/// A type whose values have words.
pub(crate) trait Choice: Copy + 'static {
    /// The words.
    const WORDS: &'static [&'static str];
    /// The values, in the order of the words.
    const VALUES: &'static [Self];

    /// The value of `word`.
    fn from_word(word: &str) -> Option<Self> {
        let index = Self::WORDS.iter().position(|known| *known == word)?;
        Self::VALUES.get(index).copied()
    }
}

macro_rules! choice {
    ($type:ty { $($word:literal => $value:expr,)+ }) => {
        impl Choice for $type {
            const WORDS: &'static [&'static str] = &[$($word),+];
            const VALUES: &'static [Self] = &[$($value),+];
        }
    };
}

choice!(Mode {
    "interval" => Self::Interval,
    "idle" => Self::Idle,
});

choice!(Evidence {
    "any" => Self::Any,
    "pong" => Self::Pong,
});

choice!(Enforce {
    "always" => Self::Always,
    "learned" => Self::Learned,
    "never" => Self::Never,
});

choice!(CloseReason {
    "cause" => Self::Cause,
    "off" => Self::Off,
});

choice!(ForwardedStyle {
    "x-forwarded" => Self::XForwarded,
    "forwarded" => Self::Forwarded,
    "both" => Self::Both,
    "off" => Self::Off,
});

choice!(ProxyProtocol {
    "off" => Self::Off,
    "optional" => Self::Optional,
    "required" => Self::Required,
});

choice!(Option<ProxyVersion> {
    "off" => None,
    "v1" => Some(ProxyVersion::V1),
    "v2" => Some(ProxyVersion::V2),
});

choice!(OnRemoved {
    "keep" => Self::Keep,
    "drain" => Self::Drain,
});

choice!(ClientAuth {
    "off" => Self::Off,
    "optional" => Self::Optional,
    "required" => Self::Required,
});

choice!(OriginMissing {
    "allow" => Self::Allow,
    "deny" => Self::Deny,
});

choice!(RequestDetail {
    "off" => Self::Off,
    "host" => Self::Host,
    "path" => Self::Path,
});

choice!(LogFormat {
    "text" => Self::Text,
    "json" => Self::Json,
});

choice!(Level {
    "error" => Self::ERROR,
    "warn" => Self::WARN,
    "info" => Self::INFO,
    "debug" => Self::DEBUG,
    "trace" => Self::TRACE,
});
