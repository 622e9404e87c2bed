//! Every mode against the echo backend itself, with no proxy between them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use lubdub_wire::{CloseCode, ControlFrame};

use crate::accounting::Pid;
use crate::backend::Backend;
use crate::handshake::{Request, head_len, switching_protocols};
use crate::load::{Churn, Hold, Kind, Relay, Sliced, Target, counters};
use crate::progress::Progress;
use crate::tls::{self, Certificate};

/// How long each mode runs.
const DURATION: Duration = Duration::from_millis(500);

/// A backend that echoes until the tests end; plain, or with a certificate.
fn backend(certificate: Option<&Certificate>) -> SocketAddr {
    let tls = certificate.map(|files| tls::server(&files.cert, &files.key).unwrap());
    let backend = Backend::bind("127.0.0.1:0".parse().unwrap(), tls).unwrap();
    let address = backend.address().unwrap();
    std::thread::spawn(|| backend.run());
    address
}

fn plain(address: SocketAddr) -> Target {
    Target::new(&format!("ws://{address}/"), || unreachable!(), 0).unwrap()
}

fn relay() -> Relay {
    Relay {
        connections: 8,
        idle: 2,
        bytes: 125,
        in_flight: 3,
        rate: None,
        warm_up: Duration::ZERO,
        duration: DURATION,
        at_once: 4,
        proxy: Some(own_pid()),
    }
}

fn own_pid() -> Pid {
    std::process::id()
}

#[test]
fn messages_come_back() {
    let report = relay().run(plain(backend(None)), Progress::off()).unwrap();
    assert!(report.echoes > 8 * 3);
    assert!(report.latency.p50_us > 0.0);
    assert!(report.latency.p50_us <= report.latency.p999_us);
    assert!(report.cpu_us_per_message.unwrap() > 0.0);
    assert!(report.observed.seconds >= DURATION.as_secs_f64());
}

#[test]
fn messages_larger_than_any_buffer_come_back() {
    let relay = Relay {
        bytes: 3 << 20,
        connections: 2,
        in_flight: 2,
        ..relay()
    };
    let report = relay.run(plain(backend(None)), Progress::off()).unwrap();
    assert!(report.cpu_seconds_per_gib.unwrap() > 0.0);
}

#[test]
fn a_schedule_is_kept_and_every_message_of_it_is_echoed() {
    let relay = Relay {
        rate: Some(2000.0),
        ..relay()
    };
    let report = relay.run(plain(backend(None)), Progress::off()).unwrap();
    // A busy machine may be late, but it cannot be ahead of the schedule by more than a start.
    assert!(report.echoes_per_second < 2300.0, "{report:?}");
}

/// Each slice begins and ends in silence: what was sent in it is back, at its own pace or at a rate.
#[test]
fn slices_of_messages_follow_each_other() {
    let time = Duration::from_millis(50);
    let address = backend(None);
    let mut slices = relay().sliced(plain(address), Progress::off()).unwrap();
    for rate in [None, Some(2000.0), None] {
        let slice = slices.slice(time, rate).unwrap();
        assert!(slice.count > 0 && slice.cpu_seconds > 0.0, "{slice:?}");
        assert!(slice.seconds >= time.as_secs_f64(), "{slice:?}");
        if rate.is_some() {
            // As many messages of the schedule as the slice has room for, there and back.
            let room = slice.seconds * 2000.0 + 1.0;
            assert!(slice.count as f64 <= 2.0 * room, "{slice:?}");
        }
    }
}

#[test]
fn slices_of_sessions_leave_none_behind() {
    let address = backend(None);
    let churn = Churn {
        connections: 4,
        bytes: 10,
        warm_up: Duration::ZERO,
        duration: Duration::ZERO,
        proxy: Some(own_pid()),
    };
    let target = Target::new(&format!("ws://{address}/"), || unreachable!(), 8).unwrap();
    let mut slices = churn.sliced(target).unwrap();
    for _ in 0..3 {
        assert!(slices.slice(Duration::from_millis(50), None).unwrap().count > 0);
        // The one that asks is the only one.
        assert_eq!(counters(address).unwrap().open, 0);
    }
}

