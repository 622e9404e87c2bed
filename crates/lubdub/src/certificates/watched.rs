//! Files that are in use, and what the looks at them find.

use std::time::SystemTime;

use lubdub_metrics::Gauge;
use lubdub_proxy::tls::{Authorities, Certificate, Moment};
use tokio::time::Instant;
use tracing::{info, warn};

use super::beginning;
use crate::config::{CertificateSettings, ClientSettings, Digest};

/// Files that are in use.
pub(super) struct Watched {
    subject: Subject,
    /// When they are looked at next; `None` for never.
    due: Option<Instant>,
    /// What the last look found, if that is not in use.
    young: Option<Digest>,
    /// What was told that it cannot be used.
    told: Option<Digest>,
    /// That what is in use is out of date was told.
    told_of_age: bool,
}

/// What is in them.
enum Subject {
    /// A certificate that clients are shown, and the gauge that says when it expires.
    Certificate(CertificateSettings, Gauge),
    /// Those who vouch for clients.
    Clients(ClientSettings),
}

/// What is new in the files, and can be used.
enum News {
    Certificate(Certificate),
    Authorities(Authorities),
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// What is in use.
    Same,
    /// What was not there at the look before.
    Young,
    /// Something new, which is in use now.
    New,
    /// What cannot be used, which was told.
    Refused,
    /// The same again.
    Known,
}

// === impl Watched ===

impl Watched {
    pub(super) fn certificate(settings: CertificateSettings, expiry: Gauge, now: Instant) -> Self {
        let due = settings.watch.map(|every| now + every);
        Self::new(Subject::Certificate(settings, expiry), due)
    }

    pub(super) fn clients(settings: ClientSettings, now: Instant) -> Self {
        let due = settings.watch.map(|every| now + every);
        Self::new(Subject::Clients(settings), due)
    }

    fn new(subject: Subject, due: Option<Instant>) -> Self {
        Self {
            subject,
            due,
            young: None,
            told: None,
            told_of_age: false,
        }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn look_if_due(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.look();
            self.tell_of_age(SystemTime::now().into());
            let watch = match &self.subject {
                Subject::Certificate(settings, _) => settings.watch,
                Subject::Clients(settings) => settings.watch,
            };
            self.due = watch.map(|every| now + every);
        }
    }

    /// Whether `other` is the same, read again, and is not what it was.
    pub(super) fn is_renewed_by(&self, other: &Self) -> bool {
        let is_same = match (&self.subject, &other.subject) {
            (Subject::Certificate(ours, _), Subject::Certificate(theirs, _)) => {
                (&ours.listener, &ours.name) == (&theirs.listener, &theirs.name)
            }
            (Subject::Clients(ours), Subject::Clients(theirs)) => ours.listener == theirs.listener,
            (Subject::Certificate(..), _) | (Subject::Clients(_), _) => false,
        };
        is_same && self.subject.seen() != other.subject.seen()
    }

    /// Looks at the files, and takes what is new and good.
    ///
    /// Only what was there at the look before: somebody may be at work on the files. Between two of them
    /// they do not fit, and of a chain that is half written the first part may fit well.
    fn look(&mut self) -> Look {
        let (seen, found) = self.subject.read(self.young);
        if seen == self.subject.seen() {
            self.young = None;
            if self.told.take().is_some() {
                self.subject.relent();
            }
            return Look::Same;
        }
        if self.young.replace(seen) != Some(seen) {
            return Look::Young;
        }
        // What was refused is tried again: its time may have come.
        match found.and_then(|news| self.subject.take(news, seen)) {
            Ok(()) => {
                self.told = None;
                self.told_of_age = false;
                self.tell();
                Look::New
            }
            Err(_) if self.told == Some(seen) => Look::Known,
            Err(reason) => {
                self.told = Some(seen);
                self.subject.refuse(&reason);
                Look::Refused
            }
        }
    }

