//! The two ends of a pair, seen from the middle.

use serde::{Deserialize, Serialize};

/// One end of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The end that connected to lubdub.
    Client,
    /// The end that lubdub connected to: the backend.
    Upstream,
}

impl Side {
    /// Both sides, client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Upstream];

    /// The other end of the same pair.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Upstream,
            Self::Upstream => Self::Client,
        }
    }

    /// The name used in logs, labels and configuration keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value for each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PerSide<T> {
    /// The value of the client's side.
    pub client: T,
    /// The value of the upstream's side.
    pub upstream: T,
}

impl<T> PerSide<T> {
    /// Builds both values, client first.
    pub fn from_fn(mut make: impl FnMut(Side) -> T) -> Self {
        Self {
            client: make(Side::Client),
            upstream: make(Side::Upstream),
        }
    }

    /// Makes others of both values, client first.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> PerSide<U> {
        PerSide {
            client: make(self.client),
            upstream: make(self.upstream),
        }
    }
}

impl<T> std::ops::Index<Side> for PerSide<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Upstream => &self.upstream,
        }
    }
}

impl<T> std::ops::IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Upstream => &mut self.upstream,
        }
    }
}
