//! Answers: an upstream that was talked into saying more than it was asked for, or one that says it in
//! two ways, must not answer for another client's request (RFC 9112 6.3, 9.2).

use lubdub_testkit::http::Request;

use crate::stage::Outcome::{GoesDown, GoesDownLast};
use crate::stage::{BAD_GATEWAY, BAD_GATEWAY_LAST};

/// What the client asks for.
#[derive(Debug, Clone, Copy)]
enum To {
    Get,
    Head,
    Upgrade,
}

impl To {
    fn request(self) -> String {
        let request = match self {
            Self::Get => Request::get("/"),
            Self::Head => Request::new("HEAD", "/"),
            Self::Upgrade => Request::upgrade("/"),
        };
        String::from_utf8(request.encode()).expect("a request is text")
    }
}

/// Makes a test of each line: what is asked for, the upstream's answer, and what becomes of it.
macro_rules! answers {
    ($($(#[doc = $why:literal])* $name:ident: $to:expr, $answer:expr => $outcome:expr;)*) => {
        $(
            $(#[doc = $why])*
            #[tokio::test]
            async fn $name() {
                crate::stage::play_answer(&$to.request(), $answer, $outcome).await;
            }
        )*
    };
}

answers! {
    a_second_answer_behind_the_first: To::Get,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
            HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        => GoesDown("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    a_second_answer_behind_chunks: To::Get,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        => GoesDown("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    /// RFC 9112 6.3: "Any response to a HEAD request [...] is always terminated by the first empty
    /// line".
    a_body_for_a_head: To::Head,
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
        => GoesDown("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    a_body_where_there_is_none: To::Get,
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody"
        => GoesDown("HTTP/1.1 304 Not Modified\r\n\r\n");
    two_lengths_that_differ: To::Get,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    a_length_that_is_none: To::Get,
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    chunks_and_a_length: To::Get,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\nConnection: close\r\n\r\n\
            2\r\nok\r\n0\r\n\r\n"
        => GoesDown("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    /// RFC 9112 5.2: "replace each received obs-fold with one or more SP octets". What leaves is one
    /// line, so nobody behind can be of another opinion.
    a_folded_value: To::Get,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nX-A: 1\r\n Content-Length: 3\r\nContent-Length: 2\r\n\r\nok"
        => GoesDown("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1 Content-Length: 3\r\n\r\nok");
    a_value_that_is_folded_twice: To::Get,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nX-A:\r\n\t1\r\n  \r\n 2\r\nContent-Length: 2\r\n\r\nok"
        => GoesDown("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1  2\r\n\r\nok");
    a_folded_coding: To::Get,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding:\r\n chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        => GoesDown("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    a_folded_length: To::Get,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n 3\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    a_first_line_behind_white_space: To::Get,
        "HTTP/1.1 200 OK\r\n X-A: 1\r\nContent-Length: 2\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    /// RFC 9112 5.1: "A proxy MUST remove any such whitespace from a response message".
    a_space_before_the_colon: To::Get,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length \t: 2\r\n\r\nok"
        => GoesDown("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    a_space_before_the_colon_of_another_length: To::Get,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length : 3\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    a_space_before_the_colon_of_a_coding: To::Get,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding : chunked\r\nContent-Length: 9\r\n\r\n\
            2\r\nok\r\n0\r\n\r\n"
        => GoesDown("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    a_space_before_the_colon_of_connection: To::Get,
        "HTTP/1.1 200 OK\r\nConnection : close, X-A\r\nX-A : 1\r\nContent-Length: 2\r\n\r\nok"
        => GoesDown("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    a_carriage_return_before_the_colon: To::Get,
        "HTTP/1.1 200 OK\r\nContent-Length\r: 2\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    a_space_within_a_name: To::Get,
        "HTTP/1.1 200 OK\r\nContent Length: 2\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    /// Of another hop, or about a body that is not there; RFC 9110 15.4.5 and 9.3.2 let them be left out.
    the_coding_of_an_answer_to_a_head: To::Head,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        => GoesDown("HTTP/1.1 200 OK\r\n\r\n");
    /// hyper keeps reasons of ASCII only. RFC 9110 15: a client "SHOULD ignore" them all.
    a_reason_beyond_ascii: To::Get,
        "HTTP/1.1 403 Verb\u{f6}ten\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        => GoesDown("HTTP/1.1 403 \r\nContent-Length: 0\r\n\r\n");
    a_reason_of_its_own: To::Get,
        "HTTP/1.1 403 Not today\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        => GoesDown("HTTP/1.1 403 Not today\r\nContent-Length: 0\r\n\r\n");
    a_nul_in_a_value: To::Get,
        "HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 2\r\n\r\nok" => GoesDown(BAD_GATEWAY);
    what_connection_names: To::Get,
        "HTTP/1.1 200 OK\r\nConnection: close, X-A, Content-Length\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"
        => GoesDown("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    /// Nobody asked for another protocol.
    a_101_to_a_get: To::Get,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes"
        => GoesDown(BAD_GATEWAY);

    a_refusal_and_a_second_answer: To::Upgrade,
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno\
            HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
        => GoesDownLast("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nconnection: close\r\n\r\nno");
    /// What RFC 6455 4.4 has for a version that the server does not speak.
    a_version_that_is_not_spoken: To::Upgrade,
        "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\nGET /second HTTP/1.1\r\n\r\n"
        => GoesDownLast("HTTP/1.1 426 Upgrade Required\r\n\
            Sec-WebSocket-Version: 8\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
            Content-Length: 0\r\n\r\n");
    a_200_to_an_upgrade: To::Upgrade,
        "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nContent-Length: 0\r\n\r\n"
        => GoesDownLast("HTTP/1.1 200 OK\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            Connection: close\r\nContent-Length: 0\r\n\r\n");
    a_101_with_a_wrong_accept: To::Upgrade,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\nframes"
        => GoesDownLast(BAD_GATEWAY_LAST);
    a_101_without_an_accept: To::Upgrade,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes"
        => GoesDownLast(BAD_GATEWAY_LAST);
    a_101_to_another_protocol: To::Upgrade,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nframes"
        => GoesDownLast(BAD_GATEWAY_LAST);
    two_lengths_that_differ_to_an_upgrade: To::Upgrade,
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nno"
        => GoesDownLast(BAD_GATEWAY_LAST);
    what_is_not_http: To::Upgrade, "SSH-2.0-OpenSSH_9.2\r\n\r\n" => GoesDownLast(BAD_GATEWAY_LAST);
}
