//! Answers of the upstream's that lubdub spoiled, or refused though they can be read.

use lubdub_testkit::http::{Head, Request};
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

/// What a client gets when the upstream answers so: to a plain request, and to an upgrade.
async fn as_they_arrive(answer: &str) -> [(Head, String); 2] {
    [
        as_it_arrives(&Request::get("/"), answer).await,
        as_it_arrives(&Request::upgrade("/"), answer).await,
    ]
}

async fn as_it_arrives(request: &Request, answer: &str) -> (Head, String) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(request, &upstreams).await;
    upstream.send(answer).await;
    let status = answer[9..12].parse().expect("a status has three digits");
    client.expect_answer(status).await
}

/// RFC 9110 15.5.22: "The server MUST send an Upgrade header field in a 426 response", and lubdub took
/// it for one that was about the upstream's connection alone.
#[tokio::test]
async fn a_426_says_which_protocol_it_wants() {
    let answer = "HTTP/1.1 426 Upgrade Required\r\n\
        Connection: upgrade, X-Hop\r\n\
        Upgrade: websocket, foo/2\r\n\
        X-Hop: secret\r\n\
        Content-Length: 3\r\n\
        \r\n\
        ws!";
    let [plain, upgrade] = as_they_arrive(answer).await;
    for (head, body) in [&plain, &upgrade] {
        assert_eq!(head.field("upgrade"), Some("websocket, foo/2"), "{head:#?}");
        assert_eq!((head.field("x-hop"), body.as_str()), (None, "ws!"));
    }
    assert_eq!(plain.0.field("connection"), Some("Upgrade"));
    // Behind a refused upgrade nothing may follow.
    assert_eq!(upgrade.0.field("connection"), Some("Upgrade, close"));
}

/// Apache offers `h2c` in every answer: that is about its own connection.
#[tokio::test]
async fn what_any_other_answer_could_be_upgraded_to_goes_no_further() {
    let answer = "HTTP/1.1 200 OK\r\n\
        Connection: Upgrade, Keep-Alive\r\n\
        Upgrade: h2,h2c\r\n\
        Content-Length: 0\r\n\
        \r\n";
    for (head, _) in as_they_arrive(answer).await {
        assert_eq!(head.field("upgrade"), None, "{head:#?}");
    }
}

/// RFC 9112 5.1: "A proxy MUST remove any such whitespace from a response message before forwarding the
/// message downstream." It was a 502.
#[tokio::test]
async fn white_space_before_a_colon_is_taken_out_of_an_answer() {
    let answer = "HTTP/1.1 401 Unauthorized\r\n\
        Server : old\r\n\
        WWW-Authenticate\t : Basic\r\n\
        Content-Length : 3\r\n\
        \r\n\
        who";
    for (head, body) in as_they_arrive(answer).await {
        assert_eq!(body, "who");
        for line in ["Server: old", "WWW-Authenticate: Basic"] {
            assert!(head.has_line(line), "no {line:?} in {head:#?}");
        }
    }
}

/// RFC 9112 5.2 lets a proxy "either discard the message and replace it with a 502" or "replace each
/// received obs-fold with one or more SP octets": what works without lubdub works with it.
#[tokio::test]
async fn a_folded_line_of_an_answer_is_unfolded() {
    let answer = "HTTP/1.1 401 Unauthorized\r\n\
        X-Policy: one;\r\n\
        \t  two;\r\n \
        Content-Length: 9\r\n\
        Content-Length: 3\r\n\
        \r\n\
        who";
    for (head, body) in as_they_arrive(answer).await {
        assert_eq!(body, "who");
        let policy = head.field("x-policy");
        assert_eq!(policy, Some("one; two; Content-Length: 9"), "{head:#?}");
    }
}
