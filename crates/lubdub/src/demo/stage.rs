//! Who takes part in the demo, and what they all share.

use std::fmt;
use std::sync::Arc;

use lubdub_keepalive::Side;
use tokio::sync::watch;

use super::narrator::Narrator;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Person {
    Ann,
    Bob,
    Cyd,
}

/// Who a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Lubdub,
    Backend,
    Guest(Person),
}

/// What the script says about one end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It stays well.
    Steady,
    /// It freezes when it has answered so many pings.
    FreezesAfterPings(u32),
    /// It freezes at the first ping after this client's connection has ended.
    FreezesWithout(Person),
}

/// What the cast shares.
pub(super) struct Stage {
    pub(super) narrator: Arc<Narrator>,
    /// For each person, how many of the two ends of the connection have noticed its end.
    left: [watch::Sender<u8>; Person::ALL.len()],
}

// === impl Stage ===

impl Stage {
    pub(super) fn new(narrator: Arc<Narrator>) -> Self {
        Self {
            narrator,
            left: Person::ALL.map(|_| watch::Sender::new(0)),
        }
    }

    /// One end of `person`'s connection has noticed that it is over.
    pub(super) fn leave(&self, person: Person) {
        self.left[person as usize].send_modify(|ends| *ends += 1);
    }

    /// Whether either end of `person`'s connection has noticed that it is over.
    pub(super) fn has_left(&self, person: Person) -> bool {
        *self.left[person as usize].borrow() > 0
    }

    /// Waits until both ends of `person`'s connection have noticed that it is over.
    pub(super) async fn parted(&self, person: Person) {
        self.ends_left(person, 2).await;
    }

    /// Waits until all connections are over, for both of their ends.
    pub(super) async fn all_parted(&self) {
        for person in Person::ALL {
            self.parted(person).await;
        }
    }

    /// Freezes the end of `person`'s connection that is on `side`: it does nothing at all, with
    /// its socket open, until the other end has noticed that the connection is over. `pings` is how
    /// many it has answered.
    pub(super) async fn freeze(&self, person: Person, side: Side, pings: u32) {
        let (speaker, text) = match side {
            Side::Client => {
                let text = format!(
                    "freezes: {} reads and answers nothing from now on",
                    person.they()
                );
                (Speaker::Guest(person), text)
            }
            Side::Upstream => {
                let text = format!(
                    "freezes on {person}'s connection: it reads and answers nothing from now on"
                );
                (Speaker::Backend, text)
            }
        };
        self.narrator.freeze(person, side, pings);
        self.narrator.say(speaker, &text);
        self.ends_left(person, 1).await;
    }

    async fn ends_left(&self, person: Person, ends: u8) {
        let mut left = self.left[person as usize].subscribe();
        left.wait_for(|left| *left >= ends)
            .await
            .expect("the stage holds the sender");
    }
}

// === impl Person ===

impl Person {
    /// `ALL[person as usize] == person`.
    pub(super) const ALL: [Self; 3] = [Self::Ann, Self::Bob, Self::Cyd];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ann => "ann",
            Self::Bob => "bob",
            Self::Cyd => "cyd",
        }
    }

    pub(super) fn they(self) -> &'static str {
        match self {
            Self::Ann | Self::Cyd => "she",
            Self::Bob => "he",
        }
    }

    pub(super) fn their(self) -> &'static str {
        match self {
            Self::Ann | Self::Cyd => "her",
            Self::Bob => "his",
        }
    }

    /// What the person asks the backend for, so that it knows who came.
    pub(super) fn path(self) -> String {
        format!("/{self}")
    }

    pub(super) fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|person| person.path() == path)
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Speaker {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lubdub => "lubdub",
            Self::Backend => "backend",
            Self::Guest(person) => person.as_str(),
        }
    }
}

impl Manner {
    /// Whether it is time to freeze, when `pings` have been answered.
    pub(super) fn freezes(self, pings: u32, stage: &Stage) -> bool {
        match self {
            Self::Steady => false,
            Self::FreezesAfterPings(limit) => pings == limit,
            Self::FreezesWithout(person) => stage.has_left(person),
        }
    }
}
