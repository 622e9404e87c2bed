//! Which route a request belongs to, and what of its head the upstream gets in another form.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::{Head, Request};
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

const GONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

fn to(host: &str, target: &str) -> Request {
    Request::get(target).host(host)
}

/// Three upstreams: for one host, for all below a name, and for the rest.
#[tokio::test]
async fn one_host_goes_before_a_wildcard_and_that_before_the_rest() {
    let upstreams = [Upstream::listen(), Upstream::listen(), Upstream::listen()];
    let [one, below, rest] = &upstreams;
    let lubdub = Binary::start_with(&[
        &format!("upstream.one.url=http://{}", one.address()),
        &format!("upstream.below.url=http://{}", below.address()),
        &format!("upstream.rest.url=http://{}", rest.address()),
        "route.rest.upstream=rest",
        "route.below.upstream=below",
        "route.below.host=*.example.com",
        "route.one.upstream=one",
        "route.one.host=a.example.com",
    ])
    .await;
    for (host, hears) in [
        ("a.example.com", one),
        ("A.Example.com.:8080", one),
        ("b.example.com", below),
        ("a.b.example.com:443", below),
        ("example.com", rest),
        ("aexample.com", rest),
        ("a.example.com.evil.test", rest),
        ("", rest),
    ] {
        let mut client = lubdub.dial().connect().await;
        client.ask(&to(host, "/")).await;
        let (hearer, mut upstream) = tokio::select! {
            upstream = one.accept() => (one, upstream),
            upstream = below.accept() => (below, upstream),
            upstream = rest.accept() => (rest, upstream),
        };
        let head = upstream.expect_head().await;
        assert_eq!(head.field("host"), Some(host), "as it came");
        assert_eq!(hearer.address(), hears.address(), "{host}");
    }
}

/// What an upstream hears of `request`.
async fn heard(proxy: ProxyBox, request: &Request) -> Head {
    let upstreams = Upstream::listen();
    let proxy = proxy.start(&upstreams);
    let (mut client, mut upstream, head) = proxy.dial().ask(request, &upstreams).await;
    upstream.send(GONE).await;
    client.expect_answer(204).await;
    head
}

#[tokio::test]
async fn the_prefix_is_stripped_and_the_rest_goes_up_as_it_came() {
    let stripping = || {
        ProxyBox::new().with(|it| {
            "/chat".clone_into(&mut it.path_prefix);
            it.strip_prefix = true;
        })
    };
    for (target, expected) in [
        ("/chat/room?q=/chat", "/room?q=/chat"),
        ("/chat", "/"),
        ("/chat?q", "/?q"),
        ("/chat/", "/"),
        ("/chat//room", "//room"),
        ("/chat/../%2e%2E/a%2fb;c", "/../%2e%2E/a%2fb;c"),
        ("http://lubdub.example/chat/room", "/room"),
    ] {
        for request in [Request::get(target), Request::upgrade(target)] {
            let head = heard(stripping(), &request).await;
            let line = format!("GET {expected} HTTP/1.1");
            assert_eq!(head.first_line, line, "{target}");
        }
    }
    let kept = ProxyBox::new().with(|it| "/chat".clone_into(&mut it.path_prefix));
    let head = heard(kept, &Request::get("/chat/room")).await;
    assert_eq!(head.first_line, "GET /chat/room HTTP/1.1");
}

/// The log tells of the path that the client asked for.
#[tokio::test]
async fn a_stripped_prefix_is_told_in_the_log() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(
        &upstreams,
        &[
            "route.main.path_prefix=/chat",
            "route.main.strip_prefix=true",
        ],
    )
    .await;
    let (mut client, mut upstream, head) = lubdub
        .dial()
        .ask(&Request::upgrade("/chat/room?token=x"), &upstreams)
        .await;
    assert_eq!(head.first_line, "GET /room?token=x HTTP/1.1");
    upstream.send(GONE).await;
    client.expect_answer(204).await;
    let line = lubdub.expect_logged("not served").await;
    assert_eq!(line["request"], "lubdub.example/chat/room");
}

#[tokio::test]
async fn an_upstream_with_a_host_of_its_own_gets_that_and_is_told_the_clients() {
    let own = || ProxyBox::new().with(|it| it.host_field = Some("Chat.internal:8080".to_owned()));
    for request in [
        Request::get("/"),
        Request::upgrade("/"),
        Request::get("http://lubdub.example/").host("other"),
    ] {
        let head = heard(own(), &request).await;
        assert_eq!(head.field("host"), Some("Chat.internal:8080"));
        assert_eq!(head.field("x-forwarded-host"), Some("lubdub.example"));
        let head = heard(ProxyBox::new(), &request).await;
        assert_eq!(head.field("host"), Some("lubdub.example"));
    }
}
