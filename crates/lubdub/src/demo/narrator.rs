//! Tells what happens: lines of the cast, and the proxy's own events in plain words.
//!
//! Not everything is told. Of each side's pings the first is, with its pong, and every one that
//! meets a frozen end; the others are counted and make one line now and then ([`Narrator::beat`]).

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lubdub_keepalive::{PerSide, Side};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::page::Page;
use super::stage::{Person, Speaker};

/// Who tells it.
pub(super) struct Narrator {
    page: Page,
    memory: Mutex<Memory>,
}

/// Hears the proxy's events for the narrator.
pub(super) struct Ear(Arc<Narrator>);

/// What the narrator knows.
#[derive(Default)]
struct Memory {
    /// Whose address that is.
    addresses: HashMap<SocketAddr, Person>,
    /// Whose pair that is.
    pairs: HashMap<u64, Person>,
    ends: [PerSide<End>; Person::ALL.len()],
    untold: Untold,
}

/// What is known of one end of a pair.
#[derive(Debug, Default, Clone, Copy)]
struct End {
    /// How many pings were written to it.
    pings: u32,
    interest: Interest,
}

/// What is told of the pings to an end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Interest {
    /// The first ping.
    #[default]
    Ping,
    /// Its pong.
    Pong,
    /// Nothing: it is well.
    Nothing,
    /// Every ping that a frozen end will not answer. An end may have answered a ping, and be
    /// frozen, before the proxy says that the ping was written.
    Unanswered { answered: u32 },
}

/// What happened since it was last told.
#[derive(Default)]
struct Untold {
    pongs: u32,
    /// The shortest and the longest round trip.
    rtt: Option<(Duration, Duration)>,
    echoes: u32,
}

/// The fields of an event, as far as they are told.
#[derive(Default)]
struct Fields {
    message: String,
    pair: Option<u64>,
    client: Option<SocketAddr>,
    side: Option<Side>,
    rtt: Option<Duration>,
    silent: Option<Duration>,
    cause: Option<String>,
}

// === impl Narrator ===

impl Narrator {
    pub(super) fn new(page: Page) -> Self {
        Self {
            page,
            memory: Mutex::default(),
        }
    }

    /// Says that `address` is `person`'s.
    pub(super) fn introduce(&self, address: SocketAddr, person: Person) {
        self.memory().addresses.insert(address, person);
    }

    /// Says that `person`'s connection is frozen on `side`, where so many pings were answered.
    pub(super) fn freeze(&self, person: Person, side: Side, answered: u32) {
        self.memory().ends[person as usize][side].interest = Interest::Unanswered { answered };
    }

    /// Counts a message that came back.
    pub(super) fn count_echo(&self) {
        self.memory().untold.echoes += 1;
    }

    /// Writes a line.
    pub(super) fn say(&self, speaker: Speaker, text: &str) {
        self.page.line(speaker, text);
    }

    /// Writes text that is no line of anybody's.
    pub(super) fn write(&self, text: &str) {
        self.page.write(text);
    }

    /// Tells of those who are well, if there is anything new.
    pub(super) fn beat(&self) {
        let untold = std::mem::take(&mut self.memory().untold);
        if let Some((min, max)) = untold.rtt {
            let (pongs, echoes) = (untold.pongs, untold.echoes);
            let (min, max) = (millis(min), millis(max));
            self.say(
                Speaker::Lubdub,
                &format!("meanwhile, pings answered: {pongs} ({min:.2} to {max:.2} ms); messages echoed: {echoes}"),
            );
        }
    }

    /// Waits a little for who reads it.
    pub(super) fn flush(&self) {
        self.page.flush();
    }

    /// Waits until nobody can read on, and says why.
    pub(super) async fn unheard(&self) -> io::Error {
        self.page.torn().await
    }

