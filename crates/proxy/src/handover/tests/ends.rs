//! How pairs have ended is known in the next process too.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lubdub_keepalive::{PerSide, Side};
use lubdub_metrics::{Cause, Diagnosis};

use super::super::ends::{frozen, thawed};
use super::super::message::{End as Message, decode, encode};
use crate::registry::testing::{identity, now};
use crate::registry::{Beat, CloseSender, End, EndQuery, Ends, Mark, Registry, SeenClose, SideEnd};

/// A pair with something in every field that has ended in this registry.
fn lapsed(registry: &Arc<Registry>) {
    let identity = identity("chat", "192.0.2.1:1");
    let now = now();
    let pair = registry.register(identity, now - Duration::from_secs(60));
    let entry = pair.entry();
    entry.publish_beat(Side::Upstream, 0, Mark::Timed(Duration::from_millis(30)));
    entry.publish_traffic(Side::Client, Duration::from_secs(20), 1234, 56);
    pair.conclude(|pair| End {
        number: 0,
        at: SystemTime::now(),
        cause: Cause::ClientLapsed,
        close: Some(SeenClose {
            by: CloseSender::Lubdub,
            code: Some(1001),
        }),
        diagnosis: Some(Diagnosis::Network),
        duration: Duration::from_secs(60),
        lapsed_after: Some(Duration::from_secs(40)),
        hint: End::hint(Cause::ClientLapsed, PerSide::default()),
        sides: PerSide::from_fn(|side| {
            let mut status = pair.status(side, now);
            status.pings_sent = u64::from(side == Side::Upstream);
            SideEnd { status, rtt: None }
        }),
        pair,
    });
}

fn all(ends: &Ends) -> Vec<End> {
    ends.latest(&EndQuery::default(), usize::MAX)
}

#[test]
fn an_end_is_told_as_it_was() {
    let registry = Arc::new(Registry::new(now()));
    lapsed(&registry);
    let [before] = &all(registry.ends())[..] else {
        panic!("there is one");
    };
    let bytes = encode(&Message {
        ends: frozen(std::slice::from_ref(before)),
        ..Message::default()
    });
    let message: Message = decode(&bytes).unwrap();
    let [after] = &thawed(message.ends)[..] else {
        panic!("it is understood");
    };
    let apart = before.at.duration_since(after.at).unwrap();
    assert!(apart < Duration::from_millis(1), "{apart:?}");
    let known = |end: &End| {
        let (pair, sides) = (&end.pair, end.sides);
        let how = (end.cause, end.close, end.diagnosis, end.hint);
        let long = (end.duration, end.lapsed_after);
        let who = (pair.id, pair.caller(), pair.upstream());
        (how, long, who, Arc::clone(&pair.names), sides)
    };
    assert_eq!(known(after), known(before));
    assert!(after.hint.is_some());
    let [Beat::Answered(Some(rtt))] = after.pair.trace(Side::Upstream)[..] else {
        panic!("its trace goes along");
    };
    let off = rtt.as_secs_f64() / 0.03;
    assert!((0.86..1.15).contains(&off), "{rtt:?}");
}

/// A release may come to know causes that the one before it does not.
#[test]
fn an_end_that_is_not_understood_is_left_out() {
    let registry = Arc::new(Registry::new(now()));
    lapsed(&registry);
    lapsed(&registry);
    let mut ends = frozen(&all(registry.ends()));
    "boredom".clone_into(&mut ends[0].cause);
    assert_eq!(thawed(ends).len(), 1);
    // A release that tells of none.
    let silent = decode::<Message>(&encode(&Message::default())).unwrap();
    assert!(silent.ends.is_empty());
}

#[test]
fn those_of_an_earlier_process_are_behind_this_ones_and_no_news() {
    let (old, new) = (
        Arc::new(Registry::new(now())),
        Arc::new(Registry::new(now())),
    );
    for _ in 0..Ends::KEPT {
        lapsed(&old);
    }
    let mut feed = new.ends().feed();
    lapsed(&new);
    lapsed(&new);
    let mut ends = all(old.ends());
    ends.reverse();
    let newest_of_old = ends.last().unwrap().pair.id;
    new.ends().add_earlier(thawed(frozen(&ends)));
    let ends = all(new.ends());
    assert_eq!(ends.len(), Ends::KEPT);
    assert!(
        ends.windows(2)
            .all(|two| two[0].number == two[1].number + 1)
    );
    assert_eq!(ends[2].pair.id, newest_of_old);
    let news = feed.take_all().unwrap();
    assert_eq!((news.ends.len(), news.left_out), (2, 0));
    lapsed(&new);
    assert_eq!(new.ends().kept(), Ends::KEPT);
}
