//! Waiting with a limit, without holding a stall of the process against whoever is waited for.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use lubdub_keepalive::Heartbeat;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// What the runtime gets after a stall to look at its sockets, because it fires timers first, and what
/// an endpoint gets that stood still with it.
const SECOND_CHANCE: Duration = Duration::from_millis(500);

/// In which pieces that is waited for: see [`second_chance`].
const PIECES: u32 = 5;

/// Waits for `future` for `limit`. If the end of that is noticed late, the process stood still
/// meanwhile, and whoever was waited for had no chance: the time starts anew, once. A second time
/// there is only a look at what may have come meanwhile: else a machine that stutters would wait for
/// ever.
///
/// It is pinned where it is made: an argument that is pinned here would have its room twice, and what waits in a
/// wait that waits four times.
pub(crate) async fn within<F: Future>(
    limit: Duration,
    mut future: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    for patience in [limit, limit.max(SECOND_CHANCE)] {
        let deadline = Instant::now() + patience;
        match timeout_at(deadline, future.as_mut()).await {
            Err(_) if is_late(deadline) => {}
            waited => return waited,
        }
    }
    timeout(SECOND_CHANCE, future).await
}

/// Time in which the process runs. A further stall makes it longer by as long as that lasts, and no
/// more: a machine that stutters must still find what is overdue.
pub(crate) async fn second_chance() {
    for _ in 0..PIECES {
        // Whatever else passes meanwhile, no more than this is counted.
        sleep(SECOND_CHANCE / PIECES).await;
    }
}

/// Whether it is so much past `deadline` that the process must have stood still.
pub(crate) fn is_late(deadline: Instant) -> bool {
    Instant::now().saturating_duration_since(deadline) > Heartbeat::LATE
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_a_limit() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        assert!(within(second, pin!(pending::<()>())).await.is_err());
        assert!(began.elapsed() < second + SECOND_CHANCE);
        assert!(within(second, pin!(ready(()))).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_nobodys_fault() {
        let mut polls = 0;
        // It is ready from the second look on; between the two the process stands still.
        let answer = std::future::poll_fn(|_| {
            polls += 1;
            if polls > 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let answer = pin!(answer);
        let mut waiting = pin!(within(Duration::from_secs(1), answer));
        tokio::select! {
            biased;
            _ = waiting.as_mut() => panic!("nothing is there yet"),
            () = ready(()) => {}
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(waiting.await.is_ok());
    }

    /// After a suspended machine has lost what was on its way, half a second was all that was left
    /// for it to come again.
    #[tokio::test(start_paused = true)]
    async fn after_a_stall_there_is_all_the_time_again_once() {
        let second = Duration::from_secs(1);
        let began = Instant::now();
        let answer = tokio::time::sleep_until(began + 10 * second + second * 9 / 10);
        let answer = pin!(answer);
        let mut waiting = pin!(within(second, answer));
        stand_still(waiting.as_mut(), 10 * second).await;
        assert!(waiting.await.is_ok());
    }

    /// Each end of the time that was noticed late must not be excused: a machine that stutters would
    /// wait for ever.
    #[tokio::test(start_paused = true)]
    async fn a_machine_that_stutters_does_not_wait_for_ever() {
        let second = Duration::from_secs(1);
        let never = pin!(pending::<()>());
        let mut waiting = pin!(within(second, never));
        for _ in 0..3 {
            stand_still(waiting.as_mut(), 2 * second).await;
        }
        let now = Instant::now();
        assert!(waiting.await.is_err());
        assert_eq!(Instant::now(), now);
    }

    /// Time passes in which nothing is looked at.
    async fn stand_still<F: Future>(mut waiting: Pin<&mut F>, time: Duration) {
        tokio::select! {
            biased;
            _ = waiting.as_mut() => panic!("too early"),
            () = ready(()) => {}
        }
        tokio::time::advance(time).await;
    }
}
