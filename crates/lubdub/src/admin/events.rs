//! What happens, as it happens: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http_body_util::channel::{Channel, Sender};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::answer::{Answer, problem, with};
use super::feed::{Feed, Watcher, written};
use super::guard::{Look, NoQuery};
use super::status;
use crate::api::Problem;

/// The connection that a request came by, as a watcher needs it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Whether it is a watcher's: those do not have to make room for others.
    is_watched: Arc<AtomicBool>,
    /// Until this listener closes.
    closing: watch::Receiver<()>,
}

/// Marks a connection as a watcher's for as long as it lives.
#[derive(Debug)]
struct Mark(Arc<AtomicBool>);

/// What happens, as it happens
///
/// Server-sent events: `status` (at once and every 2 s: a Status), `sample` (every 10 s: a Sample of the history),
/// `end` (of a pair, at most 50 a second: an End) and `left_out` (how many ends were not told: a LeftOut).
#[utoipa::path(get, path = "/api/v1/events", operation_id = "events", tag = "events", responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    (
        status = 503,
        body = Problem,
        content_type = Problem::TYPE,
        description = "All places of watchers are taken",
        headers(("Retry-After" = u32, description = "Seconds")),
    ),
))]
pub(super) async fn follow(
    State(state): State<Arc<super::State>>,
    Extension(line): Extension<Line>,
    _: Look,
    _: NoQuery,
) -> Answer {
    let Some(watcher) = state.feed.watch() else {
        let reason = format!("there are {} watchers already", Feed::PLACES);
        let answer = problem(StatusCode::SERVICE_UNAVAILABLE, reason);
        let answer = with(answer, RETRY_AFTER, "10");
        // A crowd of them is not to keep the connections.
        return with(answer, CONNECTION, "close");
    };
    let (sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(tell(state, watcher, sender, line));
    let answer = with(
        Body::new(body).into_response(),
        CONTENT_TYPE,
        "text/event-stream",
    );
    with(answer, CACHE_CONTROL, "no-store")
}

/// Passes on what is said, until the watcher goes, the listener closes, or other people may look than could.
async fn tell(
    state: Arc<super::State>,
    mut watcher: Watcher,
    mut sender: Sender<Bytes>,
    mut line: Line,
) {
    let _mark = Mark::new(&line);
    let access = state.access.load_full();
    let mut next = written("status", &status::of(&state));
    loop {
        // Who takes nothing is let go of by the connection, and nobody is there to send to then.
        if !state.access.is_still(&access) || sender.send_data(next).await.is_err() {
            return;
        }
        next = loop {
            let heard = tokio::select! {
                heard = watcher.heard.recv() => heard,
                _ = line.closing.changed() => return,
            };
            match heard {
                Ok(said) => break said,
                // It was slow, and goes on with what is new.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        };
    }
}

// === impl Line ===

impl Line {
    pub(super) fn new(closing: watch::Receiver<()>) -> Self {
        Self {
            is_watched: Arc::default(),
            closing,
        }
    }

    /// Whether it is a watcher's at the moment.
    pub(super) fn is_watched(&self) -> bool {
        self.is_watched.load(Relaxed)
    }
}

// === impl Mark ===

impl Mark {
    fn new(line: &Line) -> Self {
        line.is_watched.store(true, Relaxed);
        Self(Arc::clone(&line.is_watched))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}
