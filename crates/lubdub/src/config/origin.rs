//! Where a value was set.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a value was set, in words that an operator can search for; the weakest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// Nowhere: it is built in.
    Default,
    /// The file with this path.
    File(String),
    /// The environment variable with this very name.
    Variable(String),
    /// The command line flag with this name.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) | Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}
