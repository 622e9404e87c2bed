//! Pairs that go without having come to their end: they are counted and have their line all the same.

use std::sync::Mutex;
use std::task::Waker;

use lubdub_metrics::Cause;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, span};

use super::*;
use crate::registry::Order;

/// The causes of the lines that say how a pair ended.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Lines {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "cause" {
            self.0.lock().unwrap().push(value.to_owned());
        }
    }
}

/// A waker that is broken: who asks in the middle of a turn to be woken again panics there.
#[derive(Default)]
struct Broken {
    in_turn: AtomicBool,
}

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        let in_turn = self.in_turn.load(Ordering::Relaxed);
        assert!(!in_turn, "on purpose: a pair's task panics");
    }
}

/// What a pair that goes is to be counted as, and what it is.
fn check(metrics: &Metrics, lines: &Lines, cause: Cause) {
    let page = metrics.render();
    let sum = |name: &str| -> i64 {
        let series = page.lines().filter(|line| line.starts_with(name));
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok());
        values.sum()
    };
    let closed = format!(
        "lubdub_pairs_closed_total{{route=\"main\",cause=\"{}\"}} 1",
        cause.as_str()
    );
    assert!(page.contains(&closed), "{page}");
    let (opened, closed) = (
        sum("lubdub_pairs_opened_total{"),
        sum("lubdub_pairs_closed_total{"),
    );
    assert_eq!((opened, closed, sum("lubdub_pairs{")), (1, 1, 0));
    assert_eq!(*lines.0.lock().unwrap(), [cause.as_str()]);
}

/// A pair on which so much comes in that its turn asks for another one.
async fn busy() -> Pair {
    let mut pair = Pair::open(Terms::default()).await;
    let data = masked(0x82, &[0; 64 * 1024]);
    pair.far.client.write_all(&data).unwrap();
    pair
}

/// Such a pair was counted as opened and never as closed, and nothing said that it had been there.
#[tokio::test]
async fn a_pair_whose_task_panics_has_its_line_and_its_count() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let Pair {
        mut splice,
        metrics,
        far: _far,
    } = busy().await;
    let task = tokio::spawn(poll_fn(move |cx| {
        // Until the runtime knows of what has come.
        cx.waker().wake_by_ref();
        let broken = Arc::new(Broken::default());
        let waker = Waker::from(Arc::clone(&broken));
        broken.in_turn.store(true, Ordering::Relaxed);
        let ended = splice.wake(&mut Context::from_waker(&waker), clock(), &mut [0; 1024]);
        broken.in_turn.store(false, Ordering::Relaxed);
        ended
    }));
    assert!(task.await.unwrap_err().is_panic());
    check(&metrics, &lines, Cause::Internal);
}

/// What was left half done may panic once more when the books are closed: that must not end the
/// process.
#[tokio::test]
async fn a_pair_that_panics_twice_is_counted_all_the_same() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let mut pair = busy().await;
    // More swallowed than there were.
    pair.splice.tally.from.client.swallowed_pongs = 7;
    let Pair {
        splice, metrics, ..
    } = pair;
    let task = tokio::spawn(async move {
        let _splice = splice;
        panic!("on purpose: a pair's task panics");
    });
    assert!(task.await.unwrap_err().is_panic());
    let page = metrics.render();
    assert!(page.contains("cause=\"internal\"} 1"), "{page}");
}

#[tokio::test]
async fn a_pair_whose_task_is_aborted_has_its_line_and_its_count() {
    for (order, cause) in [(Order::None, Cause::Internal), (Order::Drain, Cause::Drain)] {
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        let Pair {
            splice,
            metrics,
            far: _far,
        } = Pair::open(Terms::default()).await;
        splice.registration.entry().order(order);
        // Before it was polled even once, as when a runtime is dropped.
        let task = tokio::spawn(splice.run());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        check(&metrics, &lines, cause);
    }
}