#[test]
fn sessions_come_and_go_and_the_backend_keeps_none() {
    let address = backend(None);
    let churn = Churn {
        connections: 4,
        bytes: 10,
        warm_up: Duration::ZERO,
        duration: DURATION,
        proxy: None,
    };
    let target = Target::new(&format!("ws://{address}/"), || unreachable!(), 8).unwrap();
    let report = churn.run(target, Progress::off()).unwrap();
    assert!(report.sessions > 0);
    assert_eq!(report.cpu_us_per_session, None);
}

#[test]
fn idle_connections_stay() {
    let address = backend(None);
    let hold = Hold {
        kind: Kind::Idle,
        connections: 100,
        bytes: 125,
        at_once: 100,
        settle: DURATION,
        duration: DURATION,
        proxy: Some(own_pid()),
        backend: Some(address),
    };
    let target = Target::new(&format!("ws://{address}/"), || unreachable!(), 16).unwrap();
    let report = hold.run(target, Progress::off()).unwrap();
    assert_eq!((report.lost, report.pings_to_backend), (0, Some(0)));
    assert!(report.memory_before.is_some() && report.memory_after.is_some());
    assert_eq!(report.pings_per_second, Some(0.0));
}

/// What a proxy does to a pair that it gives up: the client is told to end, and no more is seen of
/// it for a while.
#[test]
fn a_connection_that_was_told_to_end_is_lost_before_it_ends() {
    let fickle = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = fickle.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in fickle.incoming() {
            std::thread::spawn(|| echo_once_and_close(socket.unwrap()));
        }
    });
    let hold = Hold {
        kind: Kind::Idle,
        connections: 3,
        bytes: 0,
        at_once: 1,
        settle: DURATION,
        duration: DURATION,
        proxy: None,
        backend: None,
    };
    let report = hold.run(plain(address), Progress::off()).unwrap();
    assert_eq!(report.lost, 3);
}

/// Opens, returns an empty message, says a Close, and stays until the client goes.
fn echo_once_and_close(mut socket: TcpStream) {
    let mut head = Vec::new();
    while head_len(&head).is_none() {
        let mut bytes = [0; 1024];
        let len = socket.read(&mut bytes).unwrap();
        head.extend_from_slice(&bytes[..len]);
    }
    let Request::Upgrade { accept } = Request::read(&head) else {
        panic!("nothing else is asked for");
    };
    socket.write_all(&switching_protocols(&accept)).unwrap();
    // The whole message is a masked header.
    socket.read_exact(&mut [0; 6]).unwrap();
    let close = ControlFrame::close(CloseCode::GOING_AWAY, "", None);
    socket.write_all(&[0x82, 0]).unwrap();
    socket.write_all(close.raw()).unwrap();
    // Whatever else comes, until there is no more.
    let _ = std::io::copy(&mut socket, &mut std::io::sink());
}

#[test]
fn tls_is_spoken_and_its_certificate_checked() {
    let directory = std::env::temp_dir().join(format!("lubdub-bench-{}", own_pid()));
    std::fs::create_dir_all(&directory).unwrap();
    let files = Certificate::make(&directory).unwrap();
    let address = backend(Some(&files));
    let target = |config| Target::new(&format!("wss://{address}/"), || config, 0);

    let relay = Relay {
        bytes: 100_000,
        ..relay()
    };
    let trusting = target(tls::client(&files.cert)).unwrap();
    assert!(relay.run(trusting, Progress::off()).unwrap().echoes > 0);

    Certificate::make(&directory).unwrap();
    let other = target(tls::client(&files.cert)).unwrap();
    let refused = relay.run(other, Progress::off()).unwrap_err();
    assert!(
        format!("{refused:#}").contains("certificate"),
        "{refused:#}"
    );
    std::fs::remove_dir_all(&directory).unwrap();
}
