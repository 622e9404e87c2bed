//! The one declaration of every key: its type, default, reach and meaning.
//!
//! The example file, `lubdub config defaults`, the reference page, the built-in defaults, the
//! refusal of unknown keys and the suggestions are all made from it. What a value *means* is in
//! [`super::resolve`]; the shape that is read is in [`super::raw`], and a test holds the two
//! together.

mod ends;
mod forwarded;
mod heartbeat;
mod kind;
mod listen;
mod preset;
mod process;
mod rate;
mod route;
mod upstream;
mod waits;

use std::sync::LazyLock;

pub(crate) use kind::Kind;
pub(crate) use preset::{Literal, Preset};
pub(crate) use waits::{LEAST_FRAME, LEAST_HEAD};

/// Stands for a name of the operator's choice in a path.
pub(crate) const NAME: &str = "NAME";

/// All tables, in the order in which they are shown.
pub(crate) static SECTIONS: [&Section; 21] = [
    &listen::LISTEN,
    &listen::TLS,
    &listen::CERTIFICATE,
    &upstream::UPSTREAM,
    &upstream::LIMITS,
    &route::ROUTE,
    &route::LIMITS,
    &rate::TO_CLIENT,
    &rate::TO_UPSTREAM,
    &heartbeat::CLIENT,
    &heartbeat::UPSTREAM,
    &waits::TIMEOUTS,
    &waits::LIMITS,
    &ends::TO_CLIENT,
    &ends::TO_UPSTREAM,
    &ends::DRAIN,
    &forwarded::FORWARDED,
    &process::ADMIN,
    &process::LOG,
    &process::HANDOVER,
    &process::RUNTIME,
];

/// A table of keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its path; [`NAME`] stands for names of the operator's choice.
    pub path: &'static str,
    /// What it is about, in full sentences.
    pub about: &'static str,
    /// Whether the example file has it in effect.
    pub example: Example,
    /// What a reload does with its keys, unless a key says otherwise.
    pub applies: Applies,
    /// Its keys.
    pub keys: &'static [Key],
}

/// How the example file shows a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Example {
    /// In effect, with the keys that it must have.
    Live,
    /// As a comment: most configurations do without.
    Commented,
}

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name in its table.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds if it is not set.
    pub preset: Preset,
    /// Where it can be set.
    pub reach: Reach,
    /// What a reload does with it; `None` for what it does with the whole table.
    applies: Option<Applies>,
    /// What it is, in half a line.
    pub help: &'static str,
    /// What the reference says beyond that; may be empty.
    pub more: &'static str,
}

/// Where a key can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only in its table.
    Global,
    /// In its table for all routes, and under `route.NAME` for one.
    PerRoute,
}

/// From when on a value holds that a reload has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applies {
    /// From now on, for everybody.
    AtOnce,
    /// Also for live pairs, with their next ping.
    NextPing,
    /// For connections of clients that come from now on.
    NewConnections,
    /// For requests and pairs that come from now on; live pairs keep what they have.
    NewPairs,
    /// Not at all: the reload is refused.
    Upgrade,
}

/// A place where a key is accepted.
#[derive(Debug)]
pub(crate) struct Place {
    /// The whole path; [`NAME`] stands for names of the operator's choice.
    pub path: Vec<&'static str>,
    /// The key that it sets.
    pub key: &'static Key,
    /// What a reload does with it.
    pub applies: Applies,
}

/// What a path is.
#[derive(Debug)]
pub(crate) enum Found {
    /// A key.
    Key(&'static Key),
    /// A table of keys or of further tables.
    Table,
    /// A table, with a last segment of the operator's choice.
    Named,
    /// Nothing known.
    Nothing,
}

static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let mut places = Vec::new();
    for section in SECTIONS {
        for key in section.keys {
            let applies = section.applies_to(key);
            let path = section.path.split('.').chain([key.name]);
            if key.reach == Reach::PerRoute {
                let path = ["route", NAME].into_iter().chain(path.clone()).collect();
                places.push(Place { path, key, applies });
            }
            places.push(Place {
                path: path.collect(),
                key,
                applies,
            });
        }
    }
    places
});

