//! Ends of pairs that surprise whoever is told of them.

use lubdub_wire::CloseCode;

use super::super::duration;
use super::super::leaf::Leaf;
use super::super::read;
use super::{Findings, Subject, blamed, leaf, raw};

/// What a Close is to make of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A client that connects again.
    Return,
    /// A backend that knows of a failure.
    Report,
    /// Nothing in particular.
    Tell,
}

pub(super) fn bad_gateway(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for terms in &subject.terms {
        for (leaf, _) in codes(&terms.set.close) {
            if read::close_code(&leaf.value) == Ok(CloseCode::BAD_GATEWAY) {
                findings.warn(
                    leaf,
                    "gorilla/websocket does not know this code, and reports a protocol error in \
                     its place",
                );
            }
        }
    }
}

pub(super) fn normal(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for terms in &subject.terms {
        for (leaf, purpose) in codes(&terms.set.close) {
            if read::close_code(&leaf.value) != Ok(CloseCode::NORMAL) {
                continue;
            }
            match purpose {
                Purpose::Return => findings.warn(
                    leaf,
                    "says that all is done, and some clients do not connect again after it",
                ),
                Purpose::Report => findings.warn(
                    leaf,
                    "says that all is done, and the backend takes a failure for a goodbye",
                ),
                Purpose::Tell => {}
            }
        }
    }
}

pub(super) fn drain_short(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let drain = &subject.resolved.settings.drain;
    for terms in &subject.terms {
        let needed = drain.spread + terms.meant.close;
        if drain.timeout < needed {
            let set = &subject.raw.drain;
            findings.warn(
                blamed([&set.timeout, &set.spread, &terms.set.timeouts.close]),
                format!(
                    "drain.timeout is {}, but drain.spread and timeouts.close are {} together: \
                     the last pairs are cut without a Close handshake",
                    duration::written(drain.timeout),
                    duration::written(needed)
                ),
            );
        }
    }
}

/// Every code of a Close, and what it is for.
fn codes(close: &raw::Close) -> [(&Leaf, Purpose); 14] {
    use Purpose::{Report, Return, Tell};
    let (client, upstream) = (&close.to_client, &close.to_upstream);
    [
        (&client.upstream_lapsed, Return),
        (&client.upstream_stalled, Return),
        (&client.drain, Return),
        (&client.lifetime, Return),
        (&client.data_idle, Tell),
        (&client.frame_too_big, Tell),
        (&client.limit, Tell),
        (&upstream.client_lapsed, Report),
        (&upstream.client_stalled, Report),
        (&upstream.drain, Tell),
        (&upstream.lifetime, Tell),
        (&upstream.data_idle, Tell),
        (&upstream.frame_too_big, Tell),
        (&upstream.limit, Tell),
    ]
    .map(|(set, purpose)| (leaf(set), purpose))
}
