//! Keeps the certificates that clients are shown as new as their files.
//!
//! The files are looked at every `listen.NAME.tls.watch`, on a thread that serves nobody, and what they
//! hold is compared with what was read last: so it does not matter whether a file was written anew,
//! moved there, or is a symbolic link that leads elsewhere now. What cannot be used changes nothing.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::SystemTime;

use lubdub_metrics::{Gauge, InvalidNames, Metrics};
use lubdub_proxy::tls::{Certificate, Moment};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::{CertificateSettings, Digest};

/// The thread that looks at the files; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    metrics: Arc<Metrics>,
    thread: Sender<Vec<Watched>>,
}

/// A certificate that is in use.
struct Watched {
    settings: CertificateSettings,
    /// When its files are looked at next; `None` for never.
    due: Option<Instant>,
    expiry: Gauge,
    /// What the last look found, if that is not in use.
    young: Option<Digest>,
    /// What was told that it cannot be used.
    told: Option<Digest>,
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// What is in use.
    Same,
    /// What was not there at the look before.
    Young,
    /// A new certificate, which is in use now.
    New,
    /// What cannot be used, which was told.
    Refused,
    /// The same again.
    Known,
}

/// So many names of a certificate are told.
const NAMES: usize = 3;

// === impl Watch ===

impl Watch {
    /// Begins to look at the files of those of `certificates` that are to be watched, and says of all
    /// of them when they expire.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(
        certificates: Vec<CertificateSettings>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let (thread, orders) = mpsc::channel();
        let name = "lubdub-certs".to_owned();
        thread::Builder::new()
            .name(name)
            .spawn(move || watch(&orders))?;
        let watch = Self { metrics, thread };
        watch.follow(certificates);
        Ok(watch)
    }

    /// Whether it could go on with these.
    ///
    /// # Errors
    /// If there would be too many names.
    pub(crate) fn try_follow(
        &self,
        certificates: &[CertificateSettings],
    ) -> Result<(), InvalidNames> {
        self.metrics.try_certificates(&names(certificates))
    }

    /// The same for these `certificates`, which are in use from now on in place of those before.
    pub(crate) fn follow(&self, certificates: Vec<CertificateSettings>) {
        let expiries = self.metrics.set_certificates(&names(&certificates));
        let now = Instant::now();
        let watched = certificates.into_iter().zip(expiries);
        let watched = watched.map(|(settings, expiry)| {
            say(
                &expiry,
                settings.certificates.get(settings.place).not_after(),
            );
            Watched {
                due: settings.watch.map(|every| now + every),
                settings,
                expiry,
                young: None,
                told: None,
            }
        });
        // A thread that is no more has said why, by its panic.
        let _ = self.thread.send(watched.collect());
    }
}

fn names(certificates: &[CertificateSettings]) -> Vec<(&str, &str)> {
    let names = certificates.iter().map(|it| (&*it.listener, &*it.name));
    names.collect()
}

/// Looks at each certificate in its time, until nobody wants to know any more.
fn watch(orders: &Receiver<Vec<Watched>>) {
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        let next = watched.iter().filter_map(|each| each.due).min();
        let order = match next {
            Some(next) => orders.recv_timeout(next.saturating_duration_since(Instant::now())),
            None => orders.recv().map_err(RecvTimeoutError::from),
        };
        match order {
            Ok(order) => {
                for each in &order {
                    if watched.iter().any(|before| before.is_renewed_by(each)) {
                        each.tell();
                    }
                }
                watched = order;
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = Instant::now();
                for each in &mut watched {
                    each.look_if_due(now);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn say(expiry: &Gauge, not_after: Moment) {
    expiry.set(not_after.timestamp() as f64);
}

// === impl Watched ===

impl Watched {
    fn look_if_due(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.look();
            self.due = self.settings.watch.map(|every| now + every);
        }
    }

    /// Whether `other` is the same certificate, read again, and is not what it was.
    fn is_renewed_by(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.settings, &other.settings);
        (&ours.listener, &ours.name) == (&theirs.listener, &theirs.name) && ours.seen != theirs.seen
    }

    /// Looks at the files, and takes what is new and good.
    ///
    /// Only what was there at the look before: somebody may be at work on the files. Between two of them
    /// they do not fit, and of a chain that is half written the first part may fit well.
    fn look(&mut self) -> Look {
        let contents = self.settings.files.read();
        let seen = contents.digest();
        if seen == self.settings.seen {
            self.young = None;
            if self.told.take().is_some() {
                self.relent();
            }
            return Look::Same;
        }
        if self.young.replace(seen) != Some(seen) {
            return Look::Young;
        }
        // What was refused is tried again: its time may have come.
        let found = contents
            .certificate()
            .map_err(|faults| self.settings.files.describe(&faults))
            .and_then(|certificate| in_its_time(certificate, SystemTime::now().into()));
        match found {
            Ok(certificate) => {
                self.settings.seen = seen;
                self.told = None;
                self.take(certificate);
                Look::New
            }
            Err(_) if self.told == Some(seen) => Look::Known,
            Err(reason) => {
                self.told = Some(seen);
                self.refuse(&reason);
                Look::Refused
            }
        }
    }

    fn take(&self, certificate: Certificate) {
        say(&self.expiry, certificate.not_after());
        let settings = &self.settings;
        settings.certificates.replace(settings.place, certificate);
        self.tell();
    }

    fn tell(&self) {
        let settings = &self.settings;
        let certificate = settings.certificates.get(settings.place);
        info!(
            listener = %settings.listener,
            certificate = %settings.name,
            not_after = %certificate.not_after(),
            names = beginning(certificate.names()),
            "a new certificate is in use"
        );
    }

    fn relent(&self) {
        info!(
            listener = %self.settings.listener,
            certificate = %self.settings.name,
            "the files of a certificate hold the one in use again"
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

/// The first of the host names in a certificate, fit for a terminal, and how many there are besides.
pub(crate) fn beginning(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMES)].join(", ");
    let shown = shown.replace(char::is_control, " ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use lubdub_metrics::{BuildInfo, Names};
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
            let watched = Watched {
                settings: CertificateSettings {
                    listener: "a".into(),
                    name: "b".into(),
                    files,
                    seen,
                    certificates,
                    place: 0,
                    watch: None,
                },
                due: None,
                expiry: metrics.set_certificates(&[("a", "b")]).remove(0),
                young: None,
                told: None,
            };
            Self { directory, watched }
        }

        fn cert(&self, text: &str) {
            fs::write(&self.watched.settings.files.cert, text).unwrap();
        }

        fn key(&self, text: &str) {
            fs::write(&self.watched.settings.files.key, text).unwrap();
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
        let files = stage.watched.settings.files.clone();
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

    #[test]
    fn of_many_names_the_first_are_told() {
        let names =
            |count: usize| -> Vec<_> { (0..count).map(|n| format!("{n}.example")).collect() };
        assert_eq!(beginning(&names(0)), "");
        assert_eq!(beginning(&names(3)), "0.example, 1.example, 2.example");
        assert_eq!(
            beginning(&names(5)),
            "0.example, 1.example, 2.example and 2 more"
        );
        assert_eq!(beginning(&["a\n\u{1b}b".to_owned()]), "a  b");
    }
}
