//! The one declaration of the cases: what each checks, and where that is written. The tests and the
//! list in `docs/topics/transparency.md` come from it.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::{ends, heartbeat, transparency};

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    /// `t01`: transparency, `h01`: heartbeat, `e01`: ends. Never given to another case.
    id: &'static str,
    /// Who can keep the rule.
    pub(crate) asks: Asks,
    /// The rule that it checks.
    pub(crate) rule: &'static str,
    /// Where the rule comes from.
    pub(crate) clause: &'static str,
    /// Plays it; panics if the rule was broken.
    pub(crate) play: fn() -> Playing,
}

/// What a case asks of the intermediary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// To pass on what it gets.
    Relaying,
    /// To have a heartbeat besides.
    Heartbeat,
}

/// A case that is being played.
pub(crate) type Playing = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Case {
    /// Its name on the page.
    pub(crate) fn label(&self) -> String {
        self.id.to_uppercase()
    }
}

/// How long a case may take before it has failed: a proxy that never stops pinging would keep some of
/// them waiting for ever.
const LIMIT: Duration = Duration::from_secs(30);

async fn limited(case: impl Future<Output = ()>) {
    if timeout(LIMIT, case).await.is_err() {
        panic!("it has no end");
    }
}

/// Makes the table, and of each of its lines a test, `cases::ID::FUNCTION`.
macro_rules! cases {
    ($($id:ident $asks:ident $module:ident::$function:ident: $rule:literal, $clause:literal;)*) => {
        /// All cases, in the order of the page.
        pub(crate) const CASES: &[Case] = &[$(Case {
            id: stringify!($id),
            asks: Asks::$asks,
            rule: $rule,
            clause: $clause,
            play: || Box::pin(limited($module::$function())),
        }),*];

        $(mod $id {
            #[tokio::test]
            async fn $function() {
                Box::pin(super::limited(crate::$module::$function())).await;
            }
        })*
    };
}

