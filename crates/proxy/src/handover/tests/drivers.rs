//! Both sides over a real socket, each ended at any moment.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use super::super::link::Link;
use super::super::message::{
    End, FromPredecessor, FromSuccessor, Hello, OLDEST, VERSION, Welcome, encode,
};
use super::super::predecessor::{Batch, Predecessor, Store};
use super::super::successor::{Arrivals, Said, Successor};
use super::super::{HandoverError, Stage, Who};

/// More than two batches.
const PAIRS: u32 = 300;
/// The successor does not take this one.
const REFUSED: u32 = 200;

/// Which pairs are alive in a process.
type Live = Arc<Mutex<BTreeSet<u32>>>;

/// The predecessor's pairs: any two sockets will do.
struct Old {
    live: Live,
    forgotten: Live,
    /// Up to here they were looked at.
    looked_at: u32,
}

struct Frozen {
    pair: u32,
    sockets: (UnixStream, UnixStream),
}

struct New {
    live: Live,
}

impl Old {
    fn new(live: &Live, forgotten: &Live) -> Self {
        Self {
            live: Arc::clone(live),
            forgotten: Arc::clone(forgotten),
            looked_at: 0,
        }
    }
}

impl Store for Old {
    type Frozen = Frozen;

    async fn freeze(&mut self, most: usize) -> Vec<Frozen> {
        let mut live = self.live.lock().unwrap();
        let some: Vec<_> = live.range(self.looked_at..).copied().take(most).collect();
        let frozen = some.into_iter().map(|pair| {
            live.remove(&pair);
            self.looked_at = pair + 1;
            let sockets = UnixStream::pair().unwrap();
            Frozen { pair, sockets }
        });
        frozen.collect()
    }

    fn pack<'a>(&self, frozen: &'a Frozen) -> (Vec<u8>, [BorrowedFd<'a>; 2]) {
        // A backlog of some, so that a batch is larger than the socket.
        let state = [&frozen.pair.to_be_bytes()[..], &[0; 4000]].concat();
        let (one, other) = &frozen.sockets;
        (state, [one.as_fd(), other.as_fd()])
    }

    fn thaw(&mut self, frozen: Frozen, reason: Option<&str>) {
        assert!(reason.is_none() || frozen.pair == REFUSED, "{reason:?}");
        assert!(self.live.lock().unwrap().insert(frozen.pair));
    }

    fn forget(&mut self, frozen: Frozen) {
        assert!(self.forgotten.lock().unwrap().insert(frozen.pair));
    }
}

impl Arrivals for New {
    type Frozen = u32;

    fn unpack(&mut self, state: &[u8], _sockets: [OwnedFd; 2]) -> Result<u32, String> {
        match u32::from_be_bytes(state[..4].try_into().unwrap()) {
            REFUSED => Err("not this one".to_owned()),
            pair => Ok(pair),
        }
    }

    fn start(&mut self, pair: u32) {
        assert!(self.live.lock().unwrap().insert(pair));
    }
}

fn hello() -> Hello {
    Hello {
        oldest: OLDEST,
        newest: VERSION,
        program: "2".to_owned(),
        pid: 2,
        room: 1000,
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: VERSION,
        program: "1".to_owned(),
        pid: 1,
        listeners: Vec::new(),
        admin: None,
        admin_file: None,
        lingering: Vec::new(),
        last_pair: PAIRS.into(),
    }
}

async fn give(stream: UnixStream, mut store: Old) -> Result<u64, HandoverError> {
    let link = Link::new(stream).unwrap();
    let (mut predecessor, _, _) = Predecessor::greet(link, Who::Other(None)).await?;
    predecessor.give_listeners(welcome(), &[]).await?;
    while predecessor.give_batch(&mut store).await? == Batch::Settled {}
    predecessor.end(End::default()).await?;
    Ok(predecessor.moved)
}

async fn take(stream: UnixStream, mut arrivals: New) -> Result<bool, HandoverError> {
    let link = Link::new(stream).unwrap();
    let (mut successor, _, _) = Successor::greet(link, hello()).await?;
    successor.say(&FromSuccessor::Listening).await?;
    loop {
        let heard = successor.hear().await;
        match successor.handle(heard, &mut arrivals).await? {
            Said::OfPairs => {}
            Said::End(_) => {
                successor.say(&FromSuccessor::Thanks).await?;
                return Ok(true);
            }
            Said::Gone { .. } => return Ok(false),
            said @ (Said::Lingering(_) | Said::Sorry(_)) => panic!("{said:?}"),
        }
    }
}

fn all() -> BTreeSet<u32> {
    (0..PAIRS).collect()
}

#[tokio::test]
async fn every_pair_goes_but_the_one_that_is_refused() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (old, gone, new) = (
        Arc::new(Mutex::new(all())),
        Live::default(),
        Live::default(),
    );
    let store = Old::new(&old, &gone);
    let arrivals = New {
        live: Arc::clone(&new),
    };
    let (gave, took) = tokio::join!(give(ours, store), take(theirs, arrivals));
    assert_eq!(gave.unwrap(), u64::from(PAIRS) - 1);
    assert!(took.unwrap());
    assert_eq!(*old.lock().unwrap(), BTreeSet::from([REFUSED]));
    let mut expected = all();
    expected.remove(&REFUSED);
    assert_eq!(*new.lock().unwrap(), expected);
}

