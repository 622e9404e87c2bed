//! Where a scanner stands, as plain data with which another process goes on.

use std::{error, fmt};

use serde::{Deserialize, Serialize};

use super::gathering::Gathering;
use super::{FrameCounts, FrameScanner, Place, Residue};
use crate::{ControlFrame, Header};

/// All that a scanner knows of its stream. The limit on the size of frames is not part of it: that is
/// the caller's.
///
/// It holds bytes of the endpoints: the beginning of a header, or of a short control frame.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannerState {
    place: PlaceState,
    message_ended: bool,
    #[serde(default)]
    counts: FrameCounts,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PlaceState {
    /// What has come of a header: nothing, between frames.
    Header {
        bytes: Vec<u8>,
    },
    Payload {
        left: u64,
        is_data: bool,
    },
    /// What has come of a short control frame.
    Control {
        bytes: Vec<u8>,
    },
    CutOff,
}

/// No scanner can have given up such a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidState(&'static str);

impl FrameScanner {
    /// Gives up all that it knows of its stream, for [`thaw`](Self::thaw).
    #[must_use]
    pub fn freeze(&self) -> ScannerState {
        ScannerState {
            place: match &self.place {
                Place::Header(residue) => PlaceState::Header {
                    bytes: residue.to_vec(),
                },
                &Place::Payload { left, is_data } => PlaceState::Payload { left, is_data },
                Place::Control(gathering) => PlaceState::Control {
                    bytes: gathering.bytes().to_vec(),
                },
                Place::CutOff => PlaceState::CutOff,
            },
            message_ended: self.message_ended,
            counts: self.counts,
        }
    }

    /// Goes on where a scanner that [gave up](Self::freeze) this state stood, with this limit on the
    /// size of frames.
    ///
    /// # Errors
    /// If no scanner can have given up this state.
    pub fn thaw(state: &ScannerState, limit: Option<u64>) -> Result<Self, InvalidState> {
        Ok(Self {
            place: state.place.thaw()?,
            limit: limit.unwrap_or(u64::MAX),
            message_ended: state.message_ended,
            counts: state.counts,
        })
    }
}

// === impl PlaceState ===

impl PlaceState {
    fn thaw(&self) -> Result<Place, InvalidState> {
        Ok(match self {
            Self::Header { bytes } => {
                if bytes.len() >= Header::MAX_LEN || Header::decode(bytes).is_some() {
                    return Err(InvalidState("a header that is whole"));
                }
                Place::Header(Residue::EMPTY.followed_by(bytes))
            }
            Self::Payload { left: 0, .. } => return Err(InvalidState("a payload that is whole")),
            &Self::Payload { left, is_data } => Place::Payload { left, is_data },
            Self::Control { bytes } => Place::Control(Box::new(gathering(bytes)?)),
            Self::CutOff => Place::CutOff,
        })
    }
}

fn gathering(bytes: &[u8]) -> Result<Gathering, InvalidState> {
    let (header, header_len) =
        Header::decode(bytes).ok_or(InvalidState("a control frame without its header"))?;
    if !ControlFrame::fits(&header) {
        return Err(InvalidState("no short control frame"));
    }
    let mut gathering = Gathering::begin(header, Residue::EMPTY, header_len);
    if gathering.take(bytes) < bytes.len() || gathering.is_whole() {
        return Err(InvalidState("a control frame that is whole"));
    }
    Ok(gathering)
}

// === impl ScannerState ===

/// Tells no bytes: they are the endpoints', and not for logs.
impl fmt::Debug for ScannerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, held) = match &self.place {
            PlaceState::Header { bytes } => ("header", bytes.len()),
            PlaceState::Payload { .. } => ("payload", 0),
            PlaceState::Control { bytes } => ("control", bytes.len()),
            PlaceState::CutOff => ("cut off", 0),
        };
        f.debug_struct("ScannerState")
            .field("place", &format_args!("{place}"))
            .field("held", &held)
            .field("message_ended", &self.message_ended)
            .finish_non_exhaustive()
    }
}

// === impl InvalidState ===

impl fmt::Display for InvalidState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the state of a scanner: {}", self.0)
    }
}

impl error::Error for InvalidState {}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::{Event, Stop};

    fn thawed(place: PlaceState) -> Result<FrameScanner, InvalidState> {
        let state = ScannerState {
            place,
            message_ended: true,
            counts: FrameCounts::default(),
        };
        FrameScanner::thaw(&state, None)
    }

    #[test]
    fn what_no_scanner_gives_up_is_refused() {
        let header = |bytes: &[u8]| PlaceState::Header {
            bytes: bytes.to_vec(),
        };
        let control = |bytes: &[u8]| PlaceState::Control {
            bytes: bytes.to_vec(),
        };
        let payload = |left| PlaceState::Payload {
            left,
            is_data: true,
        };
        for (place, what) in [
            (header(b"\x81\x05"), "a whole header"),
            (header(&[0xff; 14]), "the longest header"),
            (header(&[0xff; 4096]), "more than any header"),
            (control(b""), "no header"),
            (control(b"\x8a"), "half a header"),
            (control(b"\x82\x05"), "a data frame"),
            (control(b"\x8a\x7e\x00\x80"), "a long control frame"),
            (control(b"\x8a\x00"), "a whole PONG"),
            (control(b"\x8a\x02abc"), "more than a PONG"),
            (payload(0), "an empty payload"),
        ] {
            assert!(thawed(place).is_err(), "{what}");
        }
        for place in [
            header(b""),
            header(b"\x8a"),
            header(&[0xff; 13]),
            control(b"\x8a\x01"),
            control(b"\x8a\x7e\x00\x02a"),
            payload(u64::MAX),
            PlaceState::CutOff,
        ] {
            assert!(thawed(place).is_ok());
        }
    }

    #[test]
    fn a_state_can_be_logged_without_the_bytes_that_it_holds() {
        let mut scanner = FrameScanner::new();
        let _ = scanner.scan(b"\x8a\x09secret", Stop::Never);
        let shown = format!("{:?}", scanner.freeze());
        assert!(
            shown.contains("held: 8") && !shown.contains("115"),
            "{shown}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_taken_goes_on(
            bytes in vec(any::<u8>(), 0..160),
            is_control in any::<bool>(),
            input in vec(any::<u8>(), 0..400),
        ) {
            let place = if is_control {
                PlaceState::Control { bytes }
            } else {
                PlaceState::Header { bytes }
            };
            if let Ok(mut scanner) = thawed(place) {
                let mut rest = &input[..];
                loop {
                    let step = scanner.scan(rest, Stop::Never);
                    rest = step.rest;
                    if step.event == Event::Exhausted {
                        break;
                    }
                }
            }
        }
    }
}
