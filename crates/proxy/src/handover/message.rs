//! What the two processes of a hand-over say to each other, as it is written: MessagePack with names.
//!
//! Fields that are not known are skipped, and new ones have a default, so that most changes need no
//! new version. Where one is needed, a release reads and writes its own version and the one before.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::ends::PastEnd;
use crate::address::Address;
use crate::unix::FileId;

/// The version of the format that this release has.
pub(crate) const VERSION: u16 = 1;
/// The oldest one that it can speak as well.
pub(crate) const OLDEST: u16 = 1;

/// What the successor says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromSuccessor {
    /// It is there, and its configuration is good.
    Hello(Hello),
    /// It will not take over.
    Sorry { reason: String },
    /// It has the listeners, and accepts on them.
    Listening,
    /// It holds the batch, and waits for `Go` or `Keep`. It has given up what it refuses.
    Ready { batch: u64, refused: Vec<Refused> },
    /// It has all that was to come at once; what is left of the predecessor lingers.
    Thanks,
    /// The lingering predecessor is to do this.
    Ask(Ask),
}

/// What the predecessor says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromPredecessor {
    /// What there is to take over. The descriptors come with it, in the order in which it names them.
    Welcome(Welcome),
    /// There will be no hand-over.
    Sorry { reason: String },
    /// Frozen pairs. Two descriptors for each come with it: the client's, then the upstream's.
    Batch { batch: u64, pairs: Vec<ByteBuf> },
    /// The batch is the successor's.
    Go { batch: u64 },
    /// The batch is the predecessor's again.
    Keep { batch: u64 },
    /// All that could go at once has gone.
    End(End),
    /// How it is with a lingering predecessor. Counters are what was added since the last time.
    Lingering(Lingering),
}

/// How the successor introduces itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The versions of the format that it can speak.
    pub(crate) oldest: u16,
    pub(crate) newest: u16,
    /// The version of its program.
    #[serde(default)]
    pub(crate) program: String,
    #[serde(default)]
    pub(crate) pid: u32,
    /// How many pairs its limit of open files carries.
    pub(crate) room: u64,
}

/// What there is to take over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// The version that both speak from here on.
    pub(crate) version: u16,
    #[serde(default)]
    pub(crate) program: String,
    #[serde(default)]
    pub(crate) pid: u32,
    pub(crate) listeners: Vec<Listening>,
    /// The listening socket for operators, if there is one. Its descriptor is next.
    #[serde(default)]
    pub(crate) admin: Option<Address>,
    /// The file of that, if it is a Unix socket and the predecessor's to give.
    #[serde(default)]
    pub(crate) admin_file: Option<FileId>,
    /// Earlier predecessors that linger; each has one descriptor.
    #[serde(default)]
    pub(crate) lingering: Vec<Heir>,
    /// No pair has a higher number.
    pub(crate) last_pair: u64,
}

/// A listening socket that goes along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) name: String,
    pub(crate) address: Address,
    /// Somebody else keeps it as well, and it outlives both.
    #[serde(default)]
    pub(crate) is_lent: bool,
    /// The file of a Unix socket, if it is the predecessor's to give.
    #[serde(default)]
    pub(crate) file: Option<FileId>,
}

/// The connection to an earlier predecessor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Heir {
    pub(crate) pid: u32,
    pub(crate) pairs: u64,
    /// The numbers of its pairs, in order.
    #[serde(default)]
    pub(crate) numbers: Vec<u64>,
}

/// A pair of a batch that the successor does not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// Its place in the batch.
    pub(crate) place: u16,
    pub(crate) reason: String,
}

/// What became of the pairs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) moved: u64,
    pub(crate) kept: u64,
    pub(crate) counters: Vec<Counter>,
    #[serde(default)]
    pub(crate) successes: Vec<Success>,
    /// The last pairs that have ended, oldest first.
    #[serde(default)]
    pub(crate) ends: Vec<PastEnd>,
}

/// How it is with a lingering predecessor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lingering {
    pub(crate) pairs: u64,
    pub(crate) counters: Vec<Counter>,
    #[serde(default)]
    pub(crate) successes: Vec<Success>,
    /// Pairs that have ended since the last time, oldest first.
    #[serde(default)]
    pub(crate) ends: Vec<PastEnd>,
    /// The numbers of its pairs, in order, where they are others than the last time.
    #[serde(default)]
    pub(crate) numbers: Option<Vec<u64>>,
}

/// A counter and what is to be added to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counter {
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: u64,
}

/// When an upstream was well last, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Success {
    pub(crate) upstream: String,
    pub(crate) at_ms: u64,
}

/// What a lingering predecessor is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Say farewell to all of its pairs, or to some.
    Drain {
        route: Option<String>,
        upstream: Option<String>,
        listener: Option<String>,
        older_than_ms: Option<u64>,
        spread_ms: u64,
    },
    /// Call that off.
    CallOffDrain,
    /// End one pair by a Close to both sides.
    Close {
        pair: u64,
        code: u16,
        reason: Option<String>,
    },
    /// End, as by SIGTERM.
    End,
}

// === impl FromPredecessor ===

impl FromPredecessor {
    /// What it is about, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::Sorry { .. } => "sorry",
            Self::Batch { .. } => "batch",
            Self::Go { .. } => "go",
            Self::Keep { .. } => "keep",
            Self::End(_) => "end",
            Self::Lingering(_) => "lingering",
        }
    }
}

// === impl Hello ===

impl Hello {
    /// The version that this release and the one that says hello both speak, the newest of them.
    pub(crate) fn common_version(&self) -> Option<u16> {
        let newest = self.newest.min(VERSION);
        (newest >= self.oldest.max(OLDEST)).then_some(newest)
    }
}

/// The bytes of a message.
pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(message).expect("messages are plain data")
}

/// The message in these bytes.
///
/// # Errors
/// If there is none of this kind in them, or more than it.
pub(crate) fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, rmp_serde::decode::Error> {
    let mut rest = bytes;
    let message = rmp_serde::from_read(&mut rest)?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(serde::de::Error::custom("there are bytes behind it"))
    }
}
