//! What goes through the streams: reading, telling pongs apart, forwarding, and own pings in
//! between.

use lubdub_keepalive::{PongVerdict, Side};

use super::{ForeignPing, Links, Phase, Proxy};
use crate::journal::Event;
use crate::link::Frame;
use crate::payload::Payload;
use crate::script::{Flush, Time};

impl Proxy {
    pub(super) fn read(&mut self, side: Side, now: Time, links: &mut Links<'_>) {
        if self.legs[side].paused {
            return;
        }
        while let Some(frame) = links.from_peer[side].receive(now) {
            let bytes = match frame {
                Frame::Data => self.script.peers[side].bulk.max(1),
                Frame::Ping { .. } | Frame::Pong { .. } | Frame::Close | Frame::Fin => 1,
            };
            let is_life = self.oracle(side).counts_bytes();
            self.journals[side].push(now, Event::Heard { bytes, is_life });
            self.heart.handle_heard(side, bytes, self.at(now));
            self.freeze(now);
            match frame {
                Frame::Pong {
                    payload,
                    speaks_for,
                } => {
                    self.judge_pong(side, payload, speaks_for, now, links);
                }
                Frame::Close | Frame::Fin => {
                    self.heart.handle_closing();
                    self.phase = Phase::Closing;
                    self.ended.get_or_insert(now);
                    for leg in [&mut self.legs.client, &mut self.legs.upstream] {
                        leg.owed.take_if(|owed| !owed.placed);
                    }
                    self.legs[side.other()].closed |= frame == Frame::Close;
                    self.forward(side.other(), frame, now, links);
                }
                Frame::Ping { .. } | Frame::Data => self.forward(side.other(), frame, now, links),
            }
        }
    }

    fn judge_pong(
        &mut self,
        side: Side,
        payload: Payload,
        speaks_for: Option<usize>,
        now: Time,
        links: &mut Links<'_>,
    ) {
        self.journals[side].push(now, Event::Pong);
        let verdict = self
            .heart
            .handle_pong(side, payload.as_slice(), self.at(now));
        let own = self.legs[side].own.contains(&payload);
        match verdict {
            PongVerdict::Ours { rtt, repair } => {
                assert!(own, "a foreign pong was swallowed");
                self.journals[side].push(now, Event::Swallowed(rtt));
                let repair = repair.map(|repair| Payload::new(&repair));
                self.check_repair(side, repair, speaks_for);
                if let Some(payload) = repair {
                    self.journals[side].push(now, Event::Repaired);
                    if !self.legs[side.other()].closed {
                        let speaks_for = None;
                        self.forward(
                            side.other(),
                            Frame::Pong {
                                payload,
                                speaks_for,
                            },
                            now,
                            links,
                        );
                    }
                }
            }
            PongVerdict::Foreign => {
                assert!(!own, "an own pong was passed to the other end");
                self.forward(
                    side.other(),
                    Frame::Pong {
                        payload,
                        speaks_for,
                    },
                    now,
                    links,
                );
            }
        }
    }

    fn forward(&mut self, side: Side, frame: Frame, now: Time, links: &mut Links<'_>) {
        if let Frame::Ping {
            payload,
            id: Some(id),
        } = &frame
        {
            self.heart.handle_foreign_ping(side, payload.as_slice());
            self.foreign[*id].own_before = self.legs[side].own.len();
        }
        let is_behind = self.legs[side]
            .owed
            .as_ref()
            .is_some_and(|owed| owed.placed)
            && self.script.proxy.flush == Flush::Prompt;
        if is_behind {
            self.legs[side].backlog.push_back(frame);
        } else {
            links.to_peer[side].send(frame, now);
        }
    }

    pub(super) fn write_owed(&mut self, now: Time, links: &mut Links<'_>) {
        for side in Side::BOTH {
            let leg = &mut self.legs[side];
            let Some(owed) = leg.owed.as_mut().filter(|owed| owed.place <= now) else {
                continue;
            };
            let payload = Payload::from(&owed.payload);
            let ping = Frame::Ping { payload, id: None };
            if !std::mem::replace(&mut owed.placed, true) {
                self.heart.handle_ping_placed(side);
                self.journals[side].push(now, Event::Placed);
                leg.own.insert(payload);
                if self.script.proxy.flush == Flush::Late {
                    links.to_peer[side].send(ping, now);
                }
            }
            if owed.write > now {
                continue;
            }
            leg.owed = None;
            if self.script.proxy.flush == Flush::Prompt {
                links.to_peer[side].send(ping, now);
            }
            for frame in leg.backlog.drain(..) {
                links.to_peer[side].send(frame, now);
            }
            self.journals[side].push(now, Event::Written);
            let now = self.at(now);
            let _ = self.heart.handle_ping_written(side, now);
            let unanswered = self.oracle(side).unanswered();
            assert!(
                unanswered <= 16,
                "{side}: {unanswered} pings are unanswered"
            );
        }
    }

    /// The kernel is asked what becomes of the ping that runs the clock.
    pub(super) fn look_at_link(&mut self, side: Side, now: Time, links: &Links<'_>) {
        let since = self.heart.clock_since(side).expect("a clock has run out");
        let since = since.duration_since(self.epoch);
        if links.to_peer[side].is_moving(since, now) {
            self.journals[side].push(now, Event::Moving);
            self.heart.handle_link_progress(side, self.at(now));
        }
    }

    pub(crate) fn new_foreign_ping(&mut self, payload: Payload) -> usize {
        self.foreign.push(ForeignPing {
            payload,
            own_before: 0,
        });
        self.foreign.len() - 1
    }
}
