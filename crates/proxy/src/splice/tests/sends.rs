//! What is sent together with others: in its order, and nothing of it lost, whatever comes before it leaves.

use super::*;
use crate::socket::writes;
use crate::splice::outlet::CloseSlot;

impl Pair {
    /// Wakes it up, and others have not had their turn when that is over.
    fn wake_among_others(&mut self) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let ended = self.splice.wake(&mut cx, clock(), &mut [0; 8192]);
        assert!(ended.is_pending());
    }

    /// What a side was sent by now: as much as this.
    fn expect_sent(&mut self, side: Side, sent: &[u8]) {
        let far = &mut self.far[side];
        far.set_read_timeout(Some(10 * SECOND)).unwrap();
        let mut heard = vec![0; sent.len()];
        far.read_exact(&mut heard).unwrap();
        assert_eq!(heard, sent);
    }

    fn expect_nothing_sent(&mut self, side: Side) {
        let far = &mut self.far[side];
        far.set_nonblocking(true).unwrap();
        let heard = far.read(&mut [0]);
        assert!(heard.is_err(), "{heard:?} for the {side}");
        far.set_nonblocking(false).unwrap();
    }

    /// A side resets its connection, and that arrives.
    async fn reset(&mut self, side: Side) {
        let other = self.far[side.other()].try_clone().unwrap();
        let gone = std::mem::replace(&mut self.far[side], other);
        socket2::SockRef::from(&gone)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(gone);
        self.wait_for_end(side);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Wakes it up; why it ends.
    fn cause_at_wake(&mut self) -> Option<Cause> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let _ = self.splice.wake(&mut cx, clock(), &mut [0; 1024]);
        self.splice.fate.cause()
    }

    /// Says something to the upstream that waits for others.
    async fn leave_a_message(&mut self) -> Vec<u8> {
        // The first turn arranges when counters are told of it.
        let message = masked(0x82, b"a message");
        self.say(Side::Client, &message);
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.wake(1024);
        self.expect_sent(Side::Upstream, &message);
        self.say(Side::Client, &message);
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.wake_among_others();
        self.expect_nothing_sent(Side::Upstream);
        message
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_relayed_leaves_when_everybody_had_a_turn() {
    let mut pair = Pair::open(Terms::default()).await;
    let message = pair.leave_a_message().await;
    together::send_all();
    pair.expect_sent(Side::Upstream, &message);
    assert_eq!(
        pair.splice.tally.from.client.bytes,
        2 * message.len() as u64
    );
}

/// A second message in a turn of its own, a Close, and the end of the connection: behind what waits, and at once.
#[tokio::test(start_paused = true)]
async fn what_comes_next_leaves_behind_what_waits() {
    for next in [
        masked(0x81, b"again"),
        masked(0x82, &[7; 6000]),
        masked_control(0x88, &1000_u16.to_be_bytes()),
    ] {
        let mut pair = Pair::open(Terms::default()).await;
        let mut sent = pair.leave_a_message().await;
        pair.say(Side::Client, &next);
        sent.extend(next);
        tokio::time::sleep(Duration::from_millis(1)).await;
        pair.wake_among_others();
        together::send_all();
        pair.expect_sent(Side::Upstream, &sent);
    }
    let mut pair = Pair::open(Terms::default()).await;
    let message = pair.leave_a_message().await;
    pair.say_last(Side::Client, b"");
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake_among_others();
    assert_eq!(pair.heard_to_the_end(Side::Upstream), message);
}

/// It was a send of nothing, which is a system call all the same.
#[tokio::test(start_paused = true)]
async fn an_own_pong_is_no_send() {
    let mut pair = Pair::open(pinged(Side::Client, SECOND, SECOND, Evidence::Pong)).await;
    pair.until_pinged(Side::Client, 1).await;
    let ping = pair.read_ping();
    pair.say(Side::Client, &masked_pong(&ping));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let _ = writes::take();
    pair.wake(1024);
    assert_eq!(pair.splice.heart.vitals(Side::Client).pongs_received, 1);
    assert_eq!(writes::take(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_own_ping_leaves_behind_what_waits() {
    let mut pair = Pair::open(pinged(Side::Upstream, SECOND, SECOND, Evidence::Pong)).await;
    let message = pair.leave_a_message().await;
    let due = pair.splice.next_deadline(clock()).expect("a ping to come");
    tokio::time::sleep_until(due.into()).await;
    pair.wake_among_others();
    pair.expect_sent(Side::Upstream, &message);
    let mut head = [0; 2];
    pair.far.upstream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x89, "a PING, RFC 6455 5.5.2");
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_dropped_or_moves_has_sent_what_waited() {
    let mut pair = Pair::open(Terms::default()).await;
    let message = pair.leave_a_message().await;
    pair.hand_over_as_it_is();
    pair.expect_sent(Side::Upstream, &message);

    let mut pair = Pair::open(Terms::default()).await;
    let message = pair.leave_a_message().await;
    let PerSide { mut upstream, .. } = pair.far;
    drop(pair.splice);
    let mut heard = Vec::new();
    upstream.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, message);
}

/// The send that waited met the reset, and the read behind it an end: the client was told to have ended in order.
#[tokio::test(start_paused = true)]
async fn a_reset_that_a_send_meets_first_is_a_reset() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.leave_a_message().await;
    together::send_all();
    pair.say(Side::Upstream, b"\x82\x02hi");
    tokio::time::sleep(Duration::from_millis(1)).await;
    pair.wake_among_others();
    pair.reset(Side::Client).await;
    together::send_all();
    assert_eq!(pair.cause_at_wake(), Some(Cause::ClientReset));
}

/// The same in the middle of a turn: others had been looked at so often that what waited was sent.
#[tokio::test(start_paused = true)]
async fn a_reset_that_a_send_meets_in_its_own_turn_is_a_reset() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.leave_a_message().await;
    together::send_all();
    pair.say(Side::Client, &masked(0x82, b"a message"));
    pair.reset(Side::Upstream).await;
    let mut other = Pair::open_beside(Terms::default()).await;
    other.leave_a_message().await;
    // The client is looked at twice before the upstream is.
    together::send_behind_looks(2);
    assert_eq!(pair.cause_at_wake(), Some(Cause::UpstreamReset));
}

/// A Close that came while something waited for which there was no room was taken for sent before it was.
#[tokio::test(start_paused = true)]
async fn a_close_stands_behind_what_had_no_room() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.leave_a_message().await;
    together::send_all();
    let leg = pair.splice.ends.upstream.leg.as_ref().expect("a leg");
    leg.socket().fill();
    let message = masked(0x82, b"a message");
    let close = masked_control(0x88, &1000_u16.to_be_bytes());
    pair.say(Side::Client, &[&message[..], &close].concat());
    tokio::time::sleep(Duration::from_millis(1)).await;
    // The message is one read, and left; the Close is the next of the same turn.
    pair.wake(message.len());
    let outlet = &pair.splice.ends.upstream.outlet;
    assert!(outlet.is_backed_up());
    assert!(
        matches!(outlet.close, CloseSlot::Placed { ahead: 31, .. }),
        "{outlet:?}"
    );
}