    /// Says that what is in use is new.
    pub(super) fn tell(&self) {
        match &self.subject {
            Subject::Certificate(settings, _) => {
                let certificate = settings.certificates.get(settings.place);
                info!(
                    listener = %settings.listener,
                    certificate = %settings.name,
                    not_after = %certificate.not_after(),
                    names = beginning(certificate.names()),
                    "a new certificate is in use"
                );
            }
            Subject::Clients(settings) => {
                let authorities = settings.tls.authorities();
                let count = |count: fn(&Authorities) -> usize| authorities.as_ref().map(count);
                info!(
                    listener = %settings.listener,
                    authorities = count(Authorities::count),
                    lists = count(Authorities::lists),
                    "new authorities of clients are in use"
                );
            }
        }
    }

    /// Says once that a list of revoked certificates is out of date: nobody makes new ones any more.
    fn tell_of_age(&mut self, now: Moment) {
        if let Subject::Clients(settings) = &self.subject
            && let Some((_, since)) = settings
                .tls
                .authorities()
                .and_then(|it| it.out_of_date(now))
            && !std::mem::replace(&mut self.told_of_age, true)
        {
            warn!(
                listener = %settings.listener,
                %since,
                "a list of revoked certificates is out of date; it goes on counting"
            );
        }
    }
}

// === impl Subject ===

impl Subject {
    /// What was in the files when they were read for what is in use.
    fn seen(&self) -> Digest {
        match self {
            Self::Certificate(settings, _) => settings.seen,
            Self::Clients(settings) => settings.seen,
        }
    }

    /// What is in the files; and what that means, if it is `young` and new.
    fn read(&self, young: Option<Digest>) -> (Digest, Result<News, String>) {
        let is_old = |seen| young == Some(seen) && seen != self.seen();
        let unread = || Err(String::new());
        match self {
            Self::Certificate(settings, _) => {
                let contents = settings.files.read();
                let seen = contents.digest();
                if !is_old(seen) {
                    return (seen, unread());
                }
                let found = contents
                    .certificate()
                    .map_err(|faults| settings.files.describe(&faults))
                    .and_then(|certificate| in_its_time(certificate, SystemTime::now().into()));
                (seen, found.map(News::Certificate))
            }
            Self::Clients(settings) => {
                let contents = settings.files.read();
                let seen = contents.digest();
                if !is_old(seen) {
                    return (seen, unread());
                }
                let found = contents
                    .authorities()
                    .map_err(|faults| settings.files.describe(&faults))
                    .and_then(|next| no_older(next, settings, SystemTime::now().into()));
                (seen, found.map(News::Authorities))
            }
        }
    }

    /// Puts it in use.
    fn take(&mut self, news: News, seen: Digest) -> Result<(), String> {
        match (self, news) {
            (Self::Certificate(settings, expiry), News::Certificate(certificate)) => {
                say(expiry, certificate.not_after());
                settings.certificates.replace(settings.place, certificate);
                settings.seen = seen;
            }
            (Self::Clients(settings), News::Authorities(authorities)) => {
                let set = settings.tls.set_authorities(authorities);
                set.map_err(|error| error.to_string())?;
                settings.seen = seen;
            }
            (Self::Certificate(..), _) | (Self::Clients(_), _) => {
                unreachable!("it was read from its own files")
            }
        }
        Ok(())
    }

    fn relent(&self) {
        match self {
            Self::Certificate(settings, _) => info!(
                listener = %settings.listener,
                certificate = %settings.name,
                "the files of a certificate hold the one in use again"
            ),
            Self::Clients(settings) => info!(
                listener = %settings.listener,
                "the files of clients' authorities hold those in use again"
            ),
        }
    }

    fn refuse(&self, reason: &str) {
        match self {
            Self::Certificate(settings, _) => warn!(
                listener = %settings.listener,
                certificate = %settings.name,
                reason,
                "the files of a certificate cannot be used; the one before stays in use"
            ),
            Self::Clients(settings) => warn!(
                listener = %settings.listener,
                reason,
                "the files of clients' authorities cannot be used; those before stay in use"
            ),
        }
    }
}

