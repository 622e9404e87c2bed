//! Certificates of clients that are not asked for, or that nobody can have.

use super::super::clients::ClientSettings;
use super::super::raw;
use super::{ClientAuth, Findings, Leaf, Subject, read};

pub(super) fn client_auth_off(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (name, listen) in &subject.raw.listen {
        let Some(tls) = &listen.tls else { continue };
        let auth = tls.client_auth.as_ref();
        if auth.is_none_or(|auth| read::choice(&auth.value) != Ok(ClientAuth::Off)) {
            continue;
        }
        let set = [&tls.client_ca, &tls.client_crl, &tls.subject_header];
        for set in set.into_iter().flatten() {
            let reason = format!(
                "has no effect: nobody is asked for a certificate, for listen.{name}.tls.client_auth \
                 is \"off\""
            );
            findings.warn(set, reason);
        }
    }
}

pub(super) fn client_ca_weak(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for settings in &subject.resolved.clients {
        let remarks = remarks(settings);
        for (name, bits) in remarks.weak {
            let reason = format!(
                "nobody is let in for whom {name:?} vouches: it has an RSA key of {bits} bits, and {} are \
                 the fewest that are believed",
                lubdub_proxy::tls::SHORTEST_RSA
            );
            findings.warn(file(subject, settings, |tls| &tls.client_ca), reason);
        }
    }
}

pub(super) fn client_crl_missing(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for settings in &subject.resolved.clients {
        for name in remarks(settings).without_list {
            let reason = format!(
                "has no list of {name:?}, which is in client_ca: nobody is let in for whom that vouches"
            );
            findings.warn(file(subject, settings, |tls| &tls.client_crl), reason);
        }
    }
}

pub(super) fn client_crl_old(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for settings in &subject.resolved.clients {
        let authorities = settings.tls.authorities();
        let old = authorities.and_then(|it| it.out_of_date(subject.machine.now));
        if let Some((number, since)) = old {
            let reason = format!(
                "list {number} of it is out of date since {since}: what was revoked after it was made is \
                 let in"
            );
            findings.warn(file(subject, settings, |tls| &tls.client_crl), reason);
        }
    }
}

fn remarks(settings: &ClientSettings) -> lubdub_proxy::tls::Remarks {
    let authorities = settings.tls.authorities();
    authorities
        .map(|it| it.remarks().clone())
        .unwrap_or_default()
}

/// The value that names one of its files.
fn file<'a>(
    subject: &'a Subject<'_>,
    settings: &ClientSettings,
    which: impl Fn(&raw::Tls) -> &Option<Leaf>,
) -> &'a Leaf {
    let listen = subject.raw.listen.get(&*settings.listener);
    let tls = listen.and_then(|listen| listen.tls.as_ref());
    let set = tls.and_then(|tls| which(tls).as_ref());
    set.expect("what was resolved was set")
}
