//! Certificates that clients refuse, or soon will.

use std::time::Duration;

use lubdub_proxy::tls::{Certificate, Moment};

use super::super::duration;
use super::{Findings, Subject, leaf};

/// So long before its end a certificate should have been renewed.
const SOON: i64 = 14 * DAY;
/// What does not live long is renewed late in its life: with more than this part of it left, nothing is
/// amiss.
const PART: i64 = 3;

const DAY: i64 = 24 * 60 * 60;

pub(super) fn certificate_expiry(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for settings in &subject.resolved.certificates {
        let certificate = settings.certificates.get(settings.place);
        let tls = subject.raw.listen.get(&*settings.listener);
        let set = tls
            .and_then(|listen| listen.tls.as_ref())
            .and_then(|tls| tls.certificate.get(&*settings.name))
            .expect("what was resolved was set");
        if let Some(reason) = amiss(&certificate, subject.machine.now) {
            findings.warn(leaf(&set.cert), reason);
        }
    }
}

/// What is wrong with the dates of `certificate`, if anything is.
fn amiss(certificate: &Certificate, now: Moment) -> Option<String> {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    if to < now {
        return Some(format!("expired on {to}, and clients refuse it"));
    }
    if from > now {
        return Some(format!(
            "is not valid before {from}, and clients refuse it until then; is the clock of this machine \
             right?"
        ));
    }
    let left = to.timestamp() - now.timestamp();
    let life = to.timestamp().saturating_sub(from.timestamp());
    (left < SOON.min(life / PART)).then(|| format!("expires on {to}, in {}", in_days(left)))
}

/// So many seconds, of which only the days are told if there are any.
fn in_days(seconds: i64) -> String {
    let exact = if seconds < DAY {
        seconds
    } else {
        seconds - seconds % DAY
    };
    duration::written(Duration::from_secs(exact.unsigned_abs()))
}
