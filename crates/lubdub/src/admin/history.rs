//! The last hour, in steps: what a page that was just opened shows of the time before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::extract::State;
use lubdub_proxy::registry::Overview;
use tokio::time::{MissedTickBehavior, interval};

use super::answer::{self, Answer};
use super::figures;
use super::guard::{Look, NoQuery};
use crate::api::{self, Sample, moment};

/// What happened in the last hour.
#[derive(Debug)]
pub(super) struct History {
    samples: Mutex<Samples>,
    /// What had happened before.
    origin: Overview,
}

#[derive(Debug, Default)]
struct Samples {
    kept: VecDeque<Sample>,
    /// How many there were, those that are kept no more among them.
    count: u64,
}

/// How many samples somebody knows of.
#[derive(Debug)]
pub(super) struct Sampled(u64);

/// The last hour
#[utoipa::path(get, path = "/api/v1/history", operation_id = "history", tag = "state",
    responses((status = 200, body = api::History)))]
pub(super) async fn show(State(state): State<Arc<super::State>>, _: Look, _: NoQuery) -> Answer {
    answer::json(&api::History {
        step_seconds: History::STEP.as_secs_f64(),
        bounds_seconds: figures::bounds(),
        samples: state.history.samples().kept.iter().cloned().collect(),
    })
}

impl History {
    /// From one sample to the next.
    const STEP: Duration = Duration::from_secs(10);
    /// Samples that are kept: an hour.
    const KEPT: usize = 360;

    /// It begins now.
    pub(super) fn new(origin: Overview) -> Self {
        Self {
            samples: Mutex::default(),
            origin,
        }
    }

    /// Takes samples.
    pub(super) async fn grow(state: &super::State) {
        let mut step = interval(Self::STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Delay);
        step.tick().await;
        let mut before = state.history.origin.clone();
        loop {
            step.tick().await;
            let now = state.proxy.registry().overview();
            state.history.push(sample(&before, &now));
            state.feed.settle();
            before = now;
        }
    }

    /// Where somebody begins to follow.
    pub(super) fn followed(&self) -> Sampled {
        Sampled(self.samples().count)
    }

    /// The latest sample, if there was one since.
    pub(super) fn newer(&self, known: &mut Sampled) -> Option<Sample> {
        let samples = self.samples();
        let is_newer = samples.count > known.0;
        known.0 = samples.count;
        samples.kept.back().filter(|_| is_newer).cloned()
    }

    fn push(&self, sample: Sample) {
        let mut samples = self.samples();
        if samples.kept.len() == Self::KEPT {
            samples.kept.pop_front();
        }
        samples.kept.push_back(sample);
        samples.count += 1;
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sample(before: &Overview, now: &Overview) -> Sample {
    let step = now.since(before);
    Sample {
        at: moment(SystemTime::now()),
        pairs: now.pairs,
        opened: step.opened,
        ended: figures::ended(&step, |count| count > 0),
        lapses: figures::lapses(&step),
        rtt: figures::round_trips(&step),
    }
}
