//! What operators ask for: the policies of a pair, and how long its world lasts.

use std::time::Duration;

use lubdub_keepalive::{Enforce, Evidence, Jitter, Mode, Policy};

use crate::dice::Dice;
use crate::script::{Time, ms, secs};

const HOUR: Time = secs(3600);

/// How fast a pair's heart beats, in the main.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The defaults: every 30 s, with a timeout of 30 s.
    Classic,
    /// Within a data centre.
    Brisk,
    /// Under an idle limit of a minute.
    Usual,
    /// Under a limit of minutes, or to spare radios.
    Patient,
}

impl Pace {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..40 => Self::Classic,
            40..48 => Self::Brisk,
            48..70 => Self::Usual,
            _ => Self::Patient,
        }
    }

    /// How fast it may beat after a change.
    pub(crate) fn of_a_change(self, dice: &mut Dice) -> Self {
        match self {
            Self::Classic => dice.pick(&[Self::Classic, Self::Usual, Self::Patient]),
            Self::Brisk | Self::Usual | Self::Patient => self,
        }
    }

    /// How long a world of this pace lasts: the slower, the longer, so that each has its share of
    /// the beats.
    pub(crate) fn lasts(self, dice: &mut Dice) -> Time {
        let (least, most) = match self {
            Self::Classic => (4, 30),
            Self::Brisk => (1, 4),
            Self::Usual => (2, 12),
            Self::Patient => (6, 60),
        };
        dice.between(HOUR * least, HOUR * most)
    }

    /// For one side.
    pub(crate) fn policy(self, dice: &mut Dice) -> Policy {
        let mut policy = match self {
            Self::Classic => Policy::default(),
            Self::Brisk => timed(dice, ms(250), secs(5)),
            Self::Usual => timed(dice, secs(5), secs(30)),
            Self::Patient => timed(dice, secs(30), secs(300)),
        };
        if dice.percent(30) {
            policy.evidence = Evidence::Pong;
        } else if dice.percent(30) {
            policy.mode = Mode::Idle;
        }
        policy.enforce = match dice.below(10) {
            0 => Enforce::Never,
            1..3 => Enforce::Learned,
            _ => Enforce::Always,
        };
        policy
    }
}

fn timed(dice: &mut Dice, least: Duration, most: Duration) -> Policy {
    let interval = dice.of_any_size(least, most);
    let timeout = if interval < secs(30) && dice.percent(5) {
        // More pings than may be unanswered fit into it.
        interval * 20
    } else {
        dice.of_any_size((interval / 4).max(ms(200)), interval * 3)
    };
    let jitter = if dice.percent(50) {
        Jitter::default()
    } else {
        Jitter::try_new(dice.below(101) as f64 / 100.0).expect("a share")
    };
    Policy::try_new(Some(interval), timeout, jitter).expect("a policy")
}
