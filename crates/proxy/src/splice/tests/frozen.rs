//! Pairs that give themselves up and go on, as in another process: nothing of that is seen by either
//! endpoint, nor by who looks after them.

use std::os::fd::OwnedFd;

use lubdub_wire::{Header, MaskKey};

use super::*;
use crate::frozen::{Anchor, InvalidPair, Kept, PairState};
use crate::registry::PairId;
use crate::splice::frozen::GivenUp;
use crate::splice::outlet::PingSlot;

mod scripts;
mod standing;
mod state;

impl Pair {
    /// Another process goes on with it, on the terms that it had. Between the two this happens to what it
    /// has given up.
    fn hand_over(&mut self, between: impl FnOnce(&mut PairState, &PerSide<OwnedFd>)) {
        let terms = Arc::clone(&self.splice.terms);
        let opened = self.splice.registration.entry().opened;
        self.hand_over_to(terms, between)
            .expect("a pair gave it up");
        assert_eq!(self.splice.registration.entry().opened, opened);
    }

    /// The same, and nothing happens between them.
    pub(super) fn hand_over_as_it_is(&mut self) {
        self.hand_over(|_, _| ());
    }

    /// The same, on others.
    fn hand_over_to(
        &mut self,
        terms: Arc<Terms>,
        between: impl FnOnce(&mut PairState, &PerSide<OwnedFd>),
    ) -> Result<(), InvalidPair> {
        let anchor = anchor();
        let Ok(given_up) = self.splice.give_up(&anchor) else {
            panic!("it can stand still: {:?}", self.splice.fate);
        };
        let GivenUp { state, sockets } = given_up;
        let mut state = PairState::from_bytes(&state.to_bytes())?;
        between(&mut state, &sockets);
        Splice::check(&state, &terms, &anchor)?;
        let opened = anchor.instant(state.opened)?;
        let registry = Arc::new(Registry::new(clock()));
        let home = NewHome {
            live_terms: Arc::new(LiveTerms::new(&terms)),
            terms,
            metrics: self.of_pair().resume(),
            registration: registry
                .adopt(PairId(state.id), identity(), opened)
                .unwrap(),
            places: places(),
        };
        let thawed = Splice::thaw(state, sockets, home, &anchor)?;
        let mut old = std::mem::replace(&mut self.splice, thawed);
        old.seldom.concluded = true;
        Ok(())
    }

    fn of_pair(&self) -> Arc<PairMetrics> {
        let listener = self.metrics.listener("main").unwrap();
        listener.route("main").unwrap()
    }

    /// What a side was sent by now, as far as it has not been read.
    fn heard(&mut self, side: Side) -> Vec<u8> {
        let mut heard = Vec::new();
        let far = &mut self.far[side];
        far.set_nonblocking(true).unwrap();
        let ended = far.read_to_end(&mut heard);
        assert!(ended.is_err(), "it goes on");
        far.set_nonblocking(false).unwrap();
        heard
    }
}

/// In virtual time the host's clock stands still.
fn anchor() -> Anchor {
    Anchor {
        instant: clock(),
        nanos: 5_000_000_000_000,
    }
}

/// The payload of own ping `n` to a side: see [`Pair::open`] for the nonce.
fn own_payload(n: u64) -> Vec<u8> {
    [[7; 8], n.to_be_bytes()].concat()
}

/// Frames as they went out, but for the keys of those that lubdub has made, which are random.
fn without_keys(mut stream: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    while let Some((header, body)) = Header::decode(stream) {
        let end = stream.len().min(body + header.payload_len as usize);
        let mut payload = stream[body..end].to_vec();
        if let Some(MaskKey(key)) = header.mask {
            let keys = key.into_iter().cycle();
            payload
                .iter_mut()
                .zip(keys)
                .for_each(|(byte, key)| *byte ^= key);
        }
        shown.extend_from_slice(&stream[..2]);
        shown.extend(payload);
        stream = &stream[end..];
    }
    shown.extend_from_slice(stream);
    shown
}
