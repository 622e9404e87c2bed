//! Drains that are called off at a bad moment.

use lubdub_metrics::{BuildInfo, Names};

use super::*;

fn drains() -> Arc<Drains> {
    let build = BuildInfo {
        version: "0",
        revision: "test",
    };
    let names = Names {
        listeners: &[],
        routes: &[],
        upstreams: &[],
    };
    let metrics = Metrics::new(build, names).expect("no names");
    let registry = Registry::new(Instant::now().into_std());
    Arc::new(Drains::new(Arc::new(registry), Arc::new(metrics)))
}

/// It refused new pairs for good, though nothing said that there was a drain.
#[tokio::test(start_paused = true)]
async fn a_drain_that_is_called_off_when_its_delay_ends_refuses_nobody() {
    let drains = drains();
    let terms = settings::Drain {
        delay: Duration::from_secs(5),
        spread: Duration::ZERO,
        timeout: Duration::from_secs(30),
    };
    let id = drains.start(Selection::default(), terms).unwrap().id;
    // Who runs it has slept already when it is called off, and gets the lock behind that.
    let late = tokio::spawn({
        let drains = Arc::clone(&drains);
        async move { drains.run(id).await }
    });
    sleep(terms.delay / 2).await;
    let called_off = drains.call_off();
    late.await.unwrap();
    assert_eq!(called_off.unwrap().stage, Stage::CalledOff);
    assert!(!drains.is_refusing());
    let progress = drains.progress().unwrap();
    assert_eq!(progress.stage, Stage::CalledOff);
}
