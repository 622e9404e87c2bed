//! How a pair comes to its end: what ended it, and the Close that told of it.

use std::borrow::Cow;
use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_metrics::{Cause, Diagnosis};
use lubdub_wire::CloseCode;

use crate::registry::SeenClose;
use crate::settings::CloseCodes;

/// What is known about the end of a pair.
#[derive(Debug, Default)]
pub(super) struct Fate {
    cause: Option<Cause>,
    by_lubdub: bool,
    /// The first Close that passed.
    pub(super) close: Option<SeenClose>,
    /// Boxed: few pairs have it, and all have the room for it.
    pub(super) lapse: Option<Box<Lapse>>,
}

/// What is known of the side that has lapsed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lapse {
    /// How long it had been silent.
    pub(super) silent_for: Duration,
    /// What the kernel could tell about that.
    pub(super) diagnosis: Diagnosis,
}

impl Fate {
    pub(super) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// lubdub has decided to end the pair.
    pub(super) fn is_by_lubdub(&self) -> bool {
        self.by_lubdub
    }

    /// An endpoint did something that ends the pair; the first such thing counts.
    pub(super) fn by_endpoint(&mut self, cause: Cause) {
        self.cause.get_or_insert(cause);
    }

    /// lubdub ends the pair. This counts more than a farewell between the endpoints that was under
    /// way and would not have come to its end.
    pub(super) fn by_lubdub(&mut self, cause: Cause) {
        if !self.by_lubdub {
            self.by_lubdub = true;
            self.cause = Some(cause);
        }
    }
}

pub(super) fn closed(by: Side) -> Cause {
    match by {
        Side::Client => Cause::ClientClosed,
        Side::Upstream => Cause::UpstreamClosed,
    }
}

pub(super) fn eof(of: Side) -> Cause {
    match of {
        Side::Client => Cause::ClientEof,
        Side::Upstream => Cause::UpstreamEof,
    }
}

pub(super) fn reset(of: Side) -> Cause {
    match of {
        Side::Client => Cause::ClientReset,
        Side::Upstream => Cause::UpstreamReset,
    }
}

pub(super) fn lapsed(side: Side) -> Cause {
    match side {
        Side::Client => Cause::ClientLapsed,
        Side::Upstream => Cause::UpstreamLapsed,
    }
}

pub(super) fn stalled(side: Side) -> Cause {
    match side {
        Side::Client => Cause::ClientStalled,
        Side::Upstream => Cause::UpstreamStalled,
    }
}

/// The code of lubdub's Close to `side` when it ends a pair for `cause`.
pub(super) fn code(codes: &CloseCodes, side: Side, cause: Cause) -> CloseCode {
    let (to_client, to_upstream) = (&codes.to_client, &codes.to_upstream);
    match (side, cause) {
        (Side::Client, Cause::UpstreamLapsed) => to_client.upstream_lapsed,
        (Side::Client, Cause::UpstreamStalled) => to_client.upstream_stalled,
        (Side::Client, Cause::Drain) => to_client.drain,
        (Side::Client, Cause::Lifetime) => to_client.lifetime,
        (Side::Client, Cause::DataIdle) => to_client.data_idle,
        (Side::Client, Cause::FrameTooBig) => to_client.frame_too_big,
        (Side::Client, Cause::Limit) => to_client.limit,
        (Side::Upstream, Cause::ClientLapsed) => to_upstream.client_lapsed,
        (Side::Upstream, Cause::ClientStalled) => to_upstream.client_stalled,
        (Side::Upstream, Cause::Drain) => to_upstream.drain,
        (Side::Upstream, Cause::Lifetime) => to_upstream.lifetime,
        (Side::Upstream, Cause::DataIdle) => to_upstream.data_idle,
        (Side::Upstream, Cause::FrameTooBig) => to_upstream.frame_too_big,
        (Side::Upstream, Cause::Limit) => to_upstream.limit,
        // What the endpoints do is not announced by lubdub, and a side is not told of itself.
        (
            _,
            Cause::ClientClosed
            | Cause::UpstreamClosed
            | Cause::ClientEof
            | Cause::UpstreamEof
            | Cause::ClientReset
            | Cause::UpstreamReset
            | Cause::ClientLapsed
            | Cause::UpstreamLapsed
            | Cause::ClientStalled
            | Cause::UpstreamStalled
            | Cause::CloseTimeout
            | Cause::Admin
            | Cause::Internal,
        ) => CloseCode::GOING_AWAY,
    }
}

/// What a Close of lubdub's says besides its code when it ends a pair for `cause`.
pub(super) fn reason(cause: Cause) -> Cow<'static, str> {
    // What concerns the endpoint: that it may come back at once.
    if cause == Cause::Drain {
        return Cow::Borrowed("restarting");
    }
    Cow::Owned(cause.as_str().replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ToClientCodes, ToUpstreamCodes};

    #[test]
    fn a_reason_is_the_cause_in_words() {
        assert_eq!(reason(Cause::UpstreamLapsed), "upstream lapsed");
        assert_eq!(reason(Cause::FrameTooBig), "frame too big");
        assert_eq!(reason(Cause::Lifetime), "lifetime");
        assert_eq!(reason(Cause::Drain), "restarting");
    }

    #[test]
    fn a_close_carries_the_code_of_its_direction_and_cause() {
        let code = |n| CloseCode::try_new(n).unwrap();
        let codes = CloseCodes {
            to_client: ToClientCodes {
                upstream_lapsed: code(4001),
                upstream_stalled: code(4002),
                drain: code(4003),
                lifetime: code(4004),
                data_idle: code(4005),
                frame_too_big: code(4006),
                limit: code(4007),
            },
            to_upstream: ToUpstreamCodes {
                client_lapsed: code(4101),
                client_stalled: code(4102),
                drain: code(4103),
                lifetime: code(4104),
                data_idle: code(4105),
                frame_too_big: code(4106),
                limit: code(4107),
            },
        };
        for (cause, to_client, to_upstream) in [
            (Cause::UpstreamLapsed, 4001, 1001),
            (Cause::UpstreamStalled, 4002, 1001),
            (Cause::ClientLapsed, 1001, 4101),
            (Cause::ClientStalled, 1001, 4102),
            (Cause::Drain, 4003, 4103),
            (Cause::Lifetime, 4004, 4104),
            (Cause::DataIdle, 4005, 4105),
            (Cause::FrameTooBig, 4006, 4106),
            (Cause::Limit, 4007, 4107),
            (Cause::CloseTimeout, 1001, 1001),
            (Cause::Admin, 1001, 1001),
            (Cause::Internal, 1001, 1001),
        ] {
            let sent = |side| super::code(&codes, side, cause).get();
            assert_eq!(
                (sent(Side::Client), sent(Side::Upstream)),
                (to_client, to_upstream),
                "{cause:?}"
            );
        }
    }
}
