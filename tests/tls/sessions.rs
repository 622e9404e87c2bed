//! Sessions that clients resume: for how long, and what has to be as it was.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lubdub_proxy::tls::{Clients, ServerTls};
use lubdub_testkit::certs::Certs;
use lubdub_testkit::eventually;
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use rustls::version::{TLS12, TLS13};

/// lubdub with this TLS, which is to be had again for a reload.
fn start(tls: &Arc<ServerTls>, upstreams: &Upstream) -> (RunningProxy, ProxyBox) {
    let proxy = ProxyBox::new().with(|proxy| proxy.listener_tls = Some(Arc::clone(tls)));
    (proxy.clone().start(upstreams), proxy)
}

/// A pair; what has read its 101 has read its tickets.
async fn pair(dial: &Dial, upstreams: &Upstream) -> Peer {
    let (client, _) = dial.clone().pair(upstreams).await;
    client
}

#[tokio::test]
async fn a_session_is_resumed_until_its_key_is_too_old() {
    let certs = Certs::generate();
    for version in [&TLS12, &TLS13] {
        let upstreams = Upstream::listen();
        let tls = certs.listening();
        let (proxy, _) = start(&tls, &upstreams);
        let dial = proxy.dial().tls(certs.adjusted(None, &[version], |_| {}));
        let first = pair(&dial, &upstreams).await;
        assert_eq!(first.has_resumed(), Some(false), "{version:?}");
        let second = pair(&dial, &upstreams).await;
        assert_eq!(second.has_resumed(), Some(true), "{version:?}");
        // The key from before still opens.
        tls.rotate_tickets();
        let third = pair(&dial, &upstreams).await;
        assert_eq!(third.has_resumed(), Some(true), "{version:?}");
        tls.rotate_tickets();
        tls.rotate_tickets();
        let late = pair(&dial, &upstreams).await;
        assert_eq!(late.has_resumed(), Some(false), "{version:?}");
    }
}

#[tokio::test]
async fn a_session_is_resumed_after_a_reload() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let (proxy, settings) = start(&certs.listening(), &upstreams);
    let dial = proxy.dial().tls(certs.connecting());
    pair(&dial, &upstreams).await;
    let next = settings.with(|proxy| proxy.listener_tls = Some(certs.listening()));
    proxy.reload(next.settings(upstreams.address()));
    assert_eq!(pair(&dial, &upstreams).await.has_resumed(), Some(true));
}

#[tokio::test]
async fn what_is_asked_of_clients_is_asked_again_when_it_has_changed() {
    let (certs, others) = (Certs::generate(), Certs::generate());
    let upstreams = Upstream::listen();
    let listening = |clients| certs.listening_to(clients, None);
    let optional = || Clients::Optional(certs.authorities(&[]));
    let (proxy, settings) = start(&listening(optional()), &upstreams);
    let dial = proxy
        .dial()
        .tls(certs.connecting_as(&certs.client("client")));
    let reload = |tls| {
        let next = settings
            .clone()
            .with(|proxy| proxy.listener_tls = Some(tls));
        proxy.reload(next.settings(upstreams.address()));
    };
    pair(&dial, &upstreams).await;
    reload(listening(optional()));
    let same = pair(&dial, &upstreams).await;
    assert_eq!(same.has_resumed(), Some(true), "the same is asked");
    for clients in [
        Clients::Required(certs.authorities(&[])),
        Clients::Required(certs.authorities(&[&certs.revoking(&[])])),
        Clients::Optional(certs.authorities(&[])),
        Clients::Anyone,
    ] {
        reload(listening(clients));
        assert_eq!(pair(&dial, &upstreams).await.has_resumed(), Some(false));
    }
    reload(listening(Clients::Required(others.authorities(&[]))));
    dial.expect_no_tls().await;
    let failures = "tls_handshake_failures_total";
    let unknown = [("reason", "client_certificate_unknown_ca")];
    proxy.expect_metric(failures, &unknown, 1.0).await;
}

/// rustls takes the certificate out of the ticket and does not look at it again.
#[tokio::test]
async fn a_session_whose_certificate_has_expired_is_not_gone_on_with() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let clients = Clients::Required(certs.authorities(&[]));
    let (proxy, _) = start(&certs.listening_to(clients, None), &upstreams);
    let soon = SystemTime::now() + Duration::from_secs(2);
    let client = certs.client_with(|client| client.not_after = soon.into());
    let dial = proxy.dial().tls(certs.connecting_as(&client));
    pair(&dial, &upstreams).await;
    eventually("its time is over", || {
        SystemTime::now() > soon + Duration::from_secs(1)
    })
    .await;
    let mut late = dial.clone().connect().await;
    assert_eq!(late.has_resumed(), Some(true), "as far as it knows");
    late.expect_end().await;
    let failures = "tls_handshake_failures_total";
    let expired = [("reason", "client_certificate_expired")];
    proxy.expect_metric(failures, &expired, 1.0).await;
}

#[tokio::test]
async fn nothing_is_said_before_the_handshake_is_over() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let (proxy, _) = start(&certs.listening(), &upstreams);
    let config = certs.adjusted(None, rustls::DEFAULT_VERSIONS, |config| {
        config.enable_early_data = true;
    });
    let dial = proxy.dial().tls(Arc::clone(&config));
    pair(&dial, &upstreams).await;
    let name = lubdub_testkit::certs::NAME.try_into().expect("a name");
    let mut again = rustls::ClientConnection::new(config, name).expect("a client");
    assert!(again.early_data().is_none(), "a ticket offers early data");
}
