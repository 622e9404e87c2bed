//! A hand-over and other changes of the whole, at the same moment.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime;

use super::super::link::Link;
use super::super::message::{self, FromPredecessor, FromSuccessor, Hello, OLDEST, VERSION};
use super::super::{HandoverError, Offer, Who};
use crate::control::Control;
use crate::drain::{DrainError, Selection};
use crate::proxy::{Proxy, StartError, testing};
use crate::settings::testing::settings;

fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(super) fn started() -> Proxy {
    testing::start(settings(&[("first", any())]))
}

fn offer(stream: UnixStream) -> Offer {
    Offer {
        stream,
        successor: Who::Other(None),
        program: "0".to_owned(),
        admin: None,
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

/// Says hello as a successor does, and tells which listeners it is given.
fn given(stream: UnixStream) -> Vec<String> {
    let hello = FromSuccessor::Hello(Hello {
        oldest: OLDEST,
        newest: VERSION,
        program: "0".to_owned(),
        pid: 0,
        room: 100,
    });
    block_on(async {
        let mut link = Link::new(stream).unwrap();
        link.send(&message::encode(&hello), &[]).await.unwrap();
        let packet = link.receive().await.unwrap();
        let told = message::decode(&packet.body).unwrap();
        let FromPredecessor::Welcome(welcome) = told else {
            panic!("no welcome: {}", told.name());
        };
        let names = welcome.listeners.into_iter().map(|it| it.name);
        names.collect()
    })
}

/// The listener was bound behind the moment at which the listeners were given away, and died with this process.
#[test]
fn a_hand_over_that_begins_in_the_middle_of_a_reload_gives_the_new_listener_as_well() {
    let proxy = started();
    // Here a reload has to wait: it has bound its listener, and nothing is in effect.
    let doors = proxy.shared().doors.lock();
    let doors = doors.unwrap_or_else(PoisonError::into_inner);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let next = settings(&[("first", any()), ("second", any())]);
            proxy.reload(next).unwrap();
        });
        while !proxy.shared().changing.is_being_made() {
            thread::yield_now();
        }
        scope.spawn(|| block_on(proxy.hand_over(offer(ours))));
        scope.spawn(move || tell.send(given(theirs)));
        // Nothing comes while the reload is in the middle; if something does, it is wrong.
        let early = told.recv_timeout(Duration::from_millis(200));
        drop(doors);
        let given = early.or_else(|_| told.recv()).unwrap();
        assert_eq!(given, ["first", "second"]);
    });
}

#[test]
fn nothing_is_changed_while_it_is_handed_over() {
    let proxy = started();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let taken = TcpListener::bind(any()).unwrap().local_addr().unwrap();
    thread::scope(|scope| {
        let handing_over = scope.spawn(|| block_on(proxy.hand_over(offer(ours))));
        while !proxy.shared().changing.change().is_handing_over() {
            thread::yield_now();
        }
        let next = settings(&[("first", any()), ("second", taken)]);
        for refused in [
            proxy.reload(next.clone()).map(drop),
            proxy.try_reload(&next),
        ] {
            assert!(matches!(refused, Err(StartError::HandingOver)));
        }
        let control: Control = proxy.control();
        let drain = control.drain(Selection::default(), None);
        assert_eq!(drain.unwrap_err(), DrainError::HandingOver);
        let (another, _end) = UnixStream::pair().unwrap();
        let second = block_on(proxy.hand_over(offer(another)));
        assert!(matches!(second, Err(HandoverError::UnderWay)));
        // It comes to nothing, and all can be changed again.
        drop(theirs);
        assert!(handing_over.join().unwrap().is_err());
        proxy.reload(next).unwrap();
    });
}

#[test]
fn it_is_not_handed_over_in_the_middle_of_a_drain() {
    let proxy = started();
    let control = proxy.control();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    block_on(async {
        control.drain(Selection::default(), None).unwrap();
        let refused = proxy.hand_over(offer(ours)).await;
        assert!(matches!(refused, Err(HandoverError::Draining(1))));
        // A refusal leaves nothing behind that would refuse a reload.
        control.call_off_drain().unwrap();
        proxy.reload(settings(&[("first", any())])).unwrap();
    });
}
