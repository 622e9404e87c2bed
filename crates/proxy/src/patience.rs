//! Waiting with a limit, without holding a stall of the process against whoever is waited for.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use lubdub_keepalive::Heartbeat;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

/// What the runtime gets after a stall to look at its sockets, because it fires timers first, and what
/// an endpoint gets that stood still with it.
const SECOND_CHANCE: Duration = Duration::from_millis(500);

/// In which pieces that is waited for: see [`second_chance`].
const PIECES: u32 = 5;

/// Waits for `future` for `limit`. If the end of that is noticed late, the process stood still
/// meanwhile, and what was waited for may long be there.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let deadline = Instant::now() + limit;
    match timeout_at(deadline, future.as_mut()).await {
        Err(elapsed) if is_late(deadline) => tokio::select! {
            biased;
            output = future => Ok(output),
            () = second_chance() => Err(elapsed),
        },
        waited => waited,
    }
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
    use std::task::Poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_a_limit() {
        let began = Instant::now();
        let second = Duration::from_secs(1);
        assert!(within(second, pending::<()>()).await.is_err());
        assert!(began.elapsed() < second + SECOND_CHANCE);
        assert!(within(second, ready(())).await.is_ok());
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
        let mut waiting = pin!(within(Duration::from_secs(1), answer));
        tokio::select! {
            biased;
            _ = waiting.as_mut() => panic!("nothing is there yet"),
            () = ready(()) => {}
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(waiting.await.is_ok());
    }
}
