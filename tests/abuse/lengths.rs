//! Where a body ends: Content-Length and Transfer-Encoding (RFC 9112 6).

use lubdub_testkit::peer::Upstream;

use crate::stage::Fate::{GoesUp, GoesUpLast, Refused};
use crate::stage::{SECOND, nobody_else, post, requests, silent, until_the_end};

requests! {
    /// RFC 9112 6.3: "If a message is received without Transfer-Encoding and with an invalid
    /// Content-Length header field, then the message framing is invalid".
    two_lengths_that_differ:
        post("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc") => Refused(400);
    two_lengths_that_differ_in_one_line:
        post("Content-Length: 3, 4\r\n\r\nabc") => Refused(400);
    /// The same clause lets a list of equal lengths pass; it need not.
    two_lengths_that_agree_in_one_line:
        post("Content-Length: 3, 3\r\n\r\nabc") => Refused(400);
    two_lengths_that_agree:
        post("Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc");
    two_lengths_that_are_the_same_number_written_otherwise:
        post("Content-Length: 3\r\nContent-Length: 03\r\n\r\nabc")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc");
    a_length_with_a_plus: post("Content-Length: +3\r\n\r\nabc") => Refused(400);
    a_length_below_zero: post("Content-Length: -1\r\n\r\n") => Refused(400);
    a_length_in_hex: post("Content-Length: 0x3\r\n\r\nabc") => Refused(400);
    a_length_with_a_space_within: post("Content-Length: 1 0\r\n\r\n0123456789") => Refused(400);
    a_length_with_a_fraction: post("Content-Length: 3.0\r\n\r\nabc") => Refused(400);
    a_length_with_a_separator: post("Content-Length: 1_0\r\n\r\n0123456789") => Refused(400);
    a_length_in_other_digits: post("Content-Length: \u{663}\r\n\r\nabc") => Refused(400);
    a_length_that_is_empty: post("Content-Length:\r\n\r\n") => Refused(400);
    a_length_beyond_64_bits:
        post("Content-Length: 18446744073709551619\r\n\r\nabc") => Refused(400);
    a_length_with_zeros_before_it:
        post("Content-Length: 0003\r\n\r\nabc")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 0003\r\n\r\nabc");
    a_length_with_white_space_around_it:
        post("Content-Length: \t 3 \t\r\n\r\nabc")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc");
    /// RFC 9110 9.3.1: a body of a GET "has no generally defined semantics"; it has an end all the
    /// same.
    a_length_of_a_get:
        "GET / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc"
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc");
    /// RFC 9112 6.3: "the Transfer-Encoding overrides the Content-Length. Such a message might
    /// indicate an attempt to perform request smuggling"; 6.1: the server "MUST close the connection
    /// after responding to such a request".
    a_length_and_chunks:
        post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        => GoesUpLast("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    chunks_and_a_length:
        post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        => GoesUpLast("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    /// The length covers the second request: who believes it does not see that one.
    chunks_and_a_length_beyond_them:
        post("Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n")
        => GoesUpLast("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    chunks_and_a_length_that_is_none:
        post("Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\n")
        => GoesUpLast("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");

    /// RFC 9112 6.3: "If a Transfer-Encoding header field is present in a request and the chunked
    /// transfer coding is not the final encoding, the message body length cannot be determined
    /// reliably".
    a_coding_that_is_almost_chunked:
        post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n") => Refused(400);
    a_coding_that_begins_like_chunked:
        post("Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n") => Refused(400);
    identity: post("Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc") => Refused(400);
    no_coding: post("Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc") => Refused(400);
    chunked_is_not_the_last:
        post("Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n") => Refused(400);
    chunked_is_not_the_last_line:
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n")
        => Refused(400);
    chunked_in_quotes: post("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n") => Refused(400);
    chunked_with_a_parameter:
        post("Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n") => Refused(400);
    /// RFC 9112 6.1: "A sender MUST NOT apply the chunked transfer coding more than once".
    chunked_twice: post("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n") => Refused(400);
    chunked_twice_in_two_lines:
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n")
        => Refused(400);
    chunked_twice_behind_a_byte_beyond_ascii:
        post("Transfer-Encoding: \u{e4}, chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        => Refused(400);
    chunked_behind_another_coding:
        post("Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    chunked_behind_another_coding_in_two_lines:
        post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    chunked_behind_what_is_no_coding:
        post("Transfer-Encoding: x, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: x, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    chunked_behind_an_empty_element:
        post("Transfer-Encoding: , chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: , chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    chunked_in_capitals:
        post("Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    chunked_between_tabs:
        post("Transfer-Encoding:\tchunked\t\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\
            Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    chunked_behind_a_vertical_tab:
        post("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n") => Refused(400);
    chunked_before_a_form_feed:
        post("Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n") => Refused(400);
    chunked_behind_a_space_that_is_not_ascii:
        post("Transfer-Encoding: \u{a0}chunked\r\n\r\n0\r\n\r\n") => Refused(400);
    /// RFC 9112 6.1: "A server or client that receives an HTTP/1.0 message containing a
    /// Transfer-Encoding header field MUST treat the message as if the framing is faulty".
    chunked_in_the_last_century:
        "POST / HTTP/1.0\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        => Refused(400);
    chunked_and_a_length_in_the_last_century:
        "POST / HTTP/1.0\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n\
            Content-Length: 3\r\n\r\nabc" => Refused(400);
    /// RFC 9112 6.3: a request with neither "has a message body length of zero".
    no_length_at_all:
        post("\r\n") => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    /// An underscore is not a hyphen, here; where an upstream takes it for one, this is its reading.
    a_length_with_an_underscore:
        post("Content_Length: 3\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent_Length: 3\r\n\r\n");
}

/// RFC 9110 10.1.1: a client that is answered without a 100 may send its body all the same. Whether
/// that still goes up or not: it is a body, though it reads like a request.
#[tokio::test]
async fn a_body_that_nobody_waited_for() {
    let upstreams = Upstream::listen();
    let proxy = silent().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let head = post(&format!(
        "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        SECOND.len()
    ));
    client.send(&head).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_bytes(&head).await;
    upstream
        .send("HTTP/1.1 417 Expectation Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        .await;
    client.expect_answer(417).await;
    client.send(SECOND).await;
    let heard = until_the_end(upstream).await;
    let whole = [&head, SECOND].concat();
    assert!(
        whole.as_bytes().starts_with(&heard),
        "the upstream heard \"{}\"",
        heard.escape_ascii()
    );
    client.finish().await;
    client.expect_end().await;
    drop(client);
    nobody_else(&proxy, &upstreams).await;
}
