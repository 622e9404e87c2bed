//! The table of the run: every way in which a pair, or what was to become one, comes to its end, and
//! what lubdub must call that. Whatever it has a name for is in the table, or left out with a
//! reason (`names.rs`).

use lubdub_keepalive::Side::{Client, Upstream};
use lubdub_metrics::{Cause, Outcome};

use crate::endings::Ending::{self, *};
use crate::failings::Failing::{self, *};
use crate::terms::Terms;

/// One way to come to an end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) what: What,
    pub(crate) terms: Terms,
    /// How many of a thousand pairs take it, or besides a thousand pairs. Few if it takes time.
    pub(crate) share: usize,
}

/// What comes to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// A pair, for this cause.
    Pair(Ending, Cause),
    /// An upgrade that never becomes one, with this outcome; `None` if there was too little of it
    /// to be counted.
    Upgrade(Failing, Option<Outcome>),
}

/// Declares the table: the share, who does what on which terms, and what lubdub must call it.
macro_rules! ways {
    (
        pairs { $($of_pairs:literal: $ending:expr, $on:ident => $cause:ident;)* }
        upgrades { $($of_upgrades:literal: $failing:expr, $under:ident => $outcome:expr;)* }
    ) => {
        /// All of them.
        pub(crate) const WAYS: &[Way] = &[
            $(Way {
                what: What::Pair($ending, Cause::$cause),
                terms: Terms::$on,
                share: $of_pairs,
            },)*
            $(Way {
                what: What::Upgrade($failing, $outcome),
                terms: Terms::$under,
                share: $of_upgrades,
            },)*
        ];
    };
}

ways! {
    pairs {
        120: Closes(Client), Patient => ClientClosed;
        120: Closes(Upstream), Patient => UpstreamClosed;
        120: Finishes(Client), Patient => ClientEof;
        120: Finishes(Upstream), Patient => UpstreamEof;
        120: Resets(Client), Patient => ClientReset;
        120: Resets(Upstream), Patient => UpstreamReset;
        35: Lapses(Client), ClientPinged => ClientLapsed;
        35: Lapses(Upstream), UpstreamPinged => UpstreamLapsed;
        10: Stalls(Client), Stalling => ClientStalled;
        10: Stalls(Upstream), Stalling => UpstreamStalled;
        15: IsNotAnswered(Client), Closing => CloseTimeout;
        15: IsNotAnswered(Upstream), Closing => CloseTimeout;
        15: IsLeftHalfOpen(Client), Closing => CloseTimeout;
        15: IsLeftHalfOpen(Upstream), Closing => CloseTimeout;
        25: Expires { to_client: 1001 }, Idle => DataIdle;
        25: Expires { to_client: 1012 }, Mortal => Lifetime;
        40: Oversteps(Client), Frames => FrameTooBig;
        40: Oversteps(Upstream), Frames => FrameTooBig;
    }
    upgrades {
        30: NotWanted, Patient => Some(Outcome::Refused);
        15: WrongAccept, Patient => Some(Outcome::BadAnswer);
        15: HungUpOn, Patient => Some(Outcome::BadAnswer);
        10: NotAnswered, Answering => Some(Outcome::AnswerTimeout);
        15: NobodyThere, Nobody => Some(Outcome::ConnectFailed);
        10: NotConnected, Deaf => Some(Outcome::ConnectTimeout);
        30: NoRoute, Patient => Some(Outcome::NoRoute);
        15: NoRoom, Full => Some(Outcome::Limited);
        15: NoRoom, Crowded => Some(Outcome::AtCapacity);
        30: WithBody, Patient => Some(Outcome::BadRequest);
        10: NeverWhole, Patient => Some(Outcome::RequestTimeout);
        15: LeftHalfSaid, Patient => None;
        15: LeftBeforeAnswer, Patient => Some(Outcome::ClientGone);
        15: ResetBeforeAnswer, Patient => Some(Outcome::ClientGone);
    }
}