    /// Tells one of the proxy's events.
    fn retell(&self, fields: &Fields) {
        let Some(pair) = fields.pair else {
            return;
        };
        let Some(text) = self.memory().words(pair, fields) else {
            return;
        };
        self.say(Speaker::Lubdub, &text);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Memory ===

impl Memory {
    /// The event in plain words, if it is to be told. The messages are those of `lubdub_proxy`.
    fn words(&mut self, pair: u64, fields: &Fields) -> Option<String> {
        if fields.message == "pair opened" {
            let person = *self.addresses.get(&fields.client?)?;
            self.pairs.insert(pair, person);
            return Some(format!("joins {person} and the backend: pair {pair}"));
        }
        let person = *self.pairs.get(&pair)?;
        match &*fields.message {
            "ping written" => self.ping(person, fields.side?),
            "pong received" => self.pong(person, fields.side?, fields.rtt?),
            "lapsed" => Some(lapse(person, fields.side?, fields.silent?)),
            "write stalled" => {
                let end = end(person, fields.side?);
                Some(format!(
                    "{end} takes no bytes any more: ends {person}'s pair"
                ))
            }
            "pair ended" => {
                let cause = fields.cause.as_deref()?;
                Some(format!("{person}'s pair has ended; cause: {cause}"))
            }
            _ => None,
        }
    }

    fn ping(&mut self, person: Person, side: Side) -> Option<String> {
        let known = &mut self.ends[person as usize][side];
        known.pings += 1;
        match known.interest {
            Interest::Ping => known.interest = Interest::Pong,
            Interest::Unanswered { answered } if known.pings > answered => {}
            Interest::Unanswered { .. } | Interest::Pong | Interest::Nothing => return None,
        }
        Some(format!("-> {}: ping", end(person, side)))
    }

    fn pong(&mut self, person: Person, side: Side, rtt: Duration) -> Option<String> {
        let interest = &mut self.ends[person as usize][side].interest;
        match interest {
            Interest::Pong => *interest = Interest::Nothing,
            // A pong that was on its way when its sender froze counts like the others.
            Interest::Ping | Interest::Nothing | Interest::Unanswered { .. } => {
                self.untold.answered(rtt);
                return None;
            }
        }
        let millis = millis(rtt);
        Some(format!(
            "<- {}: pong after {millis:.2} ms",
            end(person, side)
        ))
    }
}

/// What a lapse means, and what lubdub does about it.
fn lapse(person: Person, side: Side, silent: Duration) -> String {
    let silent = format!(
        "for {:.1} s, in spite of pings: lapsed",
        silent.as_secs_f64()
    );
    match side {
        Side::Client => format!(
            "{person} gave no sign of life {silent};\nresets {} connection, and tells the backend",
            person.their(),
        ),
        Side::Upstream => format!(
            "the backend gave no sign of life on {person}'s connection {silent};\n\
             resets the backend's end of it, and tells {person}",
        ),
    }
}

/// The end of `person`'s pair that is on `side`.
fn end(person: Person, side: Side) -> String {
    match side {
        Side::Client => person.to_string(),
        Side::Upstream => format!("backend ({person})"),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl Untold {
    fn answered(&mut self, rtt: Duration) {
        self.pongs += 1;
        self.rtt = Some(match self.rtt {
            Some((min, max)) => (min.min(rtt), max.max(rtt)),
            None => (rtt, rtt),
        });
    }
}

// === impl Ear ===

impl Ear {
    pub(super) fn new(narrator: Arc<Narrator>) -> Self {
        Self(narrator)
    }
}

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.retell(&fields);
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "pair" => self.pair = Some(value),
            "rtt_us" => self.rtt = Some(Duration::from_micros(value)),
            "silent_ms" => self.silent = Some(Duration::from_millis(value)),
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "cause" {
            self.cause = Some(value.to_owned());
        }
    }

    /// What an event shows with `%`, and its message.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "client" => self.client = format!("{value:?}").parse().ok(),
            "side" => {
                let name = format!("{value:?}");
                self.side = Side::BOTH.into_iter().find(|side| side.as_str() == name);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::debug;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::page::Colour;
    use super::*;

    /// A page to look at.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written when these events come and then a beat: without the times.
    fn lines(events: impl FnOnce(&Narrator)) -> Vec<String> {
        let paper = Paper::default();
        let page = Page::new(Box::new(paper.clone()), Colour::Off).unwrap();
        let narrator = Arc::new(Narrator::new(page));
        narrator.introduce("127.0.0.1:5000".parse().unwrap(), Person::Bob);
        let subscriber = tracing_subscriber::registry().with(Ear::new(Arc::clone(&narrator)));
        tracing::subscriber::with_default(subscriber, || {
            let client = SocketAddr::from(([127, 0, 0, 1], 5000));
            debug!(pair = 7_u64, %client, route = %"echo", "pair opened");
            events(&narrator);
        });
        narrator.beat();
        narrator.flush();
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let (opened, rest) = text.split_once('\n').unwrap();
        assert!(
            opened.ends_with("lubdub   joins bob and the backend: pair 7"),
            "{text}"
        );
        rest.lines()
            .map(|line| match line.split_once("lubdub   ") {
                Some((_, text)) => text.to_owned(),
                None => line.trim_start().to_owned(),
            })
            .collect()
    }

    fn ping_and_pong(rtt_us: u64) {
        debug!(pair = 7_u64, side = %Side::Client, delay_us = 3_u64, "ping written");
        debug!(pair = 7_u64, side = %Side::Client, rtt_us, "pong received");
    }

    #[test]
    fn the_first_ping_is_told_and_the_others_are_counted() {
        let lines = lines(|narrator| {
            ping_and_pong(400);
            ping_and_pong(200);
            ping_and_pong(1500);
            narrator.count_echo();
        });
        assert_eq!(
            lines,
            [
                "-> bob: ping",
                "<- bob: pong after 0.40 ms",
                "meanwhile, pings answered: 2 (0.20 to 1.50 ms); messages echoed: 1",
            ]
        );
    }

    #[test]
    fn every_ping_that_meets_a_frozen_end_is_told() {
        let lines = lines(|narrator| {
            ping_and_pong(400);
            narrator.freeze(Person::Bob, Side::Client, 2);
            ping_and_pong(300);
            debug!(pair = 7_u64, side = %Side::Client, delay_us = 3_u64, "ping written");
            debug!(pair = 7_u64, side = %Side::Client, silent_ms = 1800_u64, "lapsed");
            tracing::info!(pair = 7_u64, cause = "client_lapsed", "pair ended");
        });
        assert_eq!(
            lines[2..],
            [
                "-> bob: ping",
                "bob gave no sign of life for 1.8 s, in spite of pings: lapsed;",
                "resets his connection, and tells the backend",
                "bob's pair has ended; cause: client_lapsed",
                "meanwhile, pings answered: 1 (0.30 to 0.30 ms); messages echoed: 0",
            ]
        );
    }

    #[test]
    fn strangers_are_not_told_of() {
        let lines = lines(|_| {
            let client = SocketAddr::from(([127, 0, 0, 1], 5001));
            debug!(pair = 8_u64, %client, route = %"echo", "pair opened");
            debug!(pair = 8_u64, side = %Side::Client, delay_us = 3_u64, "ping written");
        });
        assert!(lines.is_empty(), "{lines:?}");
    }
}
