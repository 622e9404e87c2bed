//! Close codes: those that may be sent, and what a Close that came says (RFC 6455 sections 5.5.1
//! and 7.4; 1012 to 1014 from the registry that section 11.7 opened).

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::{error, fmt};

/// A status code that may be put into a Close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

/// Why a status code may not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidCloseCode {
    /// Below 1000 or above 4999.
    OutOfRange(u16),
    /// 1005, 1006 and 1015 tell an application how a connection ended; they are never on the wire.
    OnlyReported(u16),
    /// 1004 and 1016 to 2999: no meaning has been given to it.
    Unassigned(u16),
}

/// What the payload of a Close says, as it came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// The status code, of any value; `None` if there were not two bytes.
    pub code: Option<u16>,
    /// The reason, which should be UTF-8.
    pub reason: &'a [u8],
}

// === impl CloseCode ===

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// An endpoint goes away: a server down, a browser to another page.
    pub const GOING_AWAY: Self = Self(1001);
    /// A protocol error.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A type of data that cannot be accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Data inconsistent with the type of its message.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A policy was violated; also where no other code is suitable.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message is too big to be processed.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// A client misses an extension that it asked for.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// An unexpected condition.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts: reconnect.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The service is overloaded: reconnect later, or elsewhere.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A gateway got an invalid answer from its upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The codes that may be sent.
    pub const SENDABLE: [RangeInclusive<u16>; 3] = [1000..=1003, 1007..=1014, 3000..=4999];

    /// A code that may be sent: one of [`Self::SENDABLE`].
    ///
    /// # Errors
    /// For all other codes, with the reason.
    pub fn try_new(code: u16) -> Result<Self, InvalidCloseCode> {
        match code {
            _ if Self::SENDABLE.iter().any(|range| range.contains(&code)) => Ok(Self(code)),
            1005 | 1006 | 1015 => Err(InvalidCloseCode::OnlyReported(code)),
            0..=999 | 5000.. => Err(InvalidCloseCode::OutOfRange(code)),
            _ => Err(InvalidCloseCode::Unassigned(code)),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl InvalidCloseCode ===

impl fmt::Display for InvalidCloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange(code) => {
                write!(f, "close code {code} is not in the range 1000 to 4999")
            }
            Self::OnlyReported(code) => write!(
                f,
                "close code {code} is only reported to applications and must never be sent"
            ),
            Self::Unassigned(code) => write!(
                f,
                "close code {code} has no assigned meaning; use 3000 to 4999 for codes of your own"
            ),
        }
    }
}

impl error::Error for InvalidCloseCode {}

// === impl Close ===

impl<'a> Close<'a> {
    /// Reads the unmasked payload of a Close. A lone byte, which is no code, says nothing.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Self {
        match payload.split_first_chunk() {
            Some((code, reason)) => Self {
                code: Some(u16::from_be_bytes(*code)),
                reason,
            },
            None => Self {
                code: None,
                reason: &[],
            },
        }
    }

    /// The reason as text, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn reason_lossy(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.reason)
    }
}

/// Does not show the reason: it is logged only when that is asked for.
impl fmt::Debug for Close<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Close")
            .field("code", &self.code)
            .field("reason", &format_args!("{} bytes", self.reason.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_codes_that_may_be_sent_are_accepted() {
        for code in 0..=u16::MAX {
            let sendable = (1000..=1003).contains(&code)
                || (1007..=1014).contains(&code)
                || (3000..=4999).contains(&code);
            assert_eq!(
                CloseCode::try_new(code).map(CloseCode::get).ok(),
                sendable.then_some(code)
            );
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let why = |code| CloseCode::try_new(code).unwrap_err().to_string();
        for code in [1005, 1006, 1015] {
            assert!(why(code).ends_with("must never be sent"), "{}", why(code));
        }
        for code in [1004, 1016, 2999] {
            assert!(why(code).contains("no assigned meaning"), "{}", why(code));
        }
        for code in [0, 999, 5000, u16::MAX] {
            assert!(why(code).contains("1000 to 4999"), "{}", why(code));
        }
    }

    #[test]
    fn reads_any_payload() {
        let read = |payload| {
            let close = Close::parse(payload);
            (close.code, close.reason_lossy().into_owned())
        };
        assert_eq!(read(b""), (None, String::new()));
        assert_eq!(read(b"\x03"), (None, String::new()));
        assert_eq!(read(b"\x03\xe8"), (Some(1000), String::new()));
        assert_eq!(read(b"\x03\xeegone"), (Some(1006), "gone".into()));
        assert_eq!(read(b"\x00\x00\xff!"), (Some(0), "\u{fffd}!".into()));
    }

    #[test]
    fn debug_does_not_show_the_reason() {
        let close = Close::parse(b"\x03\xe8secret");
        assert_eq!(
            format!("{close:?}"),
            "Close { code: Some(1000), reason: 6 bytes }"
        );
    }
}
