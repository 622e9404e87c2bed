//! How pairs have ended, on its way to the next process: an operator who asks why a pair ended does not ask which
//! process had it.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lubdub_keepalive::{PerSide, Rtt, Side};
use lubdub_metrics::{Cause, Diagnosis};
use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::frozen::Anchor;
use crate::registry::{
    CloseSender, End, Identity, PairEntry, PairId, PairNames, SeenClose, SideEnd, SideStatus,
    TraceState,
};
use crate::request_id::RequestId;

/// How a pair has ended, as plain data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PastEnd {
    /// In milliseconds since 1970.
    pub(crate) at_ms: u64,
    pub(crate) pair: u64,
    pub(crate) listener: String,
    pub(crate) route: String,
    pub(crate) upstream_name: String,
    pub(crate) client: String,
    pub(crate) peer: String,
    pub(crate) upstream: String,
    #[serde(default)]
    pub(crate) request: Option<String>,
    #[serde(default)]
    pub(crate) request_id: Option<String>,
    #[serde(default)]
    pub(crate) proxy_header: Option<String>,
    /// By the host's clock.
    pub(crate) opened: i64,
    pub(crate) cause: String,
    #[serde(default)]
    pub(crate) close: Option<PastClose>,
    #[serde(default)]
    pub(crate) diagnosis: Option<String>,
    pub(crate) duration: Duration,
    #[serde(default)]
    pub(crate) lapsed_after: Option<Duration>,
    pub(crate) sides: PerSide<PastSide>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PastClose {
    pub(crate) by: String,
    #[serde(default)]
    pub(crate) code: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PastSide {
    pub(crate) silent_for: Duration,
    #[serde(default)]
    pub(crate) last_rtt: Option<Duration>,
    #[serde(default)]
    pub(crate) rtt: Option<Rtt>,
    pub(crate) pings: u64,
    pub(crate) pongs: u64,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    #[serde(default)]
    pub(crate) held: bool,
    #[serde(default)]
    pub(crate) trace: TraceState,
}

impl PastEnd {
    pub(crate) fn of(end: &End, anchor: &Anchor) -> Self {
        let entry = &end.pair;
        let caller = entry.caller();
        let since_epoch = end.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            pair: entry.id.0,
            listener: entry.names.listener.to_string(),
            route: entry.names.route.to_string(),
            upstream_name: entry.names.upstream.to_string(),
            client: caller.client.to_string(),
            peer: caller.peer.to_string(),
            upstream: entry.upstream().to_string(),
            request: entry.request.as_deref().map(str::to_owned),
            request_id: entry.request_id(),
            proxy_header: entry.proxy_header().map(str::to_owned),
            opened: anchor.nanos(entry.opened),
            cause: end.cause.as_str().to_owned(),
            close: end.close.map(|close| PastClose {
                by: close.by.as_str().to_owned(),
                code: close.code,
            }),
            diagnosis: end.diagnosis.map(|it| it.as_str().to_owned()),
            duration: end.duration,
            lapsed_after: end.lapsed_after,
            sides: PerSide::from_fn(|side| {
                let SideEnd { status, rtt } = end.sides[side];
                PastSide {
                    silent_for: status.silent_for,
                    last_rtt: status.last_rtt,
                    rtt,
                    pings: status.pings_sent,
                    pongs: status.pongs_received,
                    bytes: status.bytes,
                    frames: status.frames,
                    held: status.is_held,
                    trace: entry.freeze_trace(side),
                }
            }),
        }
    }

    /// `None` of what this release has no word for.
    pub(crate) fn thaw(self, anchor: &Anchor) -> Option<End> {
        let cause = Cause::ALL
            .into_iter()
            .find(|it| it.as_str() == self.cause)?;
        let diagnosis = |name: &String| {
            let mut all = Diagnosis::ALL.into_iter();
            all.find(|it| it.as_str() == name)
        };
        let close = |close: PastClose| {
            let senders = [
                CloseSender::Side(Side::Client),
                CloseSender::Side(Side::Upstream),
                CloseSender::Lubdub,
            ];
            let by = senders.into_iter().find(|by| by.as_str() == close.by)?;
            let code = close.code;
            Some(SeenClose { by, code })
        };
        let diagnosis = self.diagnosis.as_ref().and_then(diagnosis);
        let pongs = PerSide::from_fn(|side| self.sides[side].pongs);
        let sides = PerSide::from_fn(|side| {
            let side = &self.sides[side];
            SideEnd {
                status: SideStatus {
                    silent_for: side.silent_for,
                    last_rtt: side.last_rtt,
                    pings_sent: side.pings,
                    pongs_received: side.pongs,
                    bytes: side.bytes,
                    frames: side.frames,
                    is_held: side.held,
                },
                rtt: side.rtt,
            }
        });
        let identity = Identity {
            names: Arc::new(PairNames {
                listener: self.listener.into(),
                route: self.route.into(),
                upstream: self.upstream_name.into(),
            }),
            caller: Caller {
                peer: self.peer.parse().ok()?,
                client: self.client.parse().ok()?,
            },
            upstream: self.upstream.parse().ok()?,
            request: self.request.map(Into::into),
            request_id: self.request_id.as_deref().and_then(RequestId::kept),
            proxy_header: self.proxy_header.map(Into::into),
        };
        let opened = anchor.instant(self.opened).ok()?;
        let pair = PairEntry::past(PairId(self.pair), identity, opened, self.duration, &sides);
        for side in Side::BOTH {
            pair.thaw_trace(side, &self.sides[side].trace);
        }
        Some(End {
            number: 0,
            at: UNIX_EPOCH.checked_add(Duration::from_millis(self.at_ms))?,
            pair: Arc::new(pair),
            cause,
            close: self.close.and_then(close),
            diagnosis,
            duration: self.duration,
            lapsed_after: self.lapsed_after,
            hint: End::hint(cause, pongs),
            sides,
        })
    }
}

/// Ends for another process.
pub(crate) fn frozen(ends: &[End]) -> Vec<PastEnd> {
    let anchor = Anchor::now();
    ends.iter().map(|end| PastEnd::of(end, &anchor)).collect()
}

/// Those of another process, as far as this release understands them.
pub(crate) fn thawed(ends: Vec<PastEnd>) -> Vec<End> {
    let anchor = Anchor::now();
    let ends = ends.into_iter();
    ends.filter_map(|end| end.thaw(&anchor)).collect()
}
