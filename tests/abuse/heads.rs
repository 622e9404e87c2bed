//! Lines of a head: where they end, what is a name, what is a value, and to whom the request goes
//! (RFC 9112 2.2, 3, 5).

use crate::stage::Fate::{Dropped, GoesUp, GoesUpLast, Refused};
use crate::stage::{get, requests};

requests! {
    /// RFC 9112 5.2: a server "MUST either reject the message by sending a 400 (Bad Request) [...] or
    /// replace each received obs-fold with one or more SP octets".
    a_folded_value: get("X-A: 1\r\n 2\r\n\r\n") => Refused(400);
    a_folded_value_by_a_tab: get("X-A: 1\r\n\tContent-Length: 9\r\n\r\n") => Refused(400);
    a_folded_transfer_encoding:
        get("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n") => Refused(400);
    /// RFC 9112 2.2: "reject the message as invalid or consume each whitespace-preceded line without
    /// further processing".
    a_first_field_behind_white_space:
        "GET / HTTP/1.1\r\n X-A: 1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);

    /// RFC 9112 2.2: "A recipient of such a bare CR MUST consider that element to be invalid or
    /// replace each bare CR with SP".
    a_carriage_return_in_a_value: get("X-A: 1\rX-B: 2\r\n\r\n") => Refused(400);
    a_carriage_return_before_the_end_of_a_line: get("X-A: 1\r\r\n\r\n") => Refused(400);
    a_carriage_return_in_a_name: get("X-\rA: 1\r\n\r\n") => Refused(400);
    a_carriage_return_in_the_target:
        "GET /\r HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_carriage_return_for_the_end_of_the_head: get("X-A: 1\r\n\r\r\n\r\n") => Refused(400);
    /// RFC 9112 2.2: "a recipient MAY recognize a single LF as a line terminator". What leaves has
    /// CRLF, so nobody behind can be of another opinion.
    line_feeds_for_the_ends_of_lines:
        "GET / HTTP/1.1\nHost: lubdub.example\nX-A: 1\n\n"
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-A: 1\r\n\r\n");
    a_line_feed_that_ends_one_field:
        get("X-A: 1\nX-B: 2\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-A: 1\r\nX-B: 2\r\n\r\n");
    a_line_feed_that_ends_the_head:
        get("X-A: 1\r\n\n") => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-A: 1\r\n\r\n");
    /// RFC 9112 2.2: "a server [...] SHOULD ignore at least one empty line (CRLF) received prior to
    /// the request-line".
    empty_lines_before_the_request:
        "\r\n\n\r\nGET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n"
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");

    /// RFC 9112 5.1: "No whitespace is allowed between the field name and colon. [...] A server MUST
    /// reject, with a response status code of 400 (Bad Request), any received request message that
    /// contains whitespace between a header field name and colon."
    a_space_before_the_colon: get("Content-Length : 3\r\n\r\nabc") => Refused(400);
    a_tab_before_the_colon: get("Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n") => Refused(400);
    a_space_in_a_name: get("X A: 1\r\n\r\n") => Refused(400);
    a_name_that_is_empty: get(": 1\r\n\r\n") => Refused(400);
    a_name_without_a_colon: get("X-A\r\n\r\n") => Refused(400);
    a_name_with_a_byte_beyond_ascii: get("X-\u{c4}: 1\r\n\r\n") => Refused(400);
    a_name_with_a_nul: get("X-A\0: 1\r\n\r\n") => Refused(400);
    a_name_with_a_parenthesis: get("X-(A): 1\r\n\r\n") => Refused(400);
    a_line_that_is_a_request: get("GET /second HTTP/1.1\r\n\r\n") => Refused(400);

    a_nul_in_a_value: get("X-A: 1\x002\r\n\r\n") => Refused(400);
    a_nul_behind_a_length: get("Content-Length: 3\0\r\n\r\nabc") => Refused(400);
    an_escape_in_a_value: get("X-A: \x1b[2J\r\n\r\n") => Refused(400);
    a_delete_in_a_value: get("X-A: \x7f\r\n\r\n") => Refused(400);
    /// RFC 9110 5.5: "Field values containing CR, LF, or NUL characters are invalid"; a tab is white
    /// space.
    a_tab_in_a_value:
        get("X-A: 1\t2\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-A: 1\t2\r\n\r\n");
    white_space_around_a_value:
        get("X-A:\t 1 \t\r\nX-B:2\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-A: 1\r\nX-B: 2\r\n\r\n");
    a_value_that_is_empty:
        get("X-A:\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-A:\r\n\r\n");

    /// RFC 9112 3: "recipients MAY instead parse on whitespace-delimited word boundaries": whoever
    /// does not, refuses.
    two_spaces_before_the_target: "GET  / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    two_spaces_behind_the_target: "GET /  HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_tab_before_the_target: "GET\t/ HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_space_in_the_target: "GET /a b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_space_before_the_method: " GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_space_behind_the_version: "GET / HTTP/1.1 \r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    /// RFC 9112 3.2: "A recipient of an invalid request-line SHOULD respond with either a 400 (Bad
    /// Request) error or a 301 (Moved Permanently) redirect". Browsers escape these, others may not:
    /// docs/topics/transparency.md says which are refused.
    a_greater_than_in_the_query:
        "GET /api/v1/query?query=up>0 HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_less_than_in_the_path: "GET /a<b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_backtick_in_the_path: "GET /a`b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_backtick_in_the_query:
        "GET /?a`b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n"
        => GoesUp("GET /?a`b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    a_quotation_mark_in_the_query:
        "GET /?a\"b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_quotation_mark_in_the_path:
        "GET /a\"b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n"
        => GoesUp("GET /a\"b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    every_other_mark_in_the_target:
        "GET /{|}^\\[]~'?{|}^\\[]~' HTTP/1.1\r\nHost: lubdub.example\r\n\r\n"
        => GoesUp("GET /{|}^\\[]~'?{|}^\\[]~' HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    utf_8_in_the_target:
        "GET /\u{e4}?\u{f6} HTTP/1.1\r\nHost: lubdub.example\r\n\r\n"
        => GoesUp("GET /\u{e4}?\u{f6} HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    another_encoding_in_the_target:
        b"GET /\xe4 HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    another_encoding_in_the_query:
        b"GET /?\xf6 HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_request_without_a_version: "GET /\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_version_to_come: "GET / HTTP/1.2\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_version_in_small_letters: "GET / http/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    /// hyper ends it without a word: whoever speaks HTTP/2 would not understand any.
    the_preface_of_http_2: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" => Dropped;
    a_fragment_in_the_target:
        "GET /a#b HTTP/1.1\r\nHost: lubdub.example\r\n\r\n"
        => GoesUp("GET /a HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    /// RFC 9110 7.7: a proxy must not "modify the absolute-path and query parts", so that what is
    /// compared with a path behind is what was compared with it here.
    a_target_with_a_path_that_climbs:
        "GET /a/../..//%2e%2e/b?c=../d HTTP/1.1\r\nHost: lubdub.example\r\n\r\n"
        => GoesUp("GET /a/../..//%2e%2e/b?c=../d HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");
    /// RFC 9112 3.2.3: "The "authority-form" of request-target is only used for CONNECT requests".
    a_target_that_is_an_authority: "GET second HTTP/1.1\r\nHost: lubdub.example\r\n\r\n" => Refused(400);
    a_tunnel: "CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n" => Refused(400);
    the_last_century_ends_its_connections:
        "GET / HTTP/1.0\r\nHost: lubdub.example\r\n\r\n"
        => GoesUpLast("GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n");

    /// RFC 9112 3.2.2: in absolute form "the proxy MUST ignore the received Host header field (if any)
    /// and instead replace it with the host information of the request-target".
    an_absolute_target_and_another_host:
        "GET http://real.example/a HTTP/1.1\r\nHost: other.example\r\n\r\n"
        => GoesUp("GET /a HTTP/1.1\r\nHost: real.example\r\n\r\n");
    an_absolute_target_and_two_other_hosts:
        "GET http://real.example/a HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n"
        => GoesUp("GET /a HTTP/1.1\r\nHost: real.example\r\n\r\n");
    an_absolute_target_without_a_path:
        "GET http://real.example HTTP/1.1\r\nHost: other.example\r\n\r\n"
        => GoesUp("GET / HTTP/1.1\r\nHost: real.example\r\n\r\n");
    an_absolute_target_with_credentials:
        "GET http://a:b@real.example/ HTTP/1.1\r\nHost: real.example\r\n\r\n" => Refused(400);
    /// RFC 9112 3.2: 400 "to any HTTP/1.1 request message that lacks a Host header field and to any
    /// request message that contains more than one Host header field line".
    no_host: "GET / HTTP/1.1\r\n\r\n" => Refused(400);
    two_hosts: get("Host: other.example\r\n\r\n") => Refused(400);
    two_hosts_that_agree: get("Host: lubdub.example\r\n\r\n") => Refused(400);
    a_host_that_is_a_list:
        "GET / HTTP/1.1\r\nHost: lubdub.example, other.example\r\n\r\n" => Refused(400);
    a_host_with_a_path: "GET / HTTP/1.1\r\nHost: lubdub.example/a\r\n\r\n" => Refused(400);
}

/// hyper counts them; the Host of every request here is one of them.
#[tokio::test]
async fn a_hundred_fields_pass_and_one_more_does_not() {
    let fields = |count: usize| {
        get(&(0..count)
            .map(|n| format!("X-{n}: 1\r\n"))
            .collect::<String>())
    };
    let most = fields(99) + "\r\n";
    let arrives: &'static str = most.clone().leak();
    crate::stage::play(most.as_bytes(), GoesUp(arrives)).await;
    let more = fields(100) + "\r\n";
    crate::stage::play(more.as_bytes(), Refused(431)).await;
}
