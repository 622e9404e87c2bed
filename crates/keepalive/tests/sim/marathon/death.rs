//! The ways in which a side dies.

use std::fmt;

use lubdub_keepalive::{Enforce, Evidence, Mode, Side};

use crate::dice::Dice;
use crate::script::{Answers, PeerScript, Script, Time};
use crate::window::Window;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Death {
    /// Its host is gone.
    Vanished,
    /// Nothing reaches it any more; it may go on to send.
    Deaf,
    /// Nothing of it arrives any more.
    Mute,
    /// Its link takes longer than any timeout, and nothing is acknowledged.
    Choked,
    /// It goes on to talk, but answers no ping, and pongs are what is asked for.
    Hung,
    /// It vanished while lubdub was stalled.
    WhileStalled,
    /// It vanished while lubdub did not read it.
    WhileUnread,
    /// Its link crawled, and then died.
    WhileCrawling,
    /// It vanished, and is only observed.
    Observed,
}

impl Death {
    pub(crate) const ALL: [Self; 9] = [
        Self::Vanished,
        Self::Deaf,
        Self::Mute,
        Self::Choked,
        Self::Hung,
        Self::WhileStalled,
        Self::WhileUnread,
        Self::WhileCrawling,
        Self::Observed,
    ];

    /// Lets a healthy side die of it at that time.
    pub(crate) fn befall(self, side: Side, at: Time, script: &mut Script, dice: &mut Dice) {
        let timeout = script.policies[side].timeout();
        let is_changed = !script.proxy.changes.is_empty();
        let may_talk_on = script.policies_of(side).any(|policy| {
            // It is alive, or is not asked whether it is.
            policy.evidence == Evidence::Any || policy.mode == Mode::Idle
        });
        if self == Self::Hung {
            for policy in script.policies_of_mut(side) {
                policy.evidence = Evidence::Pong;
                policy.mode = Mode::Interval;
            }
        }
        let (peer, links) = (&mut script.peers[side], &mut script.links[side]);
        let proxy = &mut script.proxy;
        let around = Window {
            from: at - dice.share(timeout, 1, 300),
            to: at + dice.share(timeout, 1, 300),
        };
        match self {
            Self::Vanished | Self::Observed => {
                peer.frozen.add([Window::from(at)]);
            }
            Self::WhileStalled => {
                peer.frozen.add([Window::from(at)]);
                // And again and again, before the clock that starts anew has run out.
                let mut end = at;
                for _ in 0..3 {
                    let apart = dice.share(timeout, 1, 100);
                    let stall = Window::new(end - apart, apart + dice.share(timeout, 1, 200));
                    end = stall.to + timeout;
                    proxy.stalls.add([stall]);
                }
            }
            Self::WhileUnread => {
                peer.frozen.add([Window::from(at)]);
                proxy.pauses[side].add([around]);
            }
            Self::Deaf => {
                links.to_peer.dies = Some(at);
                if may_talk_on {
                    (peer.talks, peer.pings) = (None, None);
                }
                answer_only(peer);
            }
            Self::Mute => links.from_peer.dies = Some(at),
            Self::Choked => {
                links.to_peer.slows = Some((at, script.until));
                links.from_peer.slows = Some((at, script.until));
            }
            Self::Hung => {
                peer.hangs = Some(at);
                answer_only(peer);
            }
            Self::WhileCrawling => {
                links.to_peer.crawls.add([around]);
                links.to_peer.dies = Some(at);
                links.from_peer.dies = Some(at);
            }
        }
        // A peer that is always pinged and answers all of it has been learned about by then.
        let learns = is_matched(peer.answers) && !is_changed;
        for policy in script.policies_of_mut(side) {
            policy.enforce = match (self, policy.enforce) {
                (Self::Observed, _) => Enforce::Never,
                (_, Enforce::Learned) if learns && policy.mode == Mode::Interval => {
                    Enforce::Learned
                }
                (_, Enforce::Always | Enforce::Learned | Enforce::Never) => Enforce::Always,
            };
        }
    }
}

/// Pongs are its only pongs, and what it lives by.
fn answer_only(peer: &mut PeerScript) {
    peer.chatters = None;
    if peer.answers == Answers::Never {
        peer.answers = Answers::Every;
    }
}

/// Whether each own ping gets its own pong.
fn is_matched(answers: Answers) -> bool {
    match answers {
        Answers::Every | Answers::Reversed | Answers::Twice => true,
        Answers::Latest | Answers::Never | Answers::Wrong | Answers::Empty => false,
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vanished => "vanished",
            Self::Deaf => "loss on the way to it",
            Self::Mute => "loss on the way from it",
            Self::Choked => "a link slower than the timeout",
            Self::Hung => "talks but answers no ping",
            Self::WhileStalled => "vanished while lubdub was stalled",
            Self::WhileUnread => "vanished while it was not read",
            Self::WhileCrawling => "a link that crawled, then died",
            Self::Observed => "vanished, only observed",
        })
    }
}
