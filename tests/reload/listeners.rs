//! Listeners that come and go.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lubdub_proxy::settings::{Listener, ProxyProtocol, Settings};
use lubdub_proxy::unix::Permissions;
use lubdub_proxy::{Address, Proxy, StartError};
use lubdub_testkit::peer::{Dial, Upstream};
use lubdub_testkit::proxy::{ProxyBox, metrics};
use lubdub_testkit::way::Port;

fn with_listeners(upstream: &Upstream, listeners: &[(&str, SocketAddr)]) -> Settings {
    let mut settings = ProxyBox::new().settings(upstream.address());
    let listener = |&(name, address): &(&str, SocketAddr)| Listener {
        name: name.into(),
        address: address.into(),
        v6_only: false,
        permissions: Permissions::default(),
        tls: None,
        proxy_protocol: ProxyProtocol::Off,
        trust: None,
    };
    settings.listeners = listeners.iter().map(listener).collect();
    settings
}

#[tokio::test]
async fn a_listener_that_goes_leaves_its_pairs_and_one_that_comes_has_its_own() {
    let upstreams = Upstream::listen();
    let (of_old, of_new) = (Port::hold().unwrap(), Port::hold().unwrap());
    let (old, new) = (of_old.address, of_new.address);
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(with_listeners(&upstreams, &[("old", old)]));
    let open = async |address| Dial::to(address).pair(&upstreams).await;
    let (mut client, mut upstream) = open(old).await;
    proxy.reload(with_listeners(&upstreams, &[("new", new)]));
    lubdub_testkit::eventually("the old listener is closed", || {
        TcpStream::connect(old).is_err()
    })
    .await;
    let (_client, _upstream) = open(new).await;
    client.send_text("still here").await;
    upstream.expect_text("still here").await;
    for name in ["old", "new"] {
        proxy
            .expect_metric("pairs", &[("listener", name)], 1.0)
            .await;
    }
}

/// One that only gets another name keeps its socket: nobody who connects meanwhile is refused.
#[tokio::test]
async fn a_listener_with_another_name_stays_open() {
    let upstreams = Upstream::listen();
    let port = Port::hold().unwrap();
    let address = port.address;
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(with_listeners(&upstreams, &[("first", address)]));
    for name in ["second", "third"] {
        // In the accept queue, or already with a worker.
        let early = Dial::to(address).connect().await;
        proxy.reload(with_listeners(&upstreams, &[(name, address)]));
        drop(early);
        let (_client, _upstream) = Dial::to(address).pair(&upstreams).await;
        proxy
            .expect_metric("pairs", &[("listener", name)], 1.0)
            .await;
    }
}

#[tokio::test]
async fn an_address_that_is_taken_leaves_all_as_it_was() {
    let (old, new) = (Upstream::listen(), Upstream::listen());
    let proxy = Proxy::start(ProxyBox::new().settings(old.address()), &metrics(&["main"])).unwrap();
    let addresses = proxy.addresses();
    let [(_, Address::Ip(address))] = addresses[..] else {
        panic!("there is one listener, with an IP address");
    };
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut next = with_listeners(&new, &[("other", taken.local_addr().unwrap())]);
    next.listeners.insert(0, next.listeners[0].clone());
    next.listeners[0].name = "free".into();
    let port = Port::hold().unwrap();
    let could_be = port.address;
    next.listeners[0].address = could_be.into();
    assert!(matches!(
        proxy.try_reload(&next),
        Err(StartError::Bind { .. })
    ));
    assert!(matches!(proxy.reload(next), Err(StartError::Bind { .. })));
    assert_eq!(proxy.generation(), 1);
    assert!(
        TcpStream::connect(could_be).is_err(),
        "what was bound before the mistake was found is closed again"
    );
    // The old listener leads to the old upstream.
    let (_client, _upstream) = Dial::to(address).pair(&old).await;
}

/// It listened there for a moment. Whoever came in that moment believed to be connected, and was reset.
#[tokio::test]
async fn nobody_can_connect_to_what_is_only_tried() {
    let upstreams = Upstream::listen();
    let proxy = Proxy::start(
        ProxyBox::new().settings(upstreams.address()),
        &metrics(&["main"]),
    )
    .unwrap();
    let port = Port::hold().unwrap();
    let address = port.address;
    let next = with_listeners(&upstreams, &[("main", address)]);
    let is_over = AtomicBool::new(false);
    let connected = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let attempts = (0..5_000).map(|_| TcpStream::connect(address));
            let connected = attempts.filter(Result::is_ok).count();
            is_over.store(true, Relaxed);
            connected
        });
        while !is_over.load(Relaxed) {
            proxy.try_reload(&next).unwrap();
        }
        client.join().unwrap()
    });
    assert_eq!(connected, 0);
    // The same address is taken by somebody else, and that is found.
    let _holder = TcpListener::bind(address).unwrap();
    assert!(matches!(
        proxy.try_reload(&next),
        Err(StartError::Bind { .. })
    ));
}

/// It was said that the address is in use, and not by whom: by lubdub itself.
#[tokio::test]
async fn an_address_that_overlaps_with_an_open_one_is_refused_with_its_name() {
    let upstreams = Upstream::listen();
    let held = Port::hold().unwrap();
    let port = held.address.port();
    let at = |ip| with_listeners(&upstreams, &[("main", (ip, port).into())]);
    let proxy = Proxy::start(at(Ipv4Addr::UNSPECIFIED), &metrics(&["main"])).unwrap();
    let refused = proxy.reload(at(Ipv4Addr::LOCALHOST)).unwrap_err();
    let wrong = format!(
        "listener \"main\" cannot listen on 127.0.0.1:{port} while listener \"main\" listens on 0.0.0.0:{port}"
    );
    assert_eq!(refused.to_string(), wrong);
}
