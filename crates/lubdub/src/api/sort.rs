//! Orders of pairs.

use clap::ValueEnum;
use serde::Deserialize;
use utoipa::ToSchema;

/// An order of pairs: those that opened first or last, are silent longest, had the longest latest round trip, or
/// had the most bytes relayed, are first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// Those that opened first, first
    #[default]
    Oldest,
    /// Those that opened last, first
    Newest,
    /// Those that are silent longest, first
    Silence,
    /// Those with the longest latest round trip, first
    Rtt,
    /// Those with the most bytes relayed, first
    Bytes,
}

impl Sort {
    /// As a query says it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Newest => "newest",
            Self::Silence => "silence",
            Self::Rtt => "rtt",
            Self::Bytes => "bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_and_a_query_have_the_same_words() {
        for sort in Sort::value_variants() {
            let word = sort.to_possible_value().map(|it| it.get_name().to_owned());
            assert_eq!(word.as_deref(), Some(sort.as_str()));
            let read: Sort = serde_json::from_value(sort.as_str().into()).unwrap();
            assert_eq!(read, *sort);
        }
    }
}