/// Runs a hand-over of which one side ends after so many steps of the runtime. Says whether it was
/// over before.
async fn end_after(steps: usize, ends_old: bool) -> bool {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (old, gone, new) = (
        Arc::new(Mutex::new(all())),
        Live::default(),
        Live::default(),
    );
    let store = Old::new(&old, &gone);
    let arrivals = New {
        live: Arc::clone(&new),
    };
    let giving = tokio::spawn(give(ours, store));
    let taking = tokio::spawn(take(theirs, arrivals));
    for _ in 0..steps {
        tokio::task::yield_now().await;
    }
    let was_over = giving.is_finished() && taking.is_finished();
    if ends_old {
        giving.abort();
        let _ = giving.await;
        let ended_well = taking.await.unwrap();
        if steps > 10 {
            ended_well.expect("the death of the other side is no fault of this one");
        }
    } else {
        taking.abort();
        let _ = taking.await;
        let _ = giving.await.unwrap();
    }
    let (old, gone, new) = (
        old.lock().unwrap(),
        gone.lock().unwrap(),
        new.lock().unwrap(),
    );
    assert!(old.is_disjoint(&new), "a pair is alive in both");
    assert!(new.is_superset(&gone) || !ends_old, "what was given lives");
    if !ends_old {
        assert!(
            new.is_subset(&gone),
            "nothing was started that was not given"
        );
        let kept: BTreeSet<_> = old.union(&gone).copied().collect();
        assert_eq!(kept, all(), "whatever was not given lives in the old one");
    }
    was_over
}

#[tokio::test]
async fn whoever_ends_at_whatever_moment_no_pair_is_lost_or_alive_twice() {
    for ends_old in [true, false] {
        let mut steps = 0;
        while !end_after(steps, ends_old).await {
            steps += 1;
            assert!(steps < 10_000, "it comes to an end");
        }
        assert!(steps > 20, "only {steps} moments were looked at");
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_given_nothing() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let live = Arc::new(Mutex::new(all()));
    let store = Old::new(&live, &Live::default());
    let error = give(ours, store).await.unwrap_err();
    assert!(
        matches!(error, HandoverError::Silent(Stage::Hello)),
        "{error}"
    );
    assert_eq!(*live.lock().unwrap(), all());
}

/// A successor that says these and then nothing.
async fn given_to(said: &[FromSuccessor]) -> (HandoverError, BTreeSet<u32>, Vec<FromPredecessor>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let live = Arc::new(Mutex::new(all()));
    let store = Old::new(&live, &Live::default());
    let mut there = Link::new(theirs).unwrap();
    for message in said {
        there.send(&encode(message), &[]).await.unwrap();
    }
    let reading = tokio::spawn(async move {
        let mut heard = Vec::new();
        while let Ok(packet) = there.receive().await {
            heard.push(super::super::message::decode(&packet.body).unwrap());
        }
        heard
    });
    let error = give(ours, store).await.unwrap_err();
    let live = live.lock().unwrap().clone();
    (error, live, reading.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_hangs_with_a_batch_is_told_that_it_stays() {
    let said = [FromSuccessor::Hello(hello()), FromSuccessor::Listening];
    let (error, live, heard) = given_to(&said).await;
    assert!(
        matches!(error, HandoverError::Silent(Stage::Pairs)),
        "{error}"
    );
    assert_eq!(live, all());
    assert_eq!(heard.last(), Some(&FromPredecessor::Keep { batch: 1 }));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_not_asked_takes_nothing_away() {
    for answer in [
        FromSuccessor::Ready {
            batch: 9,
            refused: Vec::new(),
        },
        FromSuccessor::Ready {
            batch: 1,
            refused: vec![super::super::message::Refused {
                place: 126,
                reason: "it is not there".to_owned(),
            }],
        },
        FromSuccessor::Thanks,
        FromSuccessor::Sorry {
            reason: "no more".to_owned(),
        },
    ] {
        let said = [
            FromSuccessor::Hello(hello()),
            FromSuccessor::Listening,
            answer,
        ];
        let (error, live, heard) = given_to(&said).await;
        assert_eq!(live, all(), "{error}");
        assert_eq!(heard.last(), Some(&FromPredecessor::Keep { batch: 1 }));
    }
}

#[tokio::test(start_paused = true)]
async fn another_version_is_refused_with_both_named() {
    let later = Hello {
        oldest: 7,
        newest: 8,
        ..hello()
    };
    let (error, live, heard) = given_to(&[FromSuccessor::Hello(later)]).await;
    assert!(error.to_string().contains("versions 7 to 8"), "{error}");
    assert_eq!(live, all());
    assert!(
        matches!(&*heard, [FromPredecessor::Sorry { .. }]),
        "{heard:?}"
    );
}

#[tokio::test]
async fn more_pairs_than_the_successor_has_room_for_stay() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (old, gone, new) = (
        Arc::new(Mutex::new(all())),
        Live::default(),
        Live::default(),
    );
    let store = Old::new(&old, &gone);
    let mut arrivals = New {
        live: Arc::clone(&new),
    };
    let taking = async {
        let small = Hello {
            room: 10,
            ..hello()
        };
        let link = Link::new(theirs).unwrap();
        let (mut successor, _, _) = Successor::greet(link, small).await.unwrap();
        successor.say(&FromSuccessor::Listening).await.unwrap();
        loop {
            let heard = successor.hear().await;
            let said = successor.handle(heard, &mut arrivals).await.unwrap();
            if matches!(said, Said::End(_)) {
                return successor.say(&FromSuccessor::Thanks).await.unwrap();
            }
            assert!(matches!(said, Said::OfPairs));
        }
    };
    let (gave, ()) = tokio::join!(give(ours, store), taking);
    assert_eq!(gave.unwrap(), 10);
    assert_eq!(old.lock().unwrap().len(), PAIRS as usize - 10);
}