cases! {
    t01 Relaying transparency::every_kind_of_frame:
        "A direction carries the bytes that it was given, whatever frames they are: every opcode, every reserved bit, every form of a length, every mask key. Only whole pings are added, between frames, and only the pongs to these are taken back",
        "RFC 6455 5.2, 5.4, 5.8";
    t02 Relaying transparency::one_byte_at_a_time:
        "The same when every byte comes in a segment of its own, over many intervals; pings and pongs between fragments stay between those fragments",
        "RFC 6455 5.4, 5.5";
    t03 Relaying transparency::bytes_in_the_segment_of_the_handshake:
        "Bytes in the segment of the request or of the 101 are not lost, though the segment ends inside a frame",
        "RFC 6455 4.1, 4.2.2; RFC 9110 7.8";
    t04 Relaying transparency::the_request_as_the_client_made_it:
        "The request reaches the upstream with its target, and with every end-to-end field: names in their spelling, values, repetitions",
        "RFC 6455 4.1; RFC 9112 3.2, 5";
    t05 Relaying transparency::the_answer_as_the_upstream_made_it:
        "The 101 reaches the client with every end-to-end field of the upstream's, in the same way",
        "RFC 6455 4.2.2; RFC 9112 5";
    t06 Relaying transparency::what_endpoints_negotiate_is_theirs:
        "Offer and choice of extensions and subprotocol pass as they are, and then the frames that make use of them",
        "RFC 6455 9.1, 1.9; RFC 7692 6";
    t07 Relaying transparency::what_breaks_the_protocol_passes_too:
        "Nothing is validated: text that is not UTF-8, masks the wrong way round, fragments out of order and oversized control frames are for the endpoints to refuse",
        "RFC 6455 5.1, 5.4, 5.5, 8.1";
    t08 Relaying transparency::endpoint_pings_go_end_to_end:
        "An endpoint's ping is answered by the other endpoint and by nobody else: no pong before that one's",
        "RFC 6455 5.5.2, 5.5.3";
    t09 Relaying transparency::unsolicited_pongs_pass:
        "Pongs that nobody asked for pass: empty, full, in any form of a length, repeated",
        "RFC 6455 5.5.3";
    t10 Relaying transparency::a_thousand_pings:
        "A thousand pings of an endpoint pass in order, each once, and so do the thousand pongs",
        "RFC 6455 5.5.2, 5.5.3";
    t11 Relaying transparency::a_huge_frame_is_not_collected:
        "The beginning of a frame arrives before its end was sent, whatever length it announces",
        "RFC 6455 5.2, 10.4";
    t12 Relaying transparency::a_zero_window_holds_the_sender_back:
        "An endpoint that does not read holds the other one back; the other direction goes on, and nothing is lost once it reads",
        "RFC 9293 3.8.6";
    h01 Heartbeat heartbeat::own_pings_are_well_made:
        "Both sides get own pings: whole, at most 125 bytes, no reserved bits; masked with fresh keys toward the upstream, unmasked toward the client; no payload twice",
        "RFC 6455 5.1, 5.3, 5.5.2";
    h02 Heartbeat heartbeat::own_pongs_go_no_further:
        "The pong to an own ping is taken back, and late or repeated ones too",
        "RFC 6455 5.5.3";
    h03 Heartbeat heartbeat::other_pongs_pass:
        "Every other pong passes: cut short, longer, changed in a byte, with a payload that is still to come, with that of the other side's own ping",
        "RFC 6455 5.5.3";
    h04 Heartbeat heartbeat::pings_that_look_like_own_ones_pass:
        "An endpoint's ping with a payload like an own one's, or with the very same, goes end to end, and so does its pong",
        "RFC 6455 5.5.2, 5.5.3";
    h05 Heartbeat heartbeat::an_endpoint_that_answers_only_the_latest_ping:
        "Where an endpoint answers an own ping in the place of an earlier one of the other endpoint's, that one gets the pong that it waits for, once",
        "RFC 6455 5.5.3";
    h06 Heartbeat heartbeat::an_endpoint_that_answers_only_the_latest_of_a_thousand:
        "The same behind a thousand pings: the latest of them is answered, and no other",
        "RFC 6455 5.5.3";
    h07 Heartbeat heartbeat::the_pong_to_a_later_ping_is_life:
        "An endpoint that answers only a later ping of the other endpoint's has answered the own pings before it",
        "RFC 6455 5.5.3";
    h08 Heartbeat heartbeat::never_inside_a_frame:
        "A ping that is due inside a frame waits for the end of that frame, however long it takes",
        "RFC 6455 5.2, 5.4";
    h09 Heartbeat heartbeat::not_between_fragments:
        "A ping that is due inside a message waits for the end of that message",
        "RFC 6455 5.4";
    h10 Heartbeat heartbeat::between_fragments_after_the_bounded_wait:
        "But only for `boundary_wait`: then it stands between two fragments",
        "RFC 6455 5.4";
    h11 Heartbeat heartbeat::a_huge_frame_owes_one_ping:
        "However many pings were due during a huge frame, one is owed behind it",
        "RFC 6455 5.5.2";
    h12 Heartbeat heartbeat::a_pong_stuck_behind_data:
        "An endpoint whose pong is stuck behind its own data, and comes in time, is alive, even where only pongs count",
        "RFC 6455 5.4, 5.5.3";
    h13 Heartbeat heartbeat::a_wrong_pong_is_life:
        "An endpoint that answers with a wrong or an empty payload is alive, even where only pongs count",
        "RFC 6455 5.5.3";
    h14 Heartbeat heartbeat::talk_is_life:
        "An endpoint that never pongs and talks is alive",
        "RFC 6455 5.5.2";
    h15 Heartbeat heartbeat::a_side_that_is_not_read_is_not_silent:
        "An endpoint that cannot be heard, because the other one does not read, is not dropped for it",
        "RFC 9293 3.8.6";
    h16 Heartbeat heartbeat::a_zero_window_that_stays_is_found:
        "An endpoint that takes nothing for `write_stall` is dropped, at most a tenth of that later, and the other one is told",
        "RFC 9293 3.8.6.1; RFC 6455 7.4.1";
    h17 Heartbeat heartbeat::a_silent_side_is_dropped_at_its_deadline:
        "A silent endpoint is dropped when its time is up, not before and at most 100 ms later, and the other one is told: 1001 to the upstream, 1011 to the client",
        "RFC 6455 5.5.2, 7.4.1";
    e01 Relaying ends::the_closing_handshake_is_the_endpoints:
        "Closes pass with code and reason, byte for byte, and the FIN behind them",
        "RFC 6455 5.5.1, 7.1";
    e02 Relaying ends::a_close_races_data:
        "Data in the segment of a Close, before or behind it, arrives, and so does what crosses it, own pings or not",
        "RFC 6455 5.5.1, 7.1.6";
    e03 Relaying ends::a_half_close_is_passed_on:
        "A FIN arrives as a FIN, behind all data, and the other direction goes on",
        "RFC 9293 3.6";
    e04 Relaying ends::a_frame_that_a_fin_cuts_short:
        "A frame that a FIN cuts short arrives cut short, to its last byte",
        "RFC 9293 3.6; RFC 6455 7.1.7";
    e05 Relaying ends::a_reset_is_passed_on:
        "A RST arrives as a RST",
        "RFC 9293 3.5.3; RFC 6455 7.1.7";
    e06 Relaying ends::a_reset_behind_a_close:
        "A RST behind an endpoint's Close arrives as a FIN: a RST could destroy that Close before it is read",
        "RFC 6455 7.1.1; RFC 9293 3.5.3";
    e07 Heartbeat ends::a_close_races_a_ping:
        "Behind a Close there is no own ping, and neither is part of the other, however close they come",
        "RFC 6455 5.5.1";
    e08 Heartbeat ends::a_close_races_a_lapse:
        "An endpoint is told once, by the other endpoint's Close or by the intermediary's own",
        "RFC 6455 5.5.1, 7.1.2";
    e09 Heartbeat ends::half_closed_is_not_silent:
        "Behind a FIN there are no own pings, and nobody is dropped for not answering any",
        "RFC 9293 3.6";
    e10 Heartbeat ends::the_close_stands_behind_all_data:
        "An own Close stands behind all that the silent endpoint had said before",
        "RFC 6455 5.5.1";
    e11 Heartbeat ends::no_close_inside_a_frame:
        "A survivor that is left inside a frame is reset: a Close in there would be payload",
        "RFC 6455 5.2, 7.1.7";
    e12 Heartbeat ends::a_close_between_fragments:
        "A survivor that is left inside a message is told at once, between its fragments",
        "RFC 6455 5.4";
    e13 Heartbeat ends::the_close_arrives_though_the_survivor_talks:
        "What the survivor still says is thrown away, and does not destroy the Close that it is told with; it gets no own pings any more",
        "RFC 6455 5.5.1, 7.1.1; RFC 9293 3.6.1";
}
