//! What a probe has found, in plain words, and what follows for the configuration.

use std::time::Duration;

use super::Probe;
use super::ledger::{Rtt, Summary};
use super::rounds::{End, Outcome};
use crate::config;

/// The numbers and the verdict.
pub(super) fn describe(outcome: &Outcome, probe: &Probe) -> String {
    let Summary {
        sent,
        right,
        wrong,
        coalesced,
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
        "pings: {sent} sent, {right} answered, {lost} lost, {wrong} with a wrong payload, {coalesced} coalesced"
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
    match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {one}s")),
    }
}

/// A round trip as people read it.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

fn verdict(outcome: &Outcome, probe: &Probe) -> String {
    let summary = &outcome.summary;
    let answered = summary.right + summary.coalesced;
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
    if summary.lost == summary.sent {
        return not_answered(outcome, probe);
    }
    if answered == 0 {
        return "this backend answers pings, but not with their payload (RFC 6455 5.5.3). Its pongs \
                are signs of life all the same: keep keepalive.upstream.enforce = \"always\", with \
                either evidence. enforce = \"learned\" would never take hold, and round trips \
                cannot be measured"
            .to_owned();
    }
    if summary.lost > 0 {
        return some_lost(summary, probe);
    }
    if summary.wrong > 0 {
        return "this backend answers pings, some with another payload than theirs. Any pong is a \
                sign of life: the defaults fit (keepalive.upstream.enforce = \"always\"), but not \
                every round trip can be measured"
            .to_owned();
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

fn not_answered(outcome: &Outcome, probe: &Probe) -> String {
    if let Some(late) = outcome.summary.late {
        return too_late(late);
    }
    let timeout = config::written(probe.timeout);
    let data = if outcome.meanwhile.data_frames > 0 {
        " Its data are signs of life with evidence = \"any\", but only for as long as they come."
    } else {
        ""
    };
    format!(
        "this backend does not answer pings (none within {timeout}).{data} Set \
         keepalive.upstream.enforce = \"never\" for it, or \"learned\" if others behind the same \
         route do answer: the pings still keep the path open, and nobody is dropped for silence"
    )
}

fn some_lost(summary: &Summary, probe: &Probe) -> String {
    if let Some(late) = summary.late {
        return too_late(late);
    }
    let timeout = config::written(probe.timeout);
    format!(
        "this backend answers pings, but left {} of {} without a pong within {timeout}. A lapse needs \
         as long a silence as keepalive.upstream.timeout: make sure that it is longer than such \
         gaps, or observe first (keepalive.upstream.enforce = \"never\")",
        summary.lost, summary.sent
    )
}

fn too_late(late: Duration) -> String {
    format!(
        "this backend answers pings, but slowly: the slowest pong took {}. Make \
         keepalive.upstream.timeout a few times as long",
        millis(late)
    )
}
