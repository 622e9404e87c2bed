//! What a probe has found, in plain words, and what follows for the configuration.

use std::time::Duration;

use super::Probe;
use super::ledger::{Rtt, Summary};
use super::rounds::{End, Outcome};
use crate::config;
use crate::plural::plural;

/// The numbers and the verdict.
pub(super) fn describe(outcome: &Outcome, probe: &Probe) -> String {
    let Summary {
        sent,
        right,
        wrong,
        coalesced,
        late,
        lost,
        unasked,
        rtt,
        ..
    } = outcome.summary;
    let mut lines = Vec::new();
    match &outcome.end {
        End::Done => {}
        End::Closed(Some(code)) => lines.push(format!("the server closed with {code}")),
        End::Closed(None) => lines.push("the server closed without a code".to_owned()),
        End::Broken(words) => lines.push(format!("the connection broke: {words}")),
    }
    lines.push(String::new());
    lines.push(format!(
        "pings: {sent} sent, {right} answered, {late} late, {lost} lost, {wrong} with a wrong payload, \
         {coalesced} coalesced"
    ));
    if let Some(Rtt { min, avg, max }) = rtt {
        let [min, avg, max] = [min, avg, max].map(millis);
        lines.push(format!("round trip: min {min}, avg {avg}, max {max}"));
    }
    let meanwhile = [
        counted(outcome.meanwhile.data_frames, "data frame"),
        counted(outcome.meanwhile.pings, "foreign ping"),
        counted(u64::from(unasked), "unsolicited pong"),
    ];
    let meanwhile: Vec<_> = meanwhile.into_iter().flatten().collect();
    if !meanwhile.is_empty() {
        lines.push(format!("meanwhile: {}", meanwhile.join(", ")));
    }
    lines.push(format!("verdict: {}", verdict(outcome, probe)));
    lines.join("\n") + "\n"
}

/// So many of what `one` is called; `None` if there are none.
fn counted(count: u64, one: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {}", plural(count, one)))
}

/// A round trip as people read it.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn verdict(outcome: &Outcome, probe: &Probe) -> String {
    let summary = &outcome.summary;
    let answered = summary.right + summary.coalesced + summary.late;
    if outcome.end != End::Done {
        let answered = match (answered, summary.wrong) {
            (0, 0) => "did not answer a ping",
            (0, _) => "answered pings with another payload than theirs",
            _ => "answered pings",
        };
        return format!(
            "none: this backend {answered} before its connection ended; it may expect something \
             (a login, a subprotocol, data) that a probe does not send (--subprotocol, --header)"
        );
    }
    if let Some(latest) = summary.latest {
        return too_late(latest, summary, probe);
    }
    match (answered, summary.wrong, summary.lost) {
        (0, _, 1..) => return not_answered(outcome, probe),
        (0, ..) => return never_right(),
        (_, _, 1..) => return some_lost(summary, probe),
        (_, 1.., 0) => {
            return "this backend answers pings, some with another payload than theirs. Any pong \
                    is a sign of life: the defaults fit (keepalive.upstream.enforce = \"always\"), \
                    but not every round trip can be measured"
                .to_owned();
        }
        (_, 0, 0) => {}
    }
    if summary.coalesced > 0 {
        return "this backend answers pings, of several only the latest, which RFC 6455 5.5.3 \
                allows and lubdub expects. The defaults fit (keepalive.upstream.enforce = \
                \"always\")"
            .to_owned();
    }
    "this backend answers pings. The defaults fit (keepalive.upstream.enforce = \"always\")"
        .to_owned()
}

fn too_late(latest: Duration, summary: &Summary, probe: &Probe) -> String {
    let never = match summary.lost {
        0 => String::new(),
        lost => format!(" (and {lost} never came)"),
    };
    format!(
        "this backend answers pings, but slowly: the slowest pong took {}{never}, {} more than this \
         probe's --timeout of {}. Make sure that keepalive.upstream.timeout is a few times as long \
         as the slowest pong",
        millis(latest),
        millis(latest.saturating_sub(probe.timeout)),
        config::written(probe.timeout)
    )
}

fn not_answered(outcome: &Outcome, probe: &Probe) -> String {
    let timeout = config::written(probe.timeout);
    let what = match outcome.summary.wrong {
        0 => "none",
        _ => "at most with another payload than theirs, and some not even so",
    };
    let data = if outcome.meanwhile.data_frames > 0 {
        " Its data are signs of life with evidence = \"any\", but only for as long as they come."
    } else {
        ""
    };
    format!(
        "this backend does not answer pings ({what} within {timeout}).{data} Set \
         keepalive.upstream.enforce = \"never\" for it, or \"learned\" if others behind the same \
         route do answer: the pings still keep the path open, and nobody is dropped for silence"
    )
}

fn never_right() -> String {
    "this backend sends pongs, but never with the payload of the ping (RFC 6455 5.5.3). They are \
     signs of life all the same: keep keepalive.upstream.enforce = \"always\", with either \
     evidence. enforce = \"learned\" would never take hold, and round trips cannot be measured"
        .to_owned()
}

fn some_lost(summary: &Summary, probe: &Probe) -> String {
    let timeout = config::written(probe.timeout);
    format!(
        "this backend answers pings, but left {} of {} without a pong within {timeout}. A lapse needs \
         as long a silence as keepalive.upstream.timeout: make sure that it is longer than such \
         gaps, or observe first (keepalive.upstream.enforce = \"never\")",
        summary.lost, summary.sent
    )
}
