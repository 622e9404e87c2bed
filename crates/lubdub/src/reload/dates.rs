//! Certificates and lists that are out of their time in place of ones that are not: nobody means that.

use std::collections::BTreeMap;
use std::time::SystemTime;

use lubdub_proxy::settings::Settings;
use lubdub_proxy::tls::{Certificate, Moment};

use crate::config::{CertificateSettings, ClientSettings, Config, Mistakes, Part};

/// Notes all that would be so with `next` in place of `used`.
pub(super) fn check(used: &Config, next: &Config, mistakes: &mut Mistakes) {
    let now = Moment::from(SystemTime::now());
    refuse_out_of_date(&used.certificates, &next.certificates, now, mistakes);
    refuse_out_of_date_upstream(&used.settings, &next.settings, now, mistakes);
    refuse_old_lists(&used.clients, &next.clients, now, mistakes);
}

/// Notes listeners' certificates that are.
fn refuse_out_of_date(
    used: &[CertificateSettings],
    next: &[CertificateSettings],
    now: Moment,
    mistakes: &mut Mistakes,
) {
    let shown = |it: &CertificateSettings| it.certificates.get(it.place);
    for next in next {
        let is_same =
            |it: &&CertificateSettings| it.listener == next.listener && it.name == next.name;
        let used = used.iter().find(is_same).map(shown);
        if let Some(wrong) = out_of_date(used.as_ref(), &shown(next), now) {
            let key = next.files.setting(Part::Cert);
            let key = format!("{key} = {:?}", next.files.cert);
            mistakes.about(key, wrong);
        }
    }
}

/// The same for certificates that upstreams are shown.
fn refuse_out_of_date_upstream(
    used: &Settings,
    next: &Settings,
    now: Moment,
    mistakes: &mut Mistakes,
) {
    let used = shown_to_upstreams(used);
    for (upstream, certificate) in shown_to_upstreams(next) {
        let used = used.get(upstream).copied();
        if let Some(wrong) = out_of_date(used, certificate, now) {
            mistakes.about(format!("upstream.{upstream}.certificate"), wrong);
        }
    }
}

/// The same for lists of revoked certificates.
fn refuse_old_lists(
    used: &[ClientSettings],
    next: &[ClientSettings],
    now: Moment,
    mistakes: &mut Mistakes,
) {
    for next in next {
        let used = used.iter().find(|used| used.listener == next.listener);
        let authorities = next.tls.authorities();
        if let (Some(used), Some(authorities), Some(crl)) = (used, authorities, &next.files.crl)
            && let Some((number, since)) = used.older_list(&authorities, now)
        {
            let wrong =
                format!("list {number} of it is out of date since {since}; those in use stay");
            let key = format!("{}.client_crl = {crl:?}", next.files.table);
            mistakes.about(key, wrong);
        }
    }
}

/// What each upstream is shown that is shown anything.
fn shown_to_upstreams(settings: &Settings) -> BTreeMap<&str, &Certificate> {
    let upstreams = settings.routes.iter().map(|route| &route.upstream);
    upstreams
        .filter_map(|upstream| {
            let certificate = upstream.tls.as_ref()?.certificate()?;
            Some((&*upstream.name, certificate))
        })
        .collect()
}

/// What is wrong with `next` in place of `used`, if its dates are.
fn out_of_date(used: Option<&Certificate>, next: &Certificate, now: Moment) -> Option<String> {
    let is_good = |it: &Certificate| it.not_before() <= now && now <= it.not_after();
    let (from, to) = (next.not_before(), next.not_after());
    let is_worse = used.is_some_and(is_good) && !is_good(next);
    is_worse.then(|| format!("is valid from {from} to {to} only; the one in use stays"))
}