/// Every place where a key is accepted.
pub(crate) fn places() -> &'static [Place] {
    &PLACES
}

/// What is known at `path`.
pub(crate) fn find(path: &[&str]) -> Found {
    let Some(place) = places().iter().find(|place| place.begins_with(path)) else {
        return Found::Nothing;
    };
    if place.path.len() == path.len() {
        return Found::Key(place.key);
    }
    match path.len().checked_sub(1).map(|last| place.path[last]) {
        Some(NAME) => Found::Named,
        _ => Found::Table,
    }
}

/// The names that are known in the table at `path`, in the order of their declaration.
pub(crate) fn children(path: &[&str]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for place in places() {
        if place.path.len() > path.len() && place.begins_with(path) {
            let name = place.path[path.len()];
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// What a reload does with the key at `path`.
pub(crate) fn applies(path: &[&str]) -> Option<Applies> {
    let mut places = places().iter();
    let place = places.find(|place| place.path.len() == path.len() && place.begins_with(path))?;
    Some(place.applies)
}

// === impl Section ===

impl Section {
    /// What a reload does with one of its keys.
    pub(crate) fn applies_to(&self, key: &Key) -> Applies {
        key.applies.unwrap_or(self.applies)
    }
}

// === impl Applies ===

impl Applies {
    /// In words, for answers and the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::NextPing => "from the next ping",
            Self::NewConnections => "for new connections",
            Self::NewPairs => "for new pairs",
            Self::Upgrade => "needs an upgrade",
        }
    }
}

// === impl Place ===

impl Place {
    /// Whether it is below `path`.
    pub(crate) fn begins_with(&self, path: &[&str]) -> bool {
        path.len() <= self.path.len()
            && self
                .path
                .iter()
                .zip(path)
                .all(|(known, given)| *known == NAME || known == given)
    }
}

// === impl Key ===

impl Key {
    /// A key that can be set in its table only.
    const fn new(name: &'static str, kind: Kind, preset: Preset, help: &'static str) -> Self {
        Self {
            name,
            kind,
            preset,
            reach: Reach::Global,
            applies: None,
            help,
            more: "",
        }
    }

    /// The same key, for a route as well.
    const fn per_route(mut self) -> Self {
        self.reach = Reach::PerRoute;
        self
    }

    /// The same key, with which a reload does something else than with its table.
    const fn applies(mut self, applies: Applies) -> Self {
        self.applies = Some(applies);
        self
    }

    /// The same key with more to say.
    const fn more(mut self, more: &'static str) -> Self {
        self.more = more;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found() {
        assert!(
            matches!(find(&["keepalive", "client", "interval"]), Found::Key(k) if k.name == "interval")
        );
        assert!(matches!(
            find(&["route", "x", "keepalive", "client", "interval"]),
            Found::Key(k) if k.name == "interval"
        ));
        assert!(matches!(find(&["listen"]), Found::Table));
        assert!(matches!(find(&["listen", "x"]), Found::Named));
        assert!(matches!(
            find(&["listen", "x", "tls", "certificate", "y"]),
            Found::Named
        ));
        assert!(matches!(
            find(&["route", "x", "timeouts", "tls"]),
            Found::Nothing
        ));
        assert!(matches!(find(&["log", "level", "x"]), Found::Nothing));
        assert_eq!(
            children(&["log"]),
            ["format", "level", "request", "refusals"]
        );
        assert_eq!(
            children(&["listen", "x", "tls"])[3..],
            ["subject_header", "watch", "certificate"]
        );
    }

    #[test]
    fn no_place_is_declared_twice() {
        for (i, place) in places().iter().enumerate() {
            assert!(
                places()[..i].iter().all(|other| other.path != place.path),
                "{place:?}"
            );
        }
    }

    #[test]
    fn help_fits_behind_a_value() {
        for place in places() {
            let help = place.key.help;
            assert!(
                (1..=72).contains(&help.len()) && !help.ends_with('.'),
                "{place:?}"
            );
        }
    }
}
