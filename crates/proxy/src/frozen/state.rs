//! All that a pair knows, as plain data with a version: what one process writes and another reads.
//!
//! The bytes are MessagePack with the names of the fields. Who reads them skips what it does not know, and
//! a field that is added later has a default, so that most changes need no new version. Times are
//! `CLOCK_MONOTONIC` in nanoseconds ([`Anchor`](super::Anchor)). What the configuration says is not part
//! of it, but for what is needed to see that it has changed.

use std::io;
use std::time::Duration;

use lubdub_keepalive::{HeartbeatState, PerSide, PingPayload};
use lubdub_wire::ScannerState;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::address::{Address, Peer};
use crate::caller::Caller;
use crate::registry::TraceState;

/// All that a pair knows.
///
/// It holds bytes of the endpoints and secrets of the pair: it is for its own process and for the one
/// that goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairState {
    pub(crate) version: u16,
    pub(crate) id: u64,
    /// By their names, so that they are found in another configuration.
    pub(crate) listener: String,
    pub(crate) route: String,
    #[serde(default)]
    pub(crate) upstream_name: String,
    /// The other end of the client's connection.
    #[serde(with = "text")]
    pub(crate) client: Peer,
    /// The client's true address, where it is another one.
    #[serde(default)]
    pub(crate) true_client: Option<String>,
    #[serde(with = "text")]
    pub(crate) upstream: Address,
    pub(crate) request: Option<String>,
    #[serde(default)]
    pub(crate) request_id: Option<String>,
    #[serde(default)]
    pub(crate) proxy_header: Option<String>,
    pub(crate) opened: i64,
    pub(crate) handshake_us: u32,
    pub(crate) heartbeat: HeartbeatState,
    pub(crate) ends: PerSide<EndState>,
    /// What was read, and was not relayed yet: it came behind the handshake, or has to wait.
    pub(crate) early: Option<PerSide<ByteBuf>>,
    /// When data last came in.
    pub(crate) data: i64,
    #[serde(default)]
    pub(crate) data_excused: bool,
    /// What `data_idle` was: where it is another, quiet time counts anew.
    pub(crate) data_idle: Option<Duration>,
    /// What `write_stall` was, likewise.
    pub(crate) write_stall: Option<Duration>,
    /// When the pair ends, whatever the configuration says by now.
    pub(crate) lifetime: Option<i64>,
    /// When it wanted to be woken.
    pub(crate) armed: Option<i64>,
}

/// What comes from one side, and what goes to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EndState {
    pub(crate) scanner: ScannerState,
    pub(crate) outlet: OutletState,
    /// Bytes that the kernel has taken for it.
    pub(crate) taken: u64,
    pub(crate) paused: bool,
    pub(crate) ping_mark: Option<PingMarkState>,
    /// Relayed from it.
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    /// What is left of its rates. Of what was given up without it, nothing was used yet.
    #[serde(default)]
    pub(crate) rate: Option<RateState>,
    /// What became of the last own pings to it.
    #[serde(default)]
    pub(crate) trace: Option<TraceState>,
}

/// When the rates of what comes from a side will be as if nothing had come, if nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct RateState {
    #[serde(default)]
    pub(crate) bytes: Option<i64>,
    #[serde(default)]
    pub(crate) messages: Option<i64>,
}

/// What goes to a side.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OutletState {
    #[serde(default)]
    pub(crate) backlog: ByteBuf,
    pub(crate) ping: PingState,
    pub(crate) watch: Option<WatchState>,
}

/// The own ping on its way to the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PingState {
    Empty,
    Owed {
        payload: PingPayload,
        frame_boundary_from: i64,
    },
    Placed {
        ahead: usize,
    },
}

/// The watch over a side that takes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WatchState {
    pub(crate) since: i64,
    pub(crate) looked: i64,
    pub(crate) taken: u64,
    pub(crate) arrived: Option<ArrivalState>,
    #[serde(default)]
    pub(crate) excused: bool,
}

/// What had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArrivalState {
    pub(crate) acknowledged: u64,
    pub(crate) delivered: u32,
    pub(crate) gapped: u32,
}

/// The own ping that runs a side's clock, in the kernel's books.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PingMarkState {
    pub(crate) end: u64,
    pub(crate) on_their_way: u32,
    pub(crate) delivered: u32,
    pub(crate) gapped: u32,
    #[serde(default)]
    pub(crate) was_slow: bool,
}

/// Why a pair cannot go on from what was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidPair {
    /// The bytes do not say a pair's state.
    #[error("not the state of a pair: {0}")]
    Unreadable(#[from] rmp_serde::decode::Error),
    /// They are of a release that is too new, or too old.
    #[error("the state of a pair has version {0}, and this release reads {version}", version = PairState::VERSION)]
    Version(u16),
    /// No scanner can have been where it says.
    #[error(transparent)]
    Scanner(#[from] lubdub_wire::InvalidState),
    /// No heartbeat can have come to this.
    #[error(transparent)]
    Heartbeat(#[from] lubdub_keepalive::InvalidState),
    /// One thing in it contradicts another.
    #[error("not the state of a pair: {0}")]
    Senseless(&'static str),
    /// The runtime does not take the sockets.
    #[error("its sockets cannot be used: {0}")]
    Socket(#[from] io::Error),
}

// === impl PairState ===

impl PairState {
    /// The version that this release writes.
    pub(crate) const VERSION: u16 = 1;

    /// Who is calling.
    ///
    /// # Errors
    /// If the client's address is none.
    pub(crate) fn caller(&self) -> Result<Caller, InvalidPair> {
        let peer = self.client;
        let Some(client) = &self.true_client else {
            return Ok(Caller::peer(peer));
        };
        let client = client.parse();
        let client =
            client.map_err(|_| InvalidPair::Senseless("a client's address that is none"))?;
        Ok(Caller { peer, client })
    }

    /// The bytes that another process reads.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).expect("it is plain data")
    }

    /// # Errors
    /// If the bytes are not a pair's state, or of a version that is not read.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPair> {
        /// All that every version has.
        #[derive(Deserialize)]
        struct Any {
            version: u16,
        }
        let Any { version } = rmp_serde::from_slice(bytes)?;
        if version != Self::VERSION {
            return Err(InvalidPair::Version(version));
        }
        Ok(rmp_serde::from_slice(bytes)?)
    }
}

/// Tells the length only: what waits is the endpoints', and not for logs.
impl std::fmt::Debug for OutletState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutletState")
            .field("backlog", &self.backlog.len())
            .field("ping", &self.ping)
            .field("watch", &self.watch)
            .finish()
    }
}

/// An address as it is written everywhere.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::custom(format_args!("{text:?} is no address")))
    }
}
