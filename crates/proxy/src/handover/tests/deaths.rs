//! Every order in which two batches can go, with each process dying at every step of it.

use std::collections::{BTreeSet, VecDeque};

use super::super::giver::{Giver, Settled};
use super::super::message::{FromPredecessor, FromSuccessor};
use super::super::taker::Taker;

type Pair = u32;

/// The pairs that the successor will not have.
const REFUSED: [Pair; 2] = [1, 4];
const BATCHES: [&[Pair]; 2] = [&[0, 1, 2], &[3, 4]];

/// What is on its way to the successor.
#[derive(Debug, Clone)]
enum Sent {
    Batch(u64, Vec<Pair>),
    Message(FromPredecessor),
}

/// Both processes, and what is on its way between them.
#[derive(Debug)]
struct World {
    predecessor: Option<Predecessor>,
    successor: Option<Successor>,
    down: VecDeque<Sent>,
    up: VecDeque<FromSuccessor>,
    /// Went to the successor whole, and were not taken back.
    given: BTreeSet<Pair>,
    /// Died with a process.
    lost: BTreeSet<Pair>,
}

#[derive(Debug)]
struct Predecessor {
    giver: Giver<Pair>,
    live: BTreeSet<Pair>,
    /// Said `Go` for these.
    gone: BTreeSet<Pair>,
    batches: usize,
    is_alone: bool,
}

#[derive(Debug)]
struct Successor {
    taker: Taker<Pair>,
    live: BTreeSet<Pair>,
    is_alone: bool,
}

/// What may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Offer,
    /// The batch is cut off in the middle, because the predecessor dies while it writes.
    OfferHalf,
    Down,
    Up,
    Impatience,
    KillPredecessor,
    KillSuccessor,
}

