//! lubdub's own troubles, and when troubles of any kind come.

use lubdub_keepalive::{PerSide, Policy};

use crate::dice::Dice;
use crate::script::{Flush, ProxyScript, Time, ms, secs};
use crate::window::{Window, Windows};

/// A timer is at most so much late while the process runs: what a silent side is dropped late by.
pub(crate) const LAG: Time = ms(100);

/// What befalls lubdub during a world.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub proxy: ProxyScript,
    /// When the whole machine stands still, and peers that live on it do.
    pub suspended: Windows,
}

impl Trouble {
    /// For sides that are held to these policies at their strictest, and at their slowest.
    pub(crate) fn draw(
        strictest: &PerSide<Policy>,
        slowest: &PerSide<Policy>,
        until: Time,
        dice: &mut Dice,
    ) -> Self {
        let timeout = slowest.client.timeout().max(slowest.upstream.timeout());
        // Far enough apart that no ping is caught by two of them.
        let apart = timeout * 8 + secs(2);
        let mut suspended = Windows::default();
        let mut stalls = Windows::default();
        match dice.below(4) {
            0 => {
                // Longer than any clock runs. One that ends before anything was due is not noticed,
                // and the peers' silence in it is theirs.
                suspended = windows(dice, until, apart * 4, (timeout + secs(2), 100, 400));
                stalls = suspended.clone();
            }
            1 => stalls = windows(dice, until, apart * 4, (timeout, 1, 300)),
            // Some that are noticed as such, and some that are not.
            2 => stalls = windows(dice, until, apart * 2, (ms(1000), 1, 100)),
            _ => {}
        }
        let mut pauses = |policy: &Policy| {
            if dice.percent(40) {
                windows(
                    dice,
                    until,
                    policy.timeout() * 20,
                    (policy.timeout(), 1, 300),
                )
            } else {
                Windows::default()
            }
        };
        let pauses = PerSide {
            client: pauses(&slowest.client),
            upstream: pauses(&slowest.upstream),
        };
        let least = (strictest.client.timeout()).min(strictest.upstream.timeout());
        let mut delays = |percent, longest: Time| {
            let some = if dice.percent(percent) {
                1 + dice.below(4)
            } else {
                0
            };
            (0..some)
                .map(|_| dice.between(Time::ZERO, longest))
                .collect()
        };
        let proxy = ProxyScript {
            pauses,
            stalls,
            // As long as a long message takes, or `boundary_wait`; as a backlog, or `write_stall`.
            place_delays: delays(40, least.min(secs(5))),
            write_delays: delays(40, least.min(secs(10))),
            lags: delays(50, LAG),
            grid: dice
                .percent(70)
                .then(|| dice.between(Time::ZERO, secs(3600))),
            flush: dice.pick(&[Flush::Prompt, Flush::Prompt, Flush::Late]),
            ..ProxyScript::default()
        };
        Self { proxy, suspended }
    }

    /// For worlds that have a stall of their own, close to which none of these may be.
    pub(crate) fn forget_suspensions(&mut self) {
        if !self.suspended.is_empty() {
            self.proxy.stalls = Windows::default();
            self.suspended = Windows::default();
        }
    }
}

/// Some windows with at least `apart` between them, or none: at most a hundred, and as long as
/// these hundredths of a time.
pub(crate) fn windows(
    dice: &mut Dice,
    until: Time,
    apart: Time,
    (of, least, most): (Time, u32, u32),
) -> Windows {
    let mut windows = Vec::new();
    let most_apart = (apart * 8).max(until / 50);
    let mut at = Time::ZERO;
    loop {
        at += dice.between(apart, most_apart);
        if at >= until {
            return windows.into();
        }
        let window = Window::new(at, dice.share(of, least, most));
        at = window.to;
        windows.push(window);
    }
}
