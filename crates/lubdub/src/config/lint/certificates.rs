//! Certificates that are refused, soon will be, or are never shown, and those that nobody looks at.

use std::collections::BTreeSet;
use std::time::Duration;

use lubdub_proxy::tls::{Certificate, Moment};

use super::super::certificate::CertificateSettings;
use super::super::{duration, read};
use super::{Findings, Leaf, Subject, leaf};

/// So long before its end a certificate should have been renewed.
const SOON: i64 = 14 * DAY;
/// What does not live long is renewed late in its life: with more than this part of it left, nothing is
/// amiss.
const PART: i64 = 3;

const DAY: i64 = 24 * 60 * 60;

pub(super) fn certificate_expiry(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for settings in &subject.resolved.certificates {
        let certificate = settings.certificates.get(settings.place);
        if let Some(reason) = amiss(&certificate, "clients refuse", subject.machine.now) {
            findings.warn(cert(subject, settings), reason);
        }
    }
    for route in &subject.resolved.settings.routes {
        let upstream = &route.upstream;
        let tls = upstream.tls.as_ref();
        let Some(certificate) = tls.and_then(|tls| tls.certificate()) else {
            continue;
        };
        if let Some(reason) = amiss(certificate, "the backend refuses", subject.machine.now) {
            let set = &subject.raw.upstream[&*upstream.name];
            findings.warn(leaf(&set.certificate), reason);
        }
    }
}

pub(super) fn upstream_unverified(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for set in subject.raw.upstream.values() {
        let set = leaf(&set.insecure_skip_verify);
        if read::switch(&set.value) == Ok(true) {
            findings.warn(
                set,
                "whoever is between lubdub and the backend can pass for it, read everything and change \
                 it: the certificate is not looked at",
            );
        }
    }
}

pub(super) fn certificate_unused(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for settings in &subject.resolved.certificates {
        let certificates = &settings.certificates;
        let names = |place| certificates.get(place).names().to_vec();
        let earlier: BTreeSet<_> = (0..settings.place).flat_map(names).collect();
        let own = names(settings.place);
        // The first is shown to whoever asks for no name that any has.
        if settings.place == 0 || !own.iter().all(|name| earlier.contains(name)) {
            continue;
        }
        let reason = if own.is_empty() {
            "is never shown: it has no host name in its subjectAltName (a common name does not count), \
             and only the first certificate of a listener does without"
        } else {
            "is never shown: certificates before it have all of its names"
        };
        findings.warn(cert(subject, settings), reason);
    }
}

/// The value that names the file of a certificate.
fn cert<'a>(subject: &'a Subject<'_>, settings: &CertificateSettings) -> &'a Leaf {
    let listen = subject.raw.listen.get(&*settings.listener);
    let set = listen
        .and_then(|listen| listen.tls.as_ref())
        .and_then(|tls| tls.certificate.get(&*settings.name))
        .expect("what was resolved was set");
    leaf(&set.cert)
}

/// What is wrong with the dates of `certificate`, if anything is.
fn amiss(certificate: &Certificate, refuse: &str, now: Moment) -> Option<String> {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    if to < now {
        return Some(format!("expired on {to}, and {refuse} it"));
    }
    if from > now {
        return Some(format!(
            "is not valid before {from}, and {refuse} it until then; is the clock of this machine \
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
