//! A certificate that clients are shown, as what is in files that are watched.

use std::time::{Duration, SystemTime};

use lubdub_metrics::Gauge;
use lubdub_proxy::tls::{Certificate, Moment};
use tracing::{info, warn};

use super::beginning;
use super::watched::Subject;
use crate::config::{CertificateSettings, Digest};

/// A certificate that clients are shown.
#[derive(Debug)]
pub(super) struct Shown {
    settings: CertificateSettings,
    /// Says when it expires.
    expiry: Gauge,
}

// === impl Shown ===

impl Shown {
    pub(super) fn new(settings: CertificateSettings, expiry: Gauge) -> Self {
        let shown = Self { settings, expiry };
        shown.say_expiry(shown.certificate().not_after());
        shown
    }

    fn certificate(&self) -> Certificate {
        self.settings.certificates.get(self.settings.place)
    }

    fn say_expiry(&self, not_after: Moment) {
        self.expiry.set(not_after.timestamp() as f64);
    }
}

impl Subject for Shown {
    type News = Certificate;

    fn watch(&self) -> Option<Duration> {
        self.settings.watch
    }

    fn is_in_place_of(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.settings, &other.settings);
        (&ours.listener, &ours.name) == (&theirs.listener, &theirs.name)
    }

    fn seen(&self) -> Digest {
        self.settings.seen
    }

    fn read(
        &self,
        is_to_be_used: impl FnOnce(Digest) -> bool,
    ) -> (Digest, Option<Result<Certificate, String>>) {
        let contents = self.settings.files.read();
        let seen = contents.digest();
        let news = is_to_be_used(seen).then(|| {
            contents
                .certificate()
                .map_err(|faults| self.settings.files.describe(&faults))
                .and_then(|certificate| in_its_time(certificate, SystemTime::now().into()))
        });
        (seen, news)
    }

    fn take(&mut self, news: Certificate, seen: Digest) -> Result<(), String> {
        let Self { settings, .. } = self;
        let not_after = news.not_after();
        settings.certificates.replace(settings.place, news);
        settings.seen = seen;
        self.say_expiry(not_after);
        Ok(())
    }

    fn tell(&self) {
        let certificate = self.certificate();
        info!(
            listener = %self.settings.listener,
            certificate = %self.settings.name,
            not_after = %certificate.not_after(),
            names = beginning(certificate.names()),
            "a new certificate is in use"
        );
    }

    fn refuse(&self, reason: &str) {
        warn!(
            listener = %self.settings.listener,
            certificate = %self.settings.name,
            reason,
            "the files of a certificate cannot be used; the one before stays in use"
        );
    }

    fn relent(&self) {
        info!(
            listener = %self.settings.listener,
            certificate = %self.settings.name,
            "the files of a certificate hold the one in use again"
        );
    }
}

/// `certificate`, if clients take it at `now`.
fn in_its_time(certificate: Certificate, now: Moment) -> Result<Certificate, String> {
    if certificate.not_after() < now {
        return Err(format!("it expired on {}", certificate.not_after()));
    }
    if certificate.not_before() > now {
        let from = certificate.not_before();
        return Err(format!("it is not valid before {from}"));
    }
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn only_what_is_in_its_time_is_taken() {
        let year = |year| rcgen::date_time_ymd(year, 1, 1);
        let mut params = CertificateParams::new(["chat.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (year(2026), year(2027));
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.self_signed(&key).unwrap().der().clone()];
        let key = key.serialize_der();
        let certificate = Certificate::new(chain, key.try_into().unwrap()).unwrap();
        let (from, to) = (certificate.not_before(), certificate.not_after());
        let at = |moment: Moment, seconds| {
            let now = Moment::from_timestamp(moment.timestamp() + seconds);
            in_its_time(certificate.clone(), now).map(|_| ())
        };
        assert_eq!(
            at(from, -1),
            Err("it is not valid before 2026-01-01T00:00:00Z".to_owned())
        );
        assert_eq!(at(from, 0), Ok(()));
        assert_eq!(at(to, 0), Ok(()));
        assert_eq!(
            at(to, 1),
            Err("it expired on 2027-01-01T00:00:00Z".to_owned())
        );
    }
}
