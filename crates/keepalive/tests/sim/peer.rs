//! A scripted endpoint.

use std::collections::VecDeque;

use crate::link::{Frame, pop_due};
use crate::script::{Answers, Ending, Payloads, PeerScript, Time, Window};

#[derive(Debug)]
pub(crate) struct Peer {
    script: PeerScript,
    /// Pings to answer, with the time for it.
    unanswered: VecDeque<(Time, Ping)>,
    next_talk: Option<Time>,
    next_ping: Option<Time>,
    next_chatter: Option<Time>,
    ends: Option<(Time, Ending)>,
    /// The payload of lubdub's last ping.
    seen: Vec<u8>,
    /// The payloads of the pongs that came.
    pub(crate) ponged: Vec<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Ping {
    payload: Vec<u8>,
    id: Option<usize>,
}

impl Peer {
    pub(crate) fn new(script: PeerScript) -> Self {
        Self {
            unanswered: VecDeque::new(),
            next_talk: script.talks,
            next_ping: script.pings.map(|pings| pings.every),
            next_chatter: script.chatters,
            ends: script.ends,
            seen: Vec::new(),
            ponged: Vec::new(),
            script,
        }
    }

    /// When it can do something that is due at `at`.
    pub(crate) fn awake(&self, at: Time) -> Time {
        Window::after(&self.script.frozen, at)
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        let own = [
            self.next_talk,
            self.next_ping,
            self.next_chatter,
            self.ends.map(|(at, _)| at),
            self.unanswered.front().map(|(due, _)| *due),
        ];
        Some(self.awake(own.into_iter().flatten().min()?))
    }

    pub(crate) fn receive(&mut self, frame: Frame, now: Time) {
        match frame {
            Frame::Ping { payload, id } => {
                if id.is_none() {
                    self.seen.clone_from(&payload);
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

    /// What it sends now. `new_id` makes the tag of a ping that carries this payload.
    pub(crate) fn act(&mut self, now: Time, mut new_id: impl FnMut(&[u8]) -> usize) -> Vec<Frame> {
        if self.awake(now) != now {
            return Vec::new();
        }
        let mut frames = self.answer(now);
        if is_due(&mut self.next_talk, self.script.talks, now) {
            frames.push(Frame::Data);
        }
        if is_due(&mut self.next_chatter, self.script.chatters, now) {
            frames.push(Frame::Pong {
                payload: b"unsolicited".to_vec(),
                speaks_for: None,
            });
        }
        if let Some(pings) = self.script.pings
            && is_due(&mut self.next_ping, Some(pings.every), now)
        {
            let payload = match pings.payload {
                Payloads::Empty => Vec::new(),
                Payloads::Unique => format!("{now:?}").into_bytes(),
                Payloads::Lookalike => self.seen.clone(),
            };
            let id = Some(new_id(&payload));
            frames.push(Frame::Ping { payload, id });
        }
        if let Some((_, ending)) = self.ends.filter(|(at, _)| *at <= now) {
            frames.push(match ending {
                Ending::Close => Frame::Close,
                Ending::Fin => Frame::Fin,
            });
            self.ends = None;
            (self.next_talk, self.next_ping, self.next_chatter) = (None, None, None);
            self.script.answers = Answers::Never;
            self.unanswered.clear();
        }
        frames
    }

    fn answer(&mut self, now: Time) -> Vec<Frame> {
        let mut batch = Vec::new();
        while let Some(ping) = pop_due(&mut self.unanswered, now) {
            batch.push(ping);
        }
        let foreign = batch.iter().rev().find_map(|ping| ping.id);
        let answered = match self.script.answers {
            Answers::Latest => batch.split_off(batch.len().saturating_sub(1)),
            Answers::Reversed => batch.into_iter().rev().collect(),
            Answers::Twice => batch
                .into_iter()
                .flat_map(|ping| [ping.clone(), ping])
                .collect(),
            Answers::Every | Answers::Never | Answers::Wrong | Answers::Empty => batch,
        };
        let pong = |ping: Ping| match self.script.answers {
            Answers::Latest => (ping.payload, foreign),
            Answers::Wrong => (ping.payload.iter().map(|byte| !byte).collect(), ping.id),
            Answers::Empty => (Vec::new(), ping.id),
            Answers::Every | Answers::Never | Answers::Reversed | Answers::Twice => {
                (ping.payload, ping.id)
            }
        };
        let frame = |(payload, speaks_for)| Frame::Pong {
            payload,
            speaks_for,
        };
        answered.into_iter().map(pong).map(frame).collect()
    }
}

/// Whether something periodic is due; sets when it is next.
fn is_due(next: &mut Option<Time>, every: Option<Time>, now: Time) -> bool {
    let due = next.is_some_and(|at| at <= now);
    if due {
        *next = every.map(|every| now + every);
    }
    due
}
