//! Trailers that said what a head may not say.

use lubdub_proxy::settings::ForwardedStyle;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

/// Every field that must not come in behind a body, and one that may.
const TRAILERS: &str = "X-Forwarded-For: 6.6.6.6\r\n\
    X-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: bank.example\r\n\
    Forwarded: for=6.6.6.6\r\n\
    X-Hop: secret\r\n\
    Connection: X-Sum\r\n\
    Keep-Alive: timeout=5\r\n\
    Upgrade: h2c\r\n\
    Cookie: admin=1\r\n\
    Proxy-Authorization: Basic eA==\r\n\
    X-Sum: 532\r\n";

/// The names of all of these, as a value of `Trailer`.
fn announced() -> String {
    let names: Vec<&str> = TRAILERS
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    names.join(", ")
}

/// What the upstream gets behind the head of a request whose trailers these are.
async fn goes_up(proxy: ProxyBox, trailers: &str) -> String {
    let upstreams = Upstream::listen();
    let proxy = proxy.start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let post = Request::new("POST", "/")
        .field("Connection", "X-Hop")
        .field("Transfer-Encoding", "chunked")
        .field("Trailer", &announced());
    client.ask(&post).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    client.send(format!("0\r\n{trailers}\r\n")).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert_eq!(client.expect_answer(200).await.1, "ok");
    // The connection goes on: it was the end of the body that came, and no more.
    client.ask(&Request::get("/next")).await;
    upstreams.accept().await.expect_head().await;
    let heard = String::from_utf8(upstream.expect_all().await).expect("a request is text");
    let (_, behind) = heard.split_once("\r\n\r\n").expect("its head came before");
    behind.to_owned()
}

/// A client could say who it is in a trailer, where its word in the head was dropped, and what
/// `Connection` named came in behind the body.
#[tokio::test]
async fn a_requests_trailers_say_nothing_that_its_head_may_not() {
    let heard = goes_up(ProxyBox::new(), TRAILERS).await;
    assert_eq!(heard, "0\r\nx-sum: 532\r\n\r\n");
    // A trusted peer can say it in the head, where lubdub's word is behind its own.
    let trusting = ProxyBox::new().with(|proxy| {
        let all = "0.0.0.0/0".parse().expect("this is every network");
        proxy.forwarded.trust.networks = vec![all];
    });
    let heard = goes_up(trusting, TRAILERS).await;
    assert_eq!(heard, "0\r\nx-sum: 532\r\n\r\n");
}

#[tokio::test]
async fn trailers_of_which_nothing_is_left_end_the_body() {
    let heard = goes_up(ProxyBox::new(), "X-Hop: secret\r\n").await;
    assert_eq!(heard, "0\r\n\r\n");
}

/// Where lubdub says nothing of the client, what others say passes, as it does in the head.
#[tokio::test]
async fn a_family_that_is_not_lubdubs_passes() {
    let off = ProxyBox::new().with(|proxy| proxy.forwarded.style = ForwardedStyle::Off);
    let heard = goes_up(off, "X-Forwarded-For: 192.0.2.1\r\nX-Hop: secret\r\n").await;
    assert_eq!(heard, "0\r\nx-forwarded-for: 192.0.2.1\r\n\r\n");
}

/// The same in the other direction, be it a plain answer or a refused upgrade.
#[tokio::test]
async fn an_answers_trailers_say_nothing_that_its_head_may_not() {
    let wish = |request: Request, connection| {
        request
            .without("connection")
            .field("TE", "trailers")
            .field("Connection", connection)
    };
    for request in [
        wish(Request::get("/"), "TE"),
        wish(Request::upgrade("/"), "TE, Upgrade"),
    ] {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().start(&upstreams);
        let (mut client, mut upstream, _) = proxy.dial().ask(&request, &upstreams).await;
        let announced = announced();
        let trailers = TRAILERS.replace("X-Forwarded", "X-Other");
        upstream
            .send(format!(
                "HTTP/1.1 403 Forbidden\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\
                 Trailer: {announced}\r\n\r\n2\r\nno\r\n0\r\n{trailers}\r\n"
            ))
            .await;
        client.expect_answer(403).await;
        client
            .expect_bytes("2\r\nno\r\n0\r\nforwarded: for=6.6.6.6\r\nx-sum: 532\r\n\r\n")
            .await;
    }
}
