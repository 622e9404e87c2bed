//! `lubdub probe` against backends that answer pings rightly, wrongly, sometimes and never.

mod backend;
mod tls;

use std::net::TcpListener;

use lubdub_testkit::way::Port;

use self::backend::Manner;
use super::program::{Lubdub, Outcome, USAGE};

/// A probe of `manner` with `args`.
fn probe(test: &str, manner: Manner, args: &[&str]) -> Outcome {
    probe_at(test, &format!("ws://{}", backend::start(manner)), args)
}

fn probe_at(test: &str, url: &str, args: &[&str]) -> Outcome {
    let args = [&["probe", url, "--interval", "10ms"], args].concat();
    Lubdub::new(test).run(&args)
}

impl Outcome {
    /// Asserts that the probe failed, with all of these in what it printed.
    #[track_caller]
    fn expect_failed_probe(self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "", "{}", self.stdout);
        self.expect_words(words);
    }

    #[track_caller]
    fn expect_words(&self, words: &[&str]) {
        for words in words {
            assert!(
                self.stdout.contains(words),
                "no {words:?} in\n{}",
                self.stdout
            );
        }
    }

    /// Asserts that there was no probe, and these words of why.
    #[track_caller]
    fn expect_no_probe(self, words: &str) {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        assert!(
            self.stderr.contains(words),
            "no {words:?} in {}",
            self.stderr
        );
    }
}

