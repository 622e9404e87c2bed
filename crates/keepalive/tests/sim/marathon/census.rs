//! What a run was about, in numbers: nothing can be said of what did not happen.

use std::fmt;
use std::time::Duration;

use lubdub_keepalive::{PerSide, Side};

use super::death::Death;
use super::plan::{Fate, Plan};
use super::verdict::{Caught, Finding};
use crate::script::Time;
use crate::window::Windows;
use crate::world::World;

#[derive(Debug, Default)]
pub(crate) struct Census {
    worlds: u64,
    /// How long their pairs lived, together.
    lived: Duration,
    pings: u64,
    pongs: u64,
    repairs: u64,
    trouble: Troubles,
    /// Of how many sides it was known that they may not lapse.
    healthy: u64,
    wild_lapses: u64,
    /// Pairs that ended without a lapse.
    goodbyes: u64,
    deaths: [PerSide<Deaths>; Death::ALL.len()],
    worst_lateness: Time,
    pub(crate) findings: Vec<(u64, Finding)>,
}

/// How many of each were lived through.
#[derive(Debug, Default)]
struct Troubles {
    stalls: u64,
    suspensions: u64,
    pauses: u64,
    crawls: u64,
    /// Of the configuration.
    changes: u64,
    /// Times that another process went on.
    freezes: u64,
    /// Times that a side got another timeout because its link moved.
    extensions: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Deaths {
    died: u64,
    caught: u64,
}

impl Census {
    pub(crate) fn hours(&self) -> u64 {
        self.lived.as_secs() / 3600
    }

    pub(crate) fn add_plan(&mut self, plan: &Plan) {
        self.worlds += 1;
        for side in Side::BOTH {
            match plan.fates[side] {
                Fate::Healthy => self.healthy += 1,
                Fate::Dies(death, _) => self.deaths[death as usize][side].died += 1,
                Fate::Wild => {}
            }
        }
    }

    pub(crate) fn add_world(&mut self, plan: &Plan, world: &World) {
        let script = &plan.script;
        let lasted = world.lasted();
        let lived_through = |windows: &Windows| windows.between(Time::ZERO, lasted).count() as u64;
        self.lived += lasted;
        let lapsed = |side| world.journal(side).lapsed().is_some();
        let ended = world.proxy.ended.is_some();
        self.goodbyes += u64::from(ended && !Side::BOTH.into_iter().any(lapsed));
        self.trouble.stalls += lived_through(&script.proxy.stalls);
        let changes = script.proxy.changes.iter();
        self.trouble.changes += changes.filter(|change| change.at < lasted).count() as u64;
        self.trouble.freezes += world.proxy.frozen;
        self.trouble.suspensions += lived_through(&plan.suspended);
        for side in Side::BOTH {
            let totals = world.journal(side).totals;
            self.pings += totals.written;
            self.pongs += totals.timed;
            self.repairs += totals.repaired;
            self.trouble.extensions += totals.moving;
            self.trouble.pauses += lived_through(&script.proxy.pauses[side]);
            self.trouble.crawls += lived_through(&script.links[side].to_peer.crawls);
            self.wild_lapses += u64::from(lapsed(side) && plan.fates[side] == Fate::Wild);
        }
    }

    pub(crate) fn add_caught(&mut self, Caught { side, death, late }: Caught) {
        self.deaths[death as usize][side].caught += 1;
        self.worst_lateness = self.worst_lateness.max(late);
    }

    /// What the run should have been about, and was not.
    pub(crate) fn unseen(&self) -> Vec<String> {
        let trouble = &self.trouble;
        let troubles = [
            ("stalls", trouble.stalls),
            ("suspensions", trouble.suspensions),
            ("pauses", trouble.pauses),
            ("timeouts more", trouble.extensions),
            ("changes of policies", trouble.changes),
            ("freezes", trouble.freezes),
            ("repairs", self.repairs),
            ("goodbyes", self.goodbyes),
        ];
        let none = troubles.into_iter().filter(|(_, count)| *count == 0);
        let mut unseen: Vec<_> = none.map(|(what, _)| what.to_owned()).collect();
        for (side, death) in Side::BOTH
            .into_iter()
            .flat_map(|side| Death::ALL.map(|d| (side, d)))
        {
            if self.deaths[death as usize][side].caught == 0 {
                unseen.push(format!("{side}: {death}"));
            }
        }
        unseen
    }

    fn found(&self, which: impl Fn(&Finding) -> bool) -> usize {
        let findings = self.findings.iter();
        findings.filter(|(_, finding)| which(finding)).count()
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trouble = &self.trouble;
        writeln!(f, "{:>12} worlds", self.worlds)?;
        writeln!(f, "{:>12} pair-hours of virtual time", self.hours())?;
        writeln!(f, "{:>12} own pings", self.pings)?;
        writeln!(f, "{:>12} pongs matched and timed", self.pongs)?;
        writeln!(f, "{:>12} pongs repaired", self.repairs)?;
        writeln!(
            f,
            "{:>12} stalls of lubdub, {} of them of peers too",
            trouble.stalls, trouble.suspensions
        )?;
        writeln!(
            f,
            "{:>12} changes of policies while the heart was beating",
            trouble.changes
        )?;
        writeln!(
            f,
            "{:>12} times that another process went on",
            trouble.freezes
        )?;
        writeln!(f, "{:>12} pauses in reading a side", trouble.pauses)?;
        writeln!(f, "{:>12} times that a link crawled", trouble.crawls)?;
        writeln!(
            f,
            "{:>12} timeouts more because of that",
            trouble.extensions
        )?;
        writeln!(f, "{:>12} pairs that said goodbye", self.goodbyes)?;
        writeln!(
            f,
            "{:>12} lapses of sides that did anything",
            self.wild_lapses
        )?;
        writeln!(
            f,
            "lapses that had to be, and were:     clients        upstreams"
        )?;
        let of = |Deaths { died, caught }: Deaths| format!("{caught} of {died}");
        for death in Death::ALL {
            let deaths = self.deaths[death as usize];
            let (client, upstream) = (of(deaths.client), of(deaths.upstream));
            writeln!(f, "  {death:<35}{client:<15}{upstream}")?;
        }
        writeln!(
            f,
            "{:>12?} after its deadline was the latest of them",
            self.worst_lateness
        )?;
        let lapse = |finding: &Finding| matches!(finding, Finding::FalseLapse { .. });
        let miss =
            |finding: &Finding| matches!(finding, Finding::Missed { .. } | Finding::TooLate { .. });
        let rule = |finding: &Finding| matches!(finding, Finding::Broken(_));
        writeln!(
            f,
            "{:>12} false lapses, of {} healthy sides",
            self.found(lapse),
            self.healthy
        )?;
        writeln!(f, "{:>12} lapses missed or late", self.found(miss))?;
        writeln!(
            f,
            "{:>12} worlds in which a rule was broken",
            self.found(rule)
        )
    }
}