/// The kernel had no room for it: the pair is woken, what came back waits, and the client is not read meanwhile.
#[tokio::test(start_paused = true)]
async fn what_has_no_room_comes_back_and_is_sent_before_anything_else() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.wake(1024);
    let small = masked(0x82, &[1; 2000]);
    let mut sent = Vec::new();
    loop {
        pair.say(Side::Client, &small);
        sent.extend(&small);
        tokio::time::sleep(Duration::from_millis(1)).await;
        if pair.wake_at(clock(), 8192) {
            break;
        }
        assert!(sent.len() < 64 << 20, "there is no end to the room");
    }
    pair.wake(8192);
    assert!(pair.splice.ends.upstream.outlet.is_backed_up());
    assert!(pair.splice.ends.client.paused);
    let taken = pair
        .splice
        .ends
        .upstream
        .leg
        .as_ref()
        .map(|leg| leg.socket().taken());
    let waits = pair.splice.ends.upstream.outlet.stuck_since().is_some();
    assert!(waits, "it is watched");
    assert!(
        taken.unwrap() < sent.len() as u64,
        "{taken:?} of {}",
        sent.len()
    );
    let mut upstream = pair.far.upstream.try_clone().unwrap();
    let expected = sent.clone();
    let reader = std::thread::spawn(move || {
        let mut heard = vec![0; expected.len()];
        upstream.set_read_timeout(Some(10 * SECOND)).unwrap();
        upstream.read_exact(&mut heard).unwrap();
        assert!(heard == expected, "in their order");
    });
    while !reader.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        pair.wake(8192);
    }
    reader.join().unwrap();
    let taken = pair
        .splice
        .ends
        .upstream
        .leg
        .as_ref()
        .map(|leg| leg.socket().taken());
    assert_eq!(taken, Some(sent.len() as u64));
}
