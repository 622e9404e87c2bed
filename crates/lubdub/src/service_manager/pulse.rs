//! What the service manager is told again and again: how many pairs there are, that a drain goes on, and
//! that nothing hangs.

use std::convert::Infallible;
use std::future::pending;
use std::sync::PoisonError;
use std::time::Duration;

use lubdub_proxy::Control;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use super::ServiceManager;
use crate::plural::plural;

impl ServiceManager {
    /// How often the number of pairs is told while it changes, and that a drain goes on.
    const STEP: Duration = Duration::from_secs(2);
    /// How long a drain may go on after it was told that it does.
    const EXTENSION: Duration = Duration::from_secs(20);

    /// How long the predecessor may take to say who the service is.
    const SUCCESSION: Duration = Duration::from_secs(10);

    /// Tells that it is ready, once it is this process that is listened to: a predecessor says first that this
    /// is the service.
    pub(crate) async fn tell_of_the_beginning(&self, proxy: &Control) {
        // One that stands still says nothing, and there may be nobody else to say it.
        let _ = timeout(Self::SUCCESSION, proxy.has_taken_over()).await;
        self.ready();
    }

    /// Tells how many pairs there are, while that changes.
    pub(crate) async fn tell_of_pairs(&self, proxy: &Control) -> Infallible {
        let mut ticks = interval(Self::STEP);
        let mut told = None;
        loop {
            ticks.tick().await;
            let (pairs, is_drained) = (proxy.registry().len(), proxy.is_drained());
            let remark = *self.remark.lock().unwrap_or_else(PoisonError::into_inner);
            let now = (pairs, is_drained, remark);
            if told.replace(now) != Some(now) {
                let noun = plural(pairs as u64, "pair");
                let left = if is_drained { " left of a drain" } else { "" };
                self.status(&format!("{pairs} {noun}{left}{}", remark.as_str()));
            }
        }
    }

    /// Tells that the end has begun, and as long as it lasts, that it goes on.
    pub(crate) async fn tell_of_the_end(&self) -> Infallible {
        self.stopping();
        let mut ticks = interval(Self::STEP);
        loop {
            ticks.tick().await;
            self.extend_timeout(Self::EXTENSION);
        }
    }

    /// Tells that nothing hangs, as often as the watchdog needs to hear it: neither the thread of who
    /// calls, nor any worker, all of whom `hear_workers` waits for.
    pub(crate) async fn tell_of_life(&self, hear_workers: impl AsyncFn()) -> Infallible {
        let Some(watchdog) = self.watchdog() else {
            return pending().await;
        };
        let step = watchdog / 4;
        let mut ticks = interval(step);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_hanging = false;
        loop {
            ticks.tick().await;
            let all = timeout(step, hear_workers()).await;
            match (all.is_ok(), is_hanging) {
                (true, false) => {}
                (true, true) => info!("every worker answers again"),
                (false, false) => {
                    warn!("a worker does not answer; the watchdog is told nothing until it does");
                }
                (false, true) => {}
            }
            is_hanging = all.is_err();
            if !is_hanging {
                self.alive();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio::time::sleep;

    use super::super::tests::{heard, listen};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_nothing_while_a_worker_hangs() {
        const WATCHDOG: Duration = Duration::from_secs(8);
        let (listener, manager) = listen("hanging", Some(WATCHDOG));
        listener.set_nonblocking(true).unwrap();
        let (hanging, is_hanging) = watch::channel(false);
        let hear_workers = async || {
            let mut is_hanging = is_hanging.clone();
            let answers = is_hanging.wait_for(|hanging| !hanging).await;
            drop(answers.expect("the test goes on"));
        };
        let count = || {
            let messages = std::iter::from_fn(|| heard(&listener));
            messages
                .inspect(|message| assert_eq!(message, "WATCHDOG=1"))
                .count()
        };
        let story = async {
            sleep(WATCHDOG).await;
            assert!(count() >= 4);
            hanging.send_replace(true);
            sleep(WATCHDOG / 2).await;
            count();
            sleep(WATCHDOG * 3).await;
            assert_eq!(count(), 0);
            hanging.send_replace(false);
            sleep(WATCHDOG).await;
            assert!(count() >= 3);
        };
        tokio::select! {
            () = story => {}
            never = manager.tell_of_life(hear_workers) => match never {},
        }
    }
}
