//! What happens in a simulated world: peers, links and lubdub's own troubles, as data.

use std::time::Duration;

use lubdub_keepalive::{PerSide, Policy, Side};

use crate::window::{Window, Windows};

/// Time since the pair opened.
pub(crate) type Time = Duration;

/// The time of what does not happen.
pub(crate) const NEVER: Time = Time::MAX;

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A whole world. The default: two peers that answer every ping at once, over perfect links.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub policies: PerSide<Policy>,
    pub peers: PerSide<PeerScript>,
    pub links: PerSide<LinkPair>,
    pub proxy: ProxyScript,
    pub seed: u64,
    pub until: Time,
    pub history: History,
}

/// How much of what happened is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum History {
    #[default]
    Whole,
    /// What the rules still ask for: in days of virtual time much happens.
    Recent,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct PeerScript {
    pub answers: Answers,
    /// From a ping to its pong.
    pub delay: Duration,
    /// Sends data this often.
    pub talks: Option<Duration>,
    /// So many bytes at a time; 0 as 1.
    pub bulk: usize,
    pub pings: Option<Pings>,
    /// Sends pongs that nobody asked for this often.
    pub chatters: Option<Duration>,
    /// Does nothing and reads nothing meanwhile.
    pub frozen: Windows,
    /// Answers no ping from then on; does all else.
    pub hangs: Option<Time>,
    /// Says goodbye.
    pub ends: Option<(Time, Ending)>,
}

/// Which pings a peer answers, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Answers {
    /// All of them, in order.
    #[default]
    Every,
    /// The latest of those that came within its delay (RFC 6455 5.5.3).
    Latest,
    Never,
    /// All, the payload spoilt.
    Wrong,
    /// All, without a payload.
    Empty,
    /// All, each batch backwards.
    Reversed,
    /// All, twice.
    Twice,
}

/// Pings that a peer sends to the peer at the other end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pings {
    pub every: Duration,
    pub payload: Payloads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payloads {
    Empty,
    /// Another one in each ping.
    Unique,
    /// Copies of lubdub's own, as the peer has seen them.
    Lookalike,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    Fin,
}

/// The two directions of a leg.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkPair {
    pub to_peer: LinkScript,
    pub from_peer: LinkScript,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct LinkScript {
    pub latency: Duration,
    /// Nothing arrives meanwhile.
    pub stalls: Windows,
    /// The same, but the kernel knows of bytes that arrive.
    pub crawls: Windows,
    pub loss: Option<Loss>,
    /// From then on the latency is another.
    pub slows: Option<(Time, Duration)>,
    /// Nothing arrives from then on.
    pub dies: Option<Time>,
}

/// Every so manieth segment is lost and comes after a retransmission, all others behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    pub every: u32,
    pub delay: Duration,
}

/// New values of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub at: Time,
    pub policies: PerSide<Policy>,
}

/// What befalls lubdub itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProxyScript {
    /// When it does not read the side, because the other one is slow.
    pub pauses: PerSide<Windows>,
    /// From a ping being handed out to its place in the stream; taken in turn.
    pub place_delays: Vec<Duration>,
    /// From its place to its last byte being taken, or reported so; taken in turn.
    pub write_delays: Vec<Duration>,
    pub flush: Flush,
    /// When the process does not run.
    pub stalls: Windows,
    /// From a wake-up being due to it; taken in turn.
    pub lags: Vec<Duration>,
    /// In order.
    pub changes: Vec<Change>,
    /// Of so many hundredths of what it does, another process does the next thing, from what this
    /// one gives up.
    pub freezes: u64,
    /// Pings fall on the grid of a process that had been running for so long.
    pub grid: Option<Duration>,
}

/// When the bytes of a placed ping leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flush {
    /// When they are said to be written; what is forwarded waits behind them.
    #[default]
    Prompt,
    /// At once: it is the report that is late (TLS).
    Late,
}

impl Script {
    /// All policies that ever hold for a side, in order.
    pub(crate) fn policies_of(&self, side: Side) -> impl Iterator<Item = &Policy> {
        let changes = self.proxy.changes.iter();
        let changed = changes.map(move |change| &change.policies[side]);
        std::iter::once(&self.policies[side]).chain(changed)
    }

    /// The same, to be changed.
    pub(crate) fn policies_of_mut(&mut self, side: Side) -> impl Iterator<Item = &mut Policy> {
        let changes = self.proxy.changes.iter_mut();
        let changed = changes.map(move |change| &mut change.policies[side]);
        std::iter::once(&mut self.policies[side]).chain(changed)
    }
}

impl PeerScript {
    /// Answers nothing, sends nothing.
    pub(crate) fn mute() -> Self {
        Self::answering(Answers::Never)
    }

    pub(crate) fn answering(answers: Answers) -> Self {
        Self {
            answers,
            ..Self::default()
        }
    }

    /// A good peer until then.
    pub(crate) fn silent_from(from: Time) -> Self {
        Self {
            frozen: [Window::from(from)].into(),
            ..Self::default()
        }
    }
}

impl LinkPair {
    pub(crate) fn slow(latency: Duration) -> Self {
        let link = LinkScript {
            latency,
            ..LinkScript::default()
        };
        Self {
            to_peer: link.clone(),
            from_peer: link,
        }
    }
}
