//! Why a hand-over fails.

use std::fmt;
use std::io;

use super::link::LinkError;

/// How far a hand-over is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The new process starts, and reads its configuration.
    Hello,
    /// The listeners go.
    Listeners,
    /// The pairs go.
    Pairs,
    /// All has gone that can go at once.
    End,
}

/// Why there is no hand-over, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The other process does not want to.
    #[error("{0}")]
    Refused(String),
    /// The other process says nothing.
    #[error("the other process has not answered in time (waited for {0})")]
    Silent(Stage),
    /// The other process has gone.
    #[error("the other process has ended, or closed the connection")]
    Gone,
    /// No version of the format is common to both.
    #[error(
        "the other program speaks versions {oldest} to {newest} of the hand-over, and this one {} to {}; \
         one release between the two can take over from the one and hand over to the other",
        super::message::OLDEST,
        super::message::VERSION
    )]
    Version {
        /// The oldest that the other one speaks.
        oldest: u16,
        /// The newest.
        newest: u16,
    },
    /// It broke off in the middle.
    #[error("the hand-over broke off when {moved} pairs had moved: {reason}")]
    BrokenOff {
        /// So many pairs are the successor's.
        moved: u64,
        /// Why.
        reason: Box<Self>,
    },
    /// There is one at a time.
    #[error("a hand-over is under way already")]
    UnderWay,
    /// A drain is under way, or stands.
    #[error("drain {0} is under way, or stands; call it off first, or wait for its end")]
    Draining(u64),
    /// More sockets than one message carries.
    #[error(
        "{0} listening sockets and connections to earlier processes are more than can be handed over"
    )]
    TooMany(usize),
    /// This process may not open as many files.
    #[error("this process may not open as many files as it is handed")]
    Descriptors,
    /// What the other process says is not what can be said there.
    #[error("the other process speaks another language: {0}")]
    Senseless(String),
    /// A socket of this process cannot be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}

// === impl HandoverError ===

impl HandoverError {
    /// Nobody is at the other end any more.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self {
            Self::Gone => true,
            Self::BrokenOff { reason, .. } => reason.is_end(),
            Self::Refused(_)
            | Self::Silent(_)
            | Self::Version { .. }
            | Self::UnderWay
            | Self::Draining(_)
            | Self::TooMany(_)
            | Self::Descriptors
            | Self::Senseless(_)
            | Self::Io(_) => false,
        }
    }

    /// The successor accepts connections, and may have pairs.
    #[must_use]
    pub fn is_in_the_middle(&self) -> bool {
        matches!(self, Self::BrokenOff { .. })
    }
}

impl From<LinkError> for HandoverError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Gone => Self::Gone,
            LinkError::Io(error) => Self::Io(error),
            error @ (LinkError::NotOurs
            | LinkError::TooLarge(_)
            | LinkError::Descriptors { .. }) => Self::Senseless(error.to_string()),
        }
    }
}

// === impl Stage ===

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello => "its hello",
            Self::Listeners => "the listeners",
            Self::Pairs => "the pairs",
            Self::End => "the end",
        })
    }
}