#[test]
fn right_pongs_are_a_good_probe() {
    let outcome = probe("probe_right", Manner::Right, &["--count", "3"]);
    assert_eq!(
        (outcome.code, &*outcome.stderr),
        (Some(0), ""),
        "{}",
        outcome.stdout
    );
    outcome.expect_words(&[
        "connected to 127.0.0.1:",
        "\nping 1: pong after ",
        "\nping 2: pong after ",
        "\nping 3: pong after ",
        "\npings: 3 sent, 3 answered, 0 late, 0 lost, 0 with a wrong payload, 0 coalesced\n",
        "\nround trip: min ",
        "\nverdict: this backend answers pings. The defaults fit",
    ]);
    assert!(!outcome.stdout.contains("ping 4"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("meanwhile"), "{}", outcome.stdout);
}

#[test]
fn five_pings_are_the_default() {
    let outcome = probe("probe_default", Manner::Right, &[]);
    outcome.expect_words(&["\npings: 5 sent, 5 answered"]);
}

#[test]
fn wrong_payloads_are_seen_and_lead_to_another_enforce() {
    let args = ["--count", "2", "--timeout", "1s"];
    probe("probe_wrong", Manner::Wrong, &args).expect_failed_probe(&[
        "\na pong with another payload, ",
        " ms after ping 1\n",
        "\nping 1: no pong with its payload within 1s\n",
        "\npings: 2 sent, 0 answered, 0 late, 0 lost, 2 with a wrong payload, 0 coalesced\n\
         verdict: this backend sends pongs, but never with the payload of the ping",
        "keepalive.upstream.enforce = \"always\"",
        "\"learned\" would never take hold",
    ]);
    probe("probe_half_wrong", Manner::WrongFromTheSecond, &args).expect_failed_probe(&[
        "\npings: 2 sent, 1 answered, 0 late, 0 lost, 1 with a wrong payload",
        "some with another payload",
    ]);
}

/// "A Pong frame MAY be sent unsolicited" (RFC 6455 5.5.3): the one that comes first need not be
/// the answer.
#[test]
fn heartbeats_of_empty_pongs_do_not_make_right_pongs_wrong() {
    let outcome = probe("probe_beats", Manner::Beats, &["--count", "3"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    outcome.expect_words(&[
        "\nping 3: pong after ",
        "\npings: 3 sent, 3 answered, 0 late, 0 lost, 0 with a wrong payload, 0 coalesced\n",
        "\nmeanwhile: 3 unsolicited pongs\n",
        "\nverdict: this backend answers pings. The defaults fit",
    ]);
}

#[test]
fn pongs_that_come_after_the_last_deadline_are_late_and_not_missing() {
    let args = ["--count", "1", "--timeout", "100ms"];
    probe("probe_slow", Manner::Slow, &args).expect_failed_probe(&[
        "\nping 1: no pong within 100ms\nwaiting for late pongs, 2s at most\nping 1: pong after ",
        " ms, too late\n",
        "\npings: 1 sent, 0 answered, 1 late, 0 lost, 0 with a wrong payload, 0 coalesced\n",
        "answers pings, but slowly: the slowest pong took ",
        " ms more than this probe's --timeout of 100ms. Make sure that keepalive.upstream.timeout is",
    ]);
}

#[test]
fn silence_is_lost_and_leads_to_another_enforce() {
    let args = ["--count", "2", "--timeout", "500ms"];
    probe("probe_never", Manner::Never, &args).expect_failed_probe(&[
        "\nping 1: no pong within 500ms\nping 2: no pong within 500ms\n",
        "\npings: 2 sent, 0 answered, 0 late, 2 lost, 0 with a wrong payload, 0 coalesced\n",
        "does not answer pings (none within 500ms). Set keepalive.upstream.enforce = \"never\"",
    ]);
    probe("probe_chatty", Manner::Chatty, &args).expect_failed_probe(&[
        "\nmeanwhile: 2 data frames\n",
        "signs of life with evidence = \"any\"",
    ]);
}

#[test]
fn a_ping_that_is_forgotten_among_others_is_coalesced_or_lost() {
    // The pong to the third stands for the second, unless the second was given up before.
    let outcome = probe("probe_forgets", Manner::ForgetsOne, &["--count", "3"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    outcome.expect_words(&["ping 2: no pong, but the one to ping 3 stands for it\n"]);

    let args = ["--count", "2", "--timeout", "2s"];
    probe("probe_forgets_last", Manner::ForgetsOne, &args).expect_failed_probe(&[
        "\nping 2: no pong within 2s\n",
        "\npings: 2 sent, 1 answered, 0 late, 1 lost",
        "left 1 of 2 without a pong within 2s",
    ]);
}

#[test]
fn a_backend_that_answers_only_the_latest_is_a_good_one() {
    let outcome = probe("probe_latest", Manner::LatestOfThree, &["--count", "6"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    outcome.expect_words(&[
        "ping 1: no pong, but the one to ping 3 stands for it\n",
        "ping 5: no pong, but the one to ping 6 stands for it\n",
        "\npings: 6 sent, 2 answered, 0 late, 0 lost, 0 with a wrong payload, 4 coalesced\n",
        "RFC 6455 5.5.3 allows",
    ]);
}

#[test]
fn what_the_server_says_meanwhile_is_counted_and_its_pings_are_answered() {
    let outcome = probe("probe_talks", Manner::Talks, &["--count", "1"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    outcome.expect_words(&["\nmeanwhile: 2 data frames, 1 foreign ping\n"]);
}

#[test]
fn an_end_by_the_server_is_told_with_its_code() {
    probe("probe_closes", Manner::Closes, &[]).expect_failed_probe(&[
        "\nthe server closed with 1008\n",
        "verdict: none: this backend answered pings before its connection ended",
    ]);
    probe("probe_hangs_up", Manner::HangsUp, &[]).expect_failed_probe(&[
        "\nthe connection broke: the server ended it without a Close\n",
        "verdict: none",
    ]);
}

#[test]
fn a_refused_handshake_is_told_with_status_and_first_line() {
    let address = backend::start(Manner::Picky);
    let url = format!("ws://{address}/other?secret=1");
    probe_at("probe_refused", &url, &[]).expect_no_probe(&format!(
        "lubdub: ws://{address}/other: the handshake was refused: 403 Forbidden: no such room\n"
    ));
    probe("probe_bad_accept", Manner::BadAccept, &[])
        .expect_no_probe("no right Sec-WebSocket-Accept; lubdub answers 502 then");
}

#[test]
fn path_query_header_and_subprotocol_reach_the_backend() {
    let url = format!("ws://{}/room?x=1", backend::start(Manner::Picky));
    let outcome = probe_at(
        "probe_picky",
        &url,
        &[
            "--header",
            "Origin: https://a.example",
            "--subprotocol",
            "talk",
            "--subprotocol",
            "chat",
        ],
    );
    assert_eq!(
        outcome.code,
        Some(0),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    outcome.expect_words(&[", subprotocol chat\n"]);
}

#[test]
fn nobody_there_is_told() {
    let port = Port::hold().expect("a free port");
    let address = port.address;
    probe_at("probe_nobody", &format!("ws://{address}"), &[])
        .expect_no_probe(&format!("lubdub: ws://{address}/: cannot connect: "));
}

#[test]
fn a_backend_that_accepts_and_says_nothing_is_told_with_its_url_and_the_step() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let args = ["--timeout", "50ms"];
    probe_at("probe_mute", &format!("ws://{address}/x?secret=1"), &args).expect_no_probe(&format!(
        "lubdub: ws://{address}/x: no answer to the handshake: nothing within 50ms\n"
    ));
}

#[test]
fn what_cannot_be_probed_is_wrong_usage() {
    for args in [
        &[][..],
        &["tcp://h"],
        &["ws://h#x"],
        &["ws://h", "--count", "0"],
        &["ws://h", "--timeout", "0s"],
        &["ws://h", "--header", "Upgrade: x"],
        // No such file, and no such host: neither is looked for.
        &["ws://h", "--ca", "none.pem"],
        &["chat", "--ca", "none.pem"],
        &["chat:9000"],
    ] {
        let outcome = Lubdub::new("probe_usage").run(&[&["probe"], args].concat());
        assert_eq!(outcome.code, USAGE, "{args:?}: {}", outcome.stderr);
    }
}
