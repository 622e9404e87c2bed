//! What watchers are told, made once for all of them, and only while there are some.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lubdub_metrics::BudgetMetrics;
use lubdub_proxy::{Budget, BudgetUse, Permit, Subject};
use serde::Serialize;
use tokio::sync::{Notify, broadcast};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::{State, ends, status};
use crate::api::LeftOut;

/// Where watchers hear what happens.
#[derive(Debug)]
pub(super) struct Feed {
    places: Arc<Budget>,
    said: broadcast::Sender<Bytes>,
    /// There is somebody to talk to.
    watched: Notify,
}

/// A watcher: it has a place, and hears what is said.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) heard: broadcast::Receiver<Bytes>,
    _place: Permit,
}

impl Feed {
    /// So many may watch: `config::machine` keeps descriptors for them.
    pub(super) const PLACES: usize = 64;
    /// From one look to the next. Each second one is of the whole.
    const STEP: Duration = Duration::from_secs(1);
    /// So many ends are told in a step; of the rest only how many they were.
    const ENDS: usize = 50;
    /// What may be said before a watcher that takes nothing misses some: two steps at the least.
    const AHEAD: usize = 2 * (Self::ENDS + 4);

    pub(super) fn new() -> Self {
        Self {
            places: Budget::new(
                Self::PLACES,
                Subject {
                    key: "watchers",
                    name: None,
                    effect: "more watchers of the admin listener are refused (503)",
                },
            ),
            said: broadcast::Sender::new(Self::AHEAD),
            watched: Notify::new(),
        }
    }

    /// How many watch, and may.
    pub(super) fn usage(&self) -> BudgetUse {
        self.places.usage("watchers")
    }

    /// The same, for who reads metrics.
    pub(super) fn sample(&self, metrics: &BudgetMetrics) {
        self.places.sample(metrics);
    }

    /// Looks whether there is room again, and says so. To be called now and then.
    pub(super) fn settle(&self) {
        self.places.settle(Instant::now());
    }

    /// One more watcher, if there is a place.
    pub(super) fn watch(&self) -> Option<Watcher> {
        let place = self.places.try_take()?;
        let heard = self.said.subscribe();
        self.watched.notify_one();
        Some(Watcher {
            heard,
            _place: place,
        })
    }

    /// Says what happens, while there is somebody to hear it.
    pub(super) async fn speak(state: &State) {
        loop {
            state.feed.watched.notified().await;
            state.feed.speak_while_watched(state).await;
        }
    }

    async fn speak_while_watched(&self, state: &State) {
        let mut ends = state.proxy.registry().ends().feed();
        let mut sampled = state.history.followed();
        let mut step = interval_at(Instant::now() + Self::STEP, Self::STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_whole = false;
        while self.said.receiver_count() > 0 {
            step.tick().await;
            // Without waiting for any.
            let news = timeout(Duration::ZERO, ends.next(Self::ENDS)).await;
            let news = news.unwrap_or_default();
            for end in &news.ends {
                self.say("end", &ends::describe(end));
            }
            if news.left_out > 0 {
                let ends = news.left_out;
                self.say("left_out", &LeftOut { ends });
            }
            if let Some(sample) = state.history.newer(&mut sampled) {
                self.say("sample", &sample);
            }
            if is_whole {
                self.say("status", &status::of(state));
            }
            is_whole = !is_whole;
        }
    }

    fn say(&self, event: &str, data: &impl Serialize) {
        // Nobody hears it if the last one has just gone.
        let _ = self.said.send(written(event, data));
    }
}

/// An event as it goes over the wire (HTML, server-sent events).
pub(super) fn written(event: &str, data: &impl Serialize) -> Bytes {
    // JSON has no line ends in it.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {event}\ndata: {data}\n\n").into()
}
