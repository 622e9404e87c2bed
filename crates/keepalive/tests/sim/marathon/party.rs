//! A peer and the links to it, in proportion to the policy that it is held to.

use lubdub_keepalive::{Evidence, Policy};

use super::trouble;
use crate::dice::Dice;
use crate::script::{
    Answers, Ending, LinkPair, LinkScript, Loss, Payloads, PeerScript, Pings, Time, ms,
};
use crate::window::Windows;

#[derive(Debug)]
pub(crate) struct Party {
    pub peer: PeerScript,
    pub links: LinkPair,
}

impl Party {
    /// Gives a sign of life within every timeout, however its link and its host behave.
    pub(crate) fn healthy(policy: &Policy, until: Time, dice: &mut Dice) -> Self {
        let timeout = policy.timeout();
        let mut peer = company(policy, dice);
        let mut links = LinkPair::default();
        if dice.percent(15) {
            // Just in time, as far as milliseconds go.
            peer.delay = timeout - ms(1);
        } else {
            // 95 hundredths at worst, of which both links have 66.
            peer.delay = dice.share(timeout, 0, 25);
            peer.frozen = trouble::windows(dice, until, timeout * 20, (timeout, 0, 4));
            links = LinkPair {
                to_peer: link(timeout, until, dice),
                from_peer: link(timeout, until, dice),
            };
        }
        match dice.below(20) {
            0 => peer.answers = Answers::Wrong,
            1 => peer.answers = Answers::Empty,
            2..4 if policy.evidence == Evidence::Any => {
                peer.answers = Answers::Never;
                peer.talks = Some(dice.share(timeout, 20, 60));
            }
            _ => peer.answers = conforming(dice),
        }
        Self { peer, links }
    }

    /// Behind a link that crawls at times. Its own answers take no time: how much of the last
    /// timeout is left when the ping has arrived at last is a matter of luck.
    pub(crate) fn crawling(policy: &Policy, until: Time, dice: &mut Dice) -> Self {
        let timeout = policy.timeout();
        let mut links = LinkPair::default();
        links.to_peer.crawls = trouble::windows(dice, until, timeout * 40, (timeout, 10, 2000));
        let mut peer = company(policy, dice);
        peer.answers = conforming(dice);
        Self { peer, links }
    }

    /// Does anything, and may end anyhow.
    pub(crate) fn wild(policy: &Policy, until: Time, dice: &mut Dice) -> Self {
        let timeout = policy.timeout();
        let mut party = Self::healthy(policy, until, dice);
        party.peer.answers = dice.pick(&[
            Answers::Every,
            Answers::Latest,
            Answers::Never,
            Answers::Wrong,
            Answers::Empty,
            Answers::Reversed,
            Answers::Twice,
        ]);
        party.peer.delay = dice.share(timeout, 0, 150);
        party.peer.frozen = trouble::windows(dice, until, timeout * 10, (timeout, 1, 200));
        party.links.to_peer.crawls = trouble::windows(dice, until, timeout * 30, (timeout, 1, 500));
        party.peer.bulk = dice.pick(&[0, 1 << 20, 1 << 23, 1 << 25]);
        if dice.percent(30) {
            let ending = dice.pick(&[Ending::Close, Ending::Fin]);
            party.peer.ends = Some((dice.share(until, 0, 100), ending));
        }
        if dice.percent(20) {
            party.links.from_peer.dies = Some(dice.share(until, 0, 100));
        }
        party
    }
}

fn conforming(dice: &mut Dice) -> Answers {
    dice.pick(&[
        Answers::Every,
        Answers::Every,
        Answers::Latest,
        Answers::Latest,
        Answers::Reversed,
        Answers::Twice,
    ])
}

/// What a peer does besides answering.
fn company(policy: &Policy, dice: &mut Dice) -> PeerScript {
    let beat = policy.interval().unwrap_or_default().max(policy.timeout());
    let mut every = |percent| dice.percent(percent).then(|| dice.share(beat, 30, 500));
    let (talks, chatters, pings) = (every(30), every(15), every(30));
    let payload = dice.pick(&[Payloads::Empty, Payloads::Unique, Payloads::Lookalike]);
    PeerScript {
        talks,
        chatters,
        pings: pings.map(|every| Pings { every, payload }),
        ..PeerScript::default()
    }
}

/// From one end to the other in a third of the timeout at worst.
fn link(timeout: Time, until: Time, dice: &mut Dice) -> LinkScript {
    let loss = dice.percent(50).then(|| Loss {
        every: 2 + dice.below(30) as u32,
        delay: dice.share(timeout, 0, 8),
    });
    let stalls = if dice.percent(50) {
        trouble::windows(dice, until, timeout * 20, (timeout, 1, 13))
    } else {
        Windows::default()
    };
    LinkScript {
        latency: dice.share(timeout, 0, 12),
        stalls,
        loss,
        ..LinkScript::default()
    }
}
