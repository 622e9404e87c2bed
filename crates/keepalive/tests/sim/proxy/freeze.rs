//! Another process goes on, from what this one gives up.

use lubdub_keepalive::{Heartbeat, HeartbeatState};

use super::Proxy;
use crate::script::Time;

impl Proxy {
    /// Perhaps; nothing is to change by that.
    pub(super) fn freeze(&mut self, now: Time) {
        if self.script.proxy.freezes == 0 || !self.dice.percent(self.script.proxy.freezes) {
            return;
        }
        self.frozen += 1;
        let bytes = rmp_serde::to_vec_named(&self.heart.freeze()).expect("plain data");
        let state: HeartbeatState = rmp_serde::from_slice(&bytes).expect("it was just written");
        let asked = self.heart.poll_timeout();
        let thawed = Heartbeat::thaw(state, self.policies, self.epoch, self.at(now));
        self.heart = thawed.expect("a heartbeat gave it up");
        assert_eq!(self.heart.poll_timeout(), asked, "it asks for another time");
    }
}