/// Tells when a certificate expires.
pub(super) fn say(expiry: &Gauge, not_after: Moment) {
    expiry.set(not_after.timestamp() as f64);
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

/// `next`, unless it has a list that is out of date while those in use have none: nobody means that.
fn no_older(next: Authorities, used: &ClientSettings, now: Moment) -> Result<Authorities, String> {
    match (next.out_of_date(now), used.tls.authorities()) {
        (Some((number, since)), Some(now_used)) if now_used.out_of_date(now).is_none() => {
            let table = &used.files.table;
            Err(format!(
                "list {number} of {table}.client_crl is out of date since {since}"
            ))
        }
        _ => Ok(next),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use lubdub_metrics::{BuildInfo, Metrics, Names};
    use lubdub_proxy::tls::Certificates;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::config::CertificateFiles;

    /// A certificate and its key, as PEM.
    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["chat.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    /// Files of a certificate that is in use, in a directory that goes with this.
    struct Stage {
        directory: PathBuf,
        files: CertificateFiles,
        watched: Watched,
    }

    impl Stage {
        fn new(test: &str) -> Self {
            let directory = format!("lubdub-{}-{test}", std::process::id());
            let directory = std::env::temp_dir().join(directory);
            fs::create_dir_all(&directory).unwrap();
            let files = CertificateFiles {
                cert_name: "cert",
                table: "listen.a.tls.certificate.b".to_owned(),
                cert: directory.join("cert.pem"),
                key: directory.join("key.pem"),
            };
            let (cert, key) = made();
            fs::write(&files.cert, cert).unwrap();
            fs::write(&files.key, key).unwrap();
            let contents = files.read();
            let seen = contents.digest();
            let certificates = Certificates::new(vec![contents.certificate().unwrap()]);
            let build = BuildInfo {
                version: "0",
                revision: "test",
            };
            let names = Names {
                listeners: &[],
                routes: &[],
                upstreams: &[],
            };
            let metrics = Metrics::new(build, names).unwrap();
            let settings = CertificateSettings {
                listener: "a".into(),
                name: "b".into(),
                files: files.clone(),
                seen,
                certificates,
                place: 0,
                watch: None,
            };
            let expiry = metrics.set_certificates(&[("a", "b")]).remove(0);
            let watched = Watched::certificate(settings, expiry, Instant::now());
            Self {
                directory,
                files,
                watched,
            }
        }

        fn cert(&self, text: &str) {
            fs::write(&self.files.cert, text).unwrap();
        }

        fn key(&self, text: &str) {
            fs::write(&self.files.key, text).unwrap();
        }

        #[track_caller]
        fn expect(&mut self, looks: &[Look]) {
            let seen: Vec<_> = looks.iter().map(|_| self.watched.look()).collect();
            assert_eq!(seen, looks);
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }

    #[test]
    fn what_is_being_written_is_neither_taken_nor_told() {
        let mut stage = Stage::new("written");
        let (cert, key) = made();
        let (authority, _) = made();
        stage.expect(&[Look::Same, Look::Same]);
        stage.cert(&cert);
        stage.expect(&[Look::Young]);
        // Key and certificate fit now, and what is between it and an authority is still missing.
        stage.key(&key);
        stage.expect(&[Look::Young]);
        stage.cert(&format!("{cert}{authority}"));
        stage.expect(&[Look::Young, Look::New, Look::Same, Look::Same]);
    }

    #[test]
    fn what_stays_unusable_is_told_once_for_each_state() {
        let mut stage = Stage::new("unusable");
        let (cert, key) = made();
        stage.cert(&cert);
        let told = [Look::Young, Look::Refused, Look::Known, Look::Known];
        stage.expect(&told);
        stage.cert(&cert[..cert.len() / 2]);
        stage.expect(&told);
        stage.cert(&cert);
        stage.expect(&told);
        stage.key(&key);
        stage.expect(&[Look::Young, Look::New, Look::Same]);
    }

    #[test]
    fn what_was_there_before_may_come_back() {
        let mut stage = Stage::new("back");
        let files = stage.files.clone();
        let before = fs::read_to_string(&files.cert).unwrap();
        for _ in 0..2 {
            fs::remove_file(&files.cert).unwrap();
            stage.expect(&[Look::Young, Look::Refused, Look::Known]);
            stage.cert(&before);
            stage.expect(&[Look::Same]);
        }
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        let mut stage = Stage::new("long");
        stage.key(&"x".repeat(2 << 20));
        stage.expect(&[Look::Young, Look::Refused]);
    }

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
