//! The terms on which pairs of this run live: nothing goes on by itself but what one way to end is
//! about, and that soon. Each has a route of its own, found by its host.

use std::time::Duration;

use lubdub_testkit::ms;

/// One set of terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// The endpoints have all the time that they want.
    Patient,
    /// The client is pinged, and lapses after [`WAIT`] once it has answered: before, it may be slow to
    /// find its 101.
    ClientPinged,
    /// The same with the upstream.
    UpstreamPinged,
    /// Who takes nothing for [`WAIT`] is given up; the upstream has tiny buffers.
    Stalling,
    /// A closing handshake may take [`WAIT`].
    Closing,
    /// A pair may be without data for [`WAIT`].
    Idle,
    /// A pair may live for [`WAIT`].
    Mortal,
    /// A frame may have [`FRAME`] bytes.
    Frames,
    /// The upstream may take [`WAIT`] to answer.
    Answering,
    /// The upstream may take [`WAIT`] to be connected to, and its accept queue is full.
    Deaf,
    /// Nobody listens where the upstream should be.
    Nobody,
    /// There is room for [`ROOM`] pairs on the route.
    Full,
    /// There is room for as many pairs in all of lubdub as the stage says.
    Crowded,
}

/// Who is behind a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// An upstream like any other.
    Wide,
    /// One with tiny buffers.
    Narrow,
    /// One that takes no more connections.
    Deaf,
    /// None.
    Nobody,
}

/// Whatever is waited for is waited for so long.
pub(crate) const WAIT: Duration = ms(300);
/// Own pings, where there are any, are so far apart.
pub(crate) const INTERVAL: Duration = ms(100);
/// The longest frame, where there is one; lubdub takes no less.
pub(crate) const FRAME: u16 = 125;
/// Pairs at a time, where there is a limit to those of a route.
pub(crate) const ROOM: u8 = 1;

impl Terms {
    pub(crate) const ALL: [Self; 13] = [
        Self::Patient,
        Self::ClientPinged,
        Self::UpstreamPinged,
        Self::Stalling,
        Self::Closing,
        Self::Idle,
        Self::Mortal,
        Self::Frames,
        Self::Answering,
        Self::Deaf,
        Self::Nobody,
        Self::Full,
        Self::Crowded,
    ];

    /// The host that has them.
    pub(crate) fn host(self) -> String {
        format!("{self:?}.example").to_lowercase()
    }

    pub(crate) fn behind(self) -> Behind {
        match self {
            Self::Stalling => Behind::Narrow,
            Self::Deaf => Behind::Deaf,
            Self::Nobody => Behind::Nobody,
            Self::Patient
            | Self::ClientPinged
            | Self::UpstreamPinged
            | Self::Closing
            | Self::Idle
            | Self::Mortal
            | Self::Frames
            | Self::Answering
            | Self::Full
            | Self::Crowded => Behind::Wide,
        }
    }
}
