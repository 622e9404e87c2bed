//! A scripted endpoint.

use std::collections::VecDeque;

use crate::link::{Frame, next_due, pop_due};
use crate::payload::Payload;
use crate::script::{Answers, Ending, NEVER, Payloads, PeerScript, Time};

#[derive(Debug)]
pub(crate) struct Peer {
    script: PeerScript,
    /// Pings to answer, with the time for it.
    unanswered: VecDeque<(Time, Ping)>,
    next_talk: Time,
    next_ping: Time,
    next_chatter: Time,
    ends: Option<(Time, Ending)>,
    /// The payload of lubdub's last ping.
    seen: Payload,
    /// The payloads of the pongs that came.
    pub(crate) ponged: Vec<Payload>,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    payload: Payload,
    id: Option<usize>,
}

impl Peer {
    pub(crate) fn new(script: PeerScript) -> Self {
        Self {
            unanswered: VecDeque::new(),
            next_talk: script.talks.unwrap_or(NEVER),
            next_ping: script.pings.map_or(NEVER, |pings| pings.every),
            next_chatter: script.chatters.unwrap_or(NEVER),
            ends: script.ends,
            seen: Payload::EMPTY,
            ponged: Vec::new(),
            script,
        }
    }

    /// When it does something next, if something arrives at `arrival`.
    pub(crate) fn next_wake(&self, arrival: Time) -> Time {
        let next = (arrival.min(next_due(&self.unanswered)))
            .min(self.next_talk)
            .min(self.next_ping)
            .min(self.next_chatter)
            .min(self.ends.map_or(NEVER, |(at, _)| at));
        self.script.frozen.after(next)
    }

    pub(crate) fn receive(&mut self, frame: Frame, now: Time) {
        match frame {
            Frame::Ping { payload, id } => {
                if id.is_none() {
                    self.seen = payload;
                }
                let due = match (self.script.answers, self.unanswered.front()) {
                    (Answers::Never, _) => return,
                    (Answers::Latest | Answers::Reversed, Some((due, _))) => *due,
                    _ => now + self.script.delay,
                };
                self.unanswered.push_back((due, Ping { payload, id }));
            }
            Frame::Pong { payload, .. } => self.ponged.push(payload),
            Frame::Data | Frame::Close | Frame::Fin => {}
        }
    }

    /// What it sends now, added to `frames`. `new_id` makes the tag of a ping that carries this
    /// payload.
    pub(crate) fn act(
        &mut self,
        now: Time,
        mut new_id: impl FnMut(Payload) -> usize,
        frames: &mut Vec<Frame>,
    ) {
        self.answer(now, frames);
        if is_due(&mut self.next_talk, self.script.talks, now) {
            frames.push(Frame::Data);
        }
        if is_due(&mut self.next_chatter, self.script.chatters, now) {
            frames.push(Frame::Pong {
                payload: Payload::new(b"unsolicited"),
                speaks_for: None,
            });
        }
        if let Some(pings) = self.script.pings
            && is_due(&mut self.next_ping, Some(pings.every), now)
        {
            let payload = match pings.payload {
                Payloads::Empty => Payload::EMPTY,
                Payloads::Unique => Payload::new(&now.as_nanos().to_be_bytes()),
                Payloads::Lookalike => self.seen,
            };
            let id = Some(new_id(payload));
            frames.push(Frame::Ping { payload, id });
        }
        if let Some((_, ending)) = self.ends.filter(|(at, _)| *at <= now) {
            frames.push(match ending {
                Ending::Close => Frame::Close,
                Ending::Fin => Frame::Fin,
            });
            self.ends = None;
            (self.next_talk, self.next_ping, self.next_chatter) = (NEVER, NEVER, NEVER);
            self.script.answers = Answers::Never;
            self.unanswered.clear();
        }
    }

    fn answer(&mut self, now: Time, frames: &mut Vec<Frame>) {
        if next_due(&self.unanswered) > now {
            return;
        }
        // Those of this moment, in the order in which they came.
        let mut batch = Vec::new();
        while let Some(ping) = pop_due(&mut self.unanswered, now) {
            batch.push(ping);
        }
        if self.script.hangs.is_some_and(|from| from <= now) {
            return;
        }
        let foreign = batch.iter().rev().find_map(|ping| ping.id);
        let mut pong = |payload, speaks_for| {
            frames.push(Frame::Pong {
                payload,
                speaks_for,
            });
        };
        match self.script.answers {
            Answers::Every | Answers::Never => {
                batch.iter().for_each(|ping| pong(ping.payload, ping.id));
            }
            Answers::Latest => {
                let latest = batch.last().into_iter();
                latest.for_each(|ping| pong(ping.payload, foreign));
            }
            Answers::Wrong => {
                let pings = batch.iter();
                pings.for_each(|ping| pong(ping.payload.spoilt(), ping.id));
            }
            Answers::Empty => batch.iter().for_each(|ping| pong(Payload::EMPTY, ping.id)),
            Answers::Reversed => {
                let backwards = batch.iter().rev();
                backwards.for_each(|ping| pong(ping.payload, ping.id));
            }
            Answers::Twice => {
                for ping in &batch {
                    pong(ping.payload, ping.id);
                    pong(ping.payload, ping.id);
                }
            }
        }
    }
}

/// Whether something periodic is due; sets when it is next.
fn is_due(next: &mut Time, every: Option<Time>, now: Time) -> bool {
    let due = *next <= now;
    if due {
        *next = every.map_or(NEVER, |every| now + every);
    }
    due
}
