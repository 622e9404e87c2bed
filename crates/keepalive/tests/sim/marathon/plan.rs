//! A random world, and what must become of each side of it.

use lubdub_keepalive::{Enforce, PerSide, Side};

use super::change;
use super::death::Death;
use super::pace::Pace;
use super::party::Party;
use super::trouble::Trouble;
use crate::dice::Dice;
use crate::script::{Ending, History, ProxyScript, Script, Time, secs};
use crate::window::{Window, Windows};

#[derive(Debug)]
pub(crate) struct Plan {
    pub fates: PerSide<Fate>,
    pub script: Script,
    /// When both peers stood still together with lubdub.
    pub suspended: Windows,
}

/// What a side is in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may never lapse.
    Healthy,
    /// Healthy up to then; soon after that it must lapse.
    Dies(Death, Time),
    /// It may do anything. The rules hold all the same.
    Wild,
}

/// The kinds of worlds, which take turns.
#[derive(Debug, Clone, Copy)]
enum Kind {
    BothHealthy,
    /// One is well behind a link that crawls.
    Crawling,
    /// One says goodbye, after which nobody has to prove anything.
    Parting,
    Dying(Death),
    BothWild,
}

impl Plan {
    /// After so many worlds there was one of each kind for each side.
    pub(crate) const ROUND: u64 = 2 * Self::KINDS;
    const KINDS: u64 = Self::PARTING + Self::DYING + Self::WILD;
    const HEALTHY: u64 = 5;
    const CRAWLING: u64 = Self::HEALTHY + 2;
    const PARTING: u64 = Self::CRAWLING + 1;
    const DYING: u64 = Death::ALL.len() as u64;
    const WILD: u64 = 3;

    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let kind = Kind::of(seed % Self::KINDS);
        let side = Side::BOTH[(seed / Self::KINDS % 2) as usize];
        let pace = Pace::draw(dice);
        let until = pace.lasts(dice);
        let mut script = Script {
            policies: PerSide::from_fn(|_| pace.policy(dice)),
            seed,
            until,
            history: History::Recent,
            ..Script::default()
        };
        let steady = matches!(kind, Kind::Dying(_)).then_some(side);
        // With dice of their own: without them the worlds are the same.
        let own = &mut Dice::new(!seed);
        script.proxy.changes = change::draw(pace, &script.policies, steady, until, own);
        if let Kind::BothWild = kind {
            // Lest they all end before much has happened.
            let never = dice.pick(&Side::BOTH);
            (script.policies_of_mut(never)).for_each(|policy| policy.enforce = Enforce::Never);
        }
        let strictest = PerSide::from_fn(|side| change::strictest(&script, side));
        let slowest = PerSide::from_fn(|side| change::slowest(&script, side));
        let mut trouble = Trouble::draw(&strictest, &slowest, until, dice);
        if let Kind::Dying(Death::WhileStalled) = kind {
            trouble.forget_suspensions();
        }
        script.proxy = ProxyScript {
            changes: std::mem::take(&mut script.proxy.changes),
            freezes: own.pick(&[0, 0, 0, 1, 4]),
            ..trouble.proxy
        };
        for of in Side::BOTH {
            let policy = &strictest[of];
            let mut party = match kind {
                Kind::Crawling if of == side => Party::crawling(policy, until, dice),
                Kind::BothWild => Party::wild(policy, until, dice),
                Kind::BothHealthy | Kind::Crawling | Kind::Parting | Kind::Dying(_) => {
                    Party::healthy(policy, until, dice)
                }
            };
            party.peer.frozen.add(trouble.suspended.iter().copied());
            (script.peers[of], script.links[of]) = (party.peer, party.links);
        }
        let mut fates = PerSide::from_fn(|_| match kind {
            Kind::BothWild => Fate::Wild,
            Kind::BothHealthy | Kind::Crawling | Kind::Parting | Kind::Dying(_) => Fate::Healthy,
        });
        if let Kind::Parting = kind {
            part(side, &mut script, dice);
        }
        if let Kind::Dying(death) = kind {
            let at = dice.share(until, 30, 80);
            death.befall(side, at, &mut script, dice);
            let policy = change::slowest(&script, side);
            script.until += 8 * (policy.interval().unwrap_or_default() + policy.timeout());
            fates[side] = Fate::Dies(death, at);
        }
        Self {
            fates,
            script,
            suspended: trouble.suspended,
        }
    }
}

/// Lets a side say goodbye, and the other one vanish when that has long been read.
fn part(side: Side, script: &mut Script, dice: &mut Dice) {
    let timeouts = Side::BOTH.map(|side| change::slowest(script, side).timeout());
    let at = dice.share(script.until, 20, 80);
    let ending = dice.pick(&[Ending::Close, Ending::Fin]);
    script.peers[side].ends = Some((at, ending));
    let read = at + 16 * timeouts[0].max(timeouts[1]) + secs(60);
    script.peers[side.other()].frozen.add([Window::from(read)]);
}

impl Kind {
    fn of(turn: u64) -> Self {
        const WILD: u64 = Plan::PARTING + Plan::DYING;
        match turn {
            0..Plan::HEALTHY => Self::BothHealthy,
            Plan::HEALTHY..Plan::CRAWLING => Self::Crawling,
            Plan::CRAWLING..Plan::PARTING => Self::Parting,
            Plan::PARTING..WILD => Self::Dying(Death::ALL[(turn - Plan::PARTING) as usize]),
            _ => Self::BothWild,
        }
    }
}