impl World {
    fn new() -> Self {
        Self {
            predecessor: Some(Predecessor {
                giver: Giver::new(),
                live: BATCHES.concat().into_iter().collect(),
                gone: BTreeSet::new(),
                batches: 0,
                is_alone: false,
            }),
            successor: Some(Successor {
                taker: Taker::new(),
                live: BTreeSet::new(),
                is_alone: false,
            }),
            down: VecDeque::new(),
            up: VecDeque::new(),
            given: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }

    /// The same world, reached again: machines are not copied.
    fn after(steps: &[Step]) -> Self {
        let mut world = Self::new();
        for &step in steps {
            world.take(step);
        }
        world
    }

    fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(predecessor) = &self.predecessor
            && !predecessor.is_alone
        {
            if predecessor.giver.is_idle() && predecessor.batches < BATCHES.len() {
                steps.push(Step::Offer);
                if self.successor.is_some() {
                    steps.push(Step::OfferHalf);
                }
            }
            if !predecessor.giver.is_idle() {
                steps.push(Step::Impatience);
            }
            if !self.up.is_empty() || self.successor.is_none() {
                steps.push(Step::Up);
            }
        }
        if let Some(successor) = &self.successor
            && !successor.is_alone
            && (!self.down.is_empty() || self.predecessor.is_none())
        {
            steps.push(Step::Down);
        }
        // One death is enough: with two nothing is left to look at.
        if self.predecessor.is_some() && self.successor.is_some() {
            steps.extend([Step::KillPredecessor, Step::KillSuccessor]);
        }
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Offer => self.offer(),
            Step::OfferHalf => {
                self.freeze();
                self.kill_predecessor();
            }
            Step::Down => self.down(),
            Step::Up => self.up(),
            Step::Impatience => {
                let keep = self
                    .predecessor()
                    .giver
                    .keep()
                    .expect("something is on its way");
                self.write(Sent::Message(keep));
                let settled = self.predecessor().giver.take_back();
                self.settle(settled);
            }
            Step::KillPredecessor => self.kill_predecessor(),
            Step::KillSuccessor => {
                let successor = self.successor.take().expect("it lives");
                // What `Go` was said for is the successor's, whether it has read it or not.
                self.lost = self.predecessor().gone.clone();
                assert!(successor.live.is_subset(&self.lost));
                self.down.clear();
            }
        }
        self.check();
    }

    fn freeze(&mut self) -> (u64, Vec<Pair>) {
        let predecessor = self.predecessor();
        let batch = BATCHES[predecessor.batches].to_vec();
        predecessor.batches += 1;
        for pair in &batch {
            assert!(predecessor.live.remove(pair), "a live pair is frozen");
        }
        let number = predecessor.giver.next();
        predecessor.giver.offer(batch.clone());
        (number, batch)
    }

    fn offer(&mut self) {
        let (number, batch) = self.freeze();
        let whole = batch.iter().filter(|pair| !REFUSED.contains(pair));
        self.given.extend(whole);
        if !self.write(Sent::Batch(number, batch)) {
            let settled = self.predecessor().giver.take_back();
            self.settle(settled);
        }
    }

    /// Whether it could be written.
    fn write(&mut self, sent: Sent) -> bool {
        if self.successor.is_some() {
            self.down.push_back(sent);
        }
        self.successor.is_some()
    }

    fn settle(&mut self, settled: Settled<Pair>) {
        let predecessor = self.predecessor.as_mut().expect("it lives");
        predecessor.gone.extend(settled.gone);
        for (pair, reason) in settled.kept {
            assert!(reason.is_none() || REFUSED.contains(&pair));
            self.given.remove(&pair);
            assert!(predecessor.live.insert(pair), "a frozen pair is thawed");
        }
    }

    fn up(&mut self) {
        let Some(message) = self.up.pop_front() else {
            let predecessor = self.predecessor();
            predecessor.is_alone = true;
            let settled = predecessor.giver.take_back();
            return self.settle(settled);
        };
        let FromSuccessor::Ready { batch, refused } = message else {
            unreachable!("nothing else is said here");
        };
        let go = self.predecessor().giver.handle_ready(batch, refused);
        if let Some(go) = go.expect("the successor makes sense") {
            let written = self.write(Sent::Message(go));
            let giver = &mut self.predecessor().giver;
            let settled = match written {
                true => giver.handle_go_written(),
                false => giver.take_back(),
            };
            self.settle(settled);
        }
    }

    fn down(&mut self) {
        let successor = self.successor.as_mut().expect("it lives");
        let thawed = match self.down.pop_front() {
            None => {
                successor.is_alone = true;
                successor.taker.handle_gone()
            }
            Some(Sent::Batch(number, batch)) => {
                let taken = batch.into_iter().map(|pair| match REFUSED.contains(&pair) {
                    true => Err("not this one".to_owned()),
                    false => Ok(pair),
                });
                let answer = successor.taker.handle_batch(number, taken.collect());
                if self.predecessor.is_some() {
                    self.up
                        .push_back(answer.expect("the predecessor makes sense"));
                }
                Vec::new()
            }
            Some(Sent::Message(FromPredecessor::Go { batch })) => {
                let went = successor.taker.handle_go(batch);
                went.expect("the predecessor makes sense")
            }
            Some(Sent::Message(FromPredecessor::Keep { batch })) => {
                let kept = successor.taker.handle_keep(batch);
                kept.expect("the predecessor makes sense");
                Vec::new()
            }
            Some(Sent::Message(other)) => unreachable!("{other:?} is not said here"),
        };
        for pair in thawed {
            assert!(successor.live.insert(pair), "a pair is thawed once");
        }
    }

    fn kill_predecessor(&mut self) {
        self.predecessor = None;
        let all = BATCHES.concat().into_iter();
        let died = all.filter(|pair| !self.given.contains(pair));
        self.lost = died.collect();
        self.up.clear();
    }

    fn predecessor(&mut self) -> &mut Predecessor {
        self.predecessor.as_mut().expect("it lives")
    }

    /// Nothing is alive twice.
    fn check(&self) {
        if let (Some(predecessor), Some(successor)) = (&self.predecessor, &self.successor) {
            let twice: Vec<_> = predecessor.live.intersection(&successor.live).collect();
            assert!(twice.is_empty(), "{twice:?} are alive in both");
        }
    }

    /// Whatever has not died with a process is alive when all is quiet.
    fn check_at_rest(&self, path: &[Step]) {
        let mut live = BTreeSet::new();
        if let Some(predecessor) = &self.predecessor {
            live.extend(&predecessor.live);
        }
        if let Some(successor) = &self.successor {
            live.extend(&successor.live);
        }
        let all = BATCHES.concat().into_iter();
        let expected: BTreeSet<_> = all.filter(|pair| !self.lost.contains(pair)).collect();
        assert_eq!(live, expected, "after {path:?}");
    }
}

#[test]
fn no_pair_is_lost_or_alive_twice_whoever_dies() {
    let mut ends = 0;
    let mut path = Vec::new();
    explore(&mut path, &mut ends);
    assert!(ends > 100, "only {ends} ways were looked at");
}

fn explore(path: &mut Vec<Step>, ends: &mut usize) {
    let steps = World::after(path).possible();
    if steps
        .iter()
        .all(|step| matches!(step, Step::KillPredecessor | Step::KillSuccessor))
    {
        World::after(path).check_at_rest(path);
        *ends += 1;
    }
    for step in steps {
        path.push(step);
        explore(path, ends);
        path.pop();
    }
}
