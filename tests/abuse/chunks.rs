//! Chunks and what is behind them (RFC 9112 7.1). The head of such a request was good, so it may be on
//! its way up when a chunk turns out to be none.

use crate::stage::Fate::{CutOff, GoesUp, GoesUpAndTakes};
use crate::stage::requests;

/// The head of every request here, as it is sent and as it arrives.
const HEAD: &str = "POST / HTTP/1.1\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunked(body: &str) -> String {
    [HEAD, body].concat()
}

/// What arrives: the head and this.
macro_rules! body {
    ($body:literal) => {
        concat!(
            "POST / HTTP/1.1\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n\r\n",
            $body
        )
    };
}

requests! {
    /// RFC 9112 7.1.1: "A recipient MUST ignore unrecognized chunk extensions."
    an_extension:
        chunked("3;a=b\r\nabc\r\n0\r\n\r\n") => GoesUp(body!("3\r\nabc\r\n0\r\n\r\n"));
    an_extension_of_the_last_chunk:
        chunked("3\r\nabc\r\n0;a=b\r\n\r\n") => GoesUp(body!("3\r\nabc\r\n0\r\n\r\n"));
    an_extension_in_quotes:
        chunked("3;a=\"b;\"\r\nabc\r\n0\r\n\r\n") => GoesUp(body!("3\r\nabc\r\n0\r\n\r\n"));
    an_extension_behind_white_space:
        chunked("3 \t;a\r\nabc\r\n0\r\n\r\n") => GoesUp(body!("3\r\nabc\r\n0\r\n\r\n"));
    zeros_before_a_size:
        chunked("0003\r\nabc\r\n000\r\n\r\n") => GoesUp(body!("3\r\nabc\r\n0\r\n\r\n"));
    a_size_in_capitals:
        chunked("A\r\n0123456789\r\n0\r\n\r\n") => GoesUp(body!("A\r\n0123456789\r\n0\r\n\r\n"));
    several_chunks:
        chunked("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")
        => GoesUp(body!("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"));

    /// A line that ends in LF ends there for some and not for others.
    an_extension_with_a_line_feed: chunked("3;a\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    an_extension_with_a_carriage_return: chunked("3;a\rb\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_that_ends_in_a_line_feed: chunked("3\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_that_ends_in_a_carriage_return: chunked("3\rabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_that_overflows: chunked("10000000000000003\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_that_overflows_by_zeros:
        chunked("00000000000000000000003\r\nabc\r\n0\r\n\r\n")
        => GoesUp(body!("3\r\nabc\r\n0\r\n\r\n"));
    a_size_in_the_manner_of_c: chunked("0x3\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_with_a_plus: chunked("+3\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_below_zero: chunked("-3\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_that_is_a_word: chunked("three\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_that_is_missing: chunked("\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_size_behind_a_space: chunked(" 3\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    /// Two readers would disagree whether the size is 3 or 34.
    a_size_with_a_space_within: chunked("3 4\r\nabc\r\n0\r\n\r\n") => CutOff(body!(""));
    a_chunk_that_is_longer_than_it_says:
        chunked("3\r\nabcdef\r\n0\r\n\r\n") => CutOff(body!("3\r\nabc\r\n"));
    /// It swallows the line behind it, and what is next is no size.
    a_chunk_that_is_shorter_than_it_says:
        chunked("5\r\nabc\r\n0\r\n\r\n") => CutOff(body!("5\r\nabc\r\n\r\n"));
    a_chunk_that_ends_in_a_line_feed: chunked("3\r\nabc\n0\r\n\r\n") => CutOff(body!("3\r\nabc\r\n"));
    a_chunk_that_ends_in_two_other_bytes:
        chunked("3\r\nabcxx0\r\n\r\n") => CutOff(body!("3\r\nabc\r\n"));
    a_last_chunk_that_ends_in_a_line_feed: chunked("3\r\nabc\r\n0\n\n") => CutOff(body!("3\r\nabc\r\n"));

    /// RFC 9110 6.5.1: trailers must not be about framing or routing.
    trailers_that_frame_or_address:
        concat!(
            "POST / HTTP/1.1\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n",
            "Trailer: Content-Length, Host, Transfer-Encoding, X-Sum\r\n\r\n",
            "3\r\nabc\r\n0\r\n",
            "Content-Length: 9\r\nHost: other.example\r\nTransfer-Encoding: gzip\r\nX-Sum: 6\r\n\r\n",
        )
        => GoesUp(concat!(
            "POST / HTTP/1.1\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n",
            "Trailer: Content-Length, Host, Transfer-Encoding, X-Sum\r\n\r\n",
            "3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n",
        ));
    trailers_that_nobody_announced:
        chunked("3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n") => GoesUp(body!("3\r\nabc\r\n0\r\n\r\n"));
    a_trailer_that_is_folded: chunked("0\r\nX-Sum: 6\r\n 7\r\n\r\n") => CutOff(body!(""));
    a_trailer_with_a_space_in_its_name: chunked("0\r\nX Sum: 6\r\n\r\n") => CutOff(body!(""));
    a_trailer_without_a_colon: chunked("0\r\nX-Sum\r\n\r\n") => CutOff(body!(""));
    a_trailer_that_ends_in_a_line_feed:
        chunked("0\r\nX-Sum: 6\n\r\n\r\n") => GoesUp(body!("0\r\n\r\n"));
    /// hyper ends trailers at CRLF CRLF and nowhere else, and throws away what is between an end in LF
    /// LF and that one: here, the second request.
    trailers_that_end_in_two_line_feeds:
        chunked("0\r\nX-Sum: 6\n\n") => GoesUpAndTakes(body!("0\r\n\r\n"));
}
