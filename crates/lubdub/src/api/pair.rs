//! Live pairs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of live pairs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Pairs {
    /// How many pairs live.
    pub total: usize,
    /// How many of them the query asks for.
    pub matched: usize,
    /// Where the next page begins (`after`); null on the last one.
    pub next: Option<String>,
    /// Those of this page.
    pub pairs: Vec<Pair>,
}

/// A live pair.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Pair {
    /// Its number: `pair` in the log.
    pub id: u64,
    /// The listener that accepted the client.
    pub listener: String,
    /// The route that its request took.
    pub route: String,
    /// Host and path of the request, as `log.request` allows.
    pub request: Option<String>,
    /// What the request is called (`X-Request-Id`).
    pub request_id: Option<String>,
    /// When it opened.
    pub opened: f64,
    /// For how long it is open.
    pub age_seconds: f64,
    pub client: Client,
    pub upstream: Upstream,
}

/// A live pair and how its pings were answered.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct PairTrace {
    #[serde(flatten)]
    pub pair: Pair,
    pub trace: Trace,
}

/// The client of a pair.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Client {
    /// Its true address.
    pub address: String,
    /// The other end of its connection.
    pub peer: String,
    #[serde(flatten)]
    pub side: Side,
}

/// The upstream of a pair.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Upstream {
    /// Its configured name.
    pub name: String,
    /// The address that was connected to.
    pub address: String,
    #[serde(flatten)]
    pub side: Side,
}

/// How alive a side is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Side {
    /// Since when nothing was read from it: its silence.
    pub last_heard_seconds: f64,
    /// The latest round trip of a ping of lubdub's own; null before the first.
    pub last_rtt_seconds: Option<f64>,
    /// Own pings that were written to it.
    pub pings_sent: u64,
    /// Own pings that it has answered.
    pub pongs_received: u64,
    /// Bytes relayed from it.
    pub bytes: u64,
    /// Frames relayed from it.
    pub frames: u64,
    /// It is not read at the moment, because it has used up its rate.
    pub held: bool,
}

/// The latest own pings toward each side, at most 64, the oldest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Trace {
    pub client: Vec<Beat>,
    pub upstream: Vec<Beat>,
}

/// What became of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Beat {
    pub state: BeatState,
    /// The round trip of one that was answered. It is kept on a scale, within some per cent.
    pub rtt_seconds: Option<f64>,
}

/// What became of a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BeatState {
    /// Its pong came.
    Answered,
    /// Another one was written since, and no pong has come.
    Missed,
    /// It is the latest, and its pong may come.
    Waiting,
    /// The pong to a later ping answered it as well (RFC 6455 5.5.3).
    Covered,
}
