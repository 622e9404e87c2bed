//! Files that are in use, and what the looks at them find.

use std::time::{Duration, SystemTime};

use lubdub_proxy::tls::Moment;
use tokio::time::Instant;

use crate::config::Digest;

/// Files that are in use.
#[derive(Debug)]
pub(super) struct Watched<S> {
    subject: S,
    /// When they are looked at next; `None` for never.
    due: Option<Instant>,
    /// What the last look found, if that is not in use.
    young: Option<Digest>,
    /// What was told that it cannot be used.
    told: Option<Digest>,
}

/// What is in files that are watched.
pub(super) trait Subject {
    /// What is new in them, and can be used.
    type News;

    /// How often they are looked at; `None` for never.
    fn watch(&self) -> Option<Duration>;

    /// Whether `other` is in use in the same place.
    fn is_in_place_of(&self, other: &Self) -> bool;

    /// What was in the files when they were read for what is in use.
    fn seen(&self) -> Digest;

    /// What is in the files now; and what that means, if it is to be used.
    fn read(
        &self,
        is_to_be_used: impl FnOnce(Digest) -> bool,
    ) -> (Digest, Option<Result<Self::News, String>>);

    /// Puts it in use.
    fn take(&mut self, news: Self::News, seen: Digest) -> Result<(), String>;

    /// Says that what is in use is new.
    fn tell(&self);

    /// Says why what is in the files is not taken.
    fn refuse(&self, reason: &str);

    /// Says that the files hold what is in use again, after they were refused.
    fn relent(&self);

    /// Says, if there is anything to say, what time has made of what is in use.
    fn tell_of_age(&mut self, _now: Moment) {}
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

impl<S: Subject> Watched<S> {
    pub(super) fn new(subject: S, now: Instant) -> Self {
        Self {
            due: subject.watch().map(|every| now + every),
            subject,
            young: None,
            told: None,
        }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn look_if_due(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.look();
            self.subject.tell_of_age(SystemTime::now().into());
            self.due = self.subject.watch().map(|every| now + every);
        }
    }

    /// Says so, if this is new in the place of one of `before`.
    pub(super) fn tell_if_new(&self, before: &[Self]) {
        let ours = &self.subject;
        let is_renewed = before.iter().any(|Self { subject, .. }| {
            ours.is_in_place_of(subject) && ours.seen() != subject.seen()
        });
        if is_renewed {
            ours.tell();
        }
    }

    /// Looks at the files, and takes what is new and good.
    ///
    /// Only what was there at the look before: somebody may be at work on the files. Between two of them
    /// they do not fit, and of a chain that is half written the first part may fit well.
    fn look(&mut self) -> Look {
        let used = self.subject.seen();
        let young = self.young;
        let is_to_be_used = |seen| seen != used && young == Some(seen);
        let (seen, found) = self.subject.read(is_to_be_used);
        if seen == used {
            self.young = None;
            if self.told.take().is_some() {
                self.subject.relent();
            }
            return Look::Same;
        }
        self.young = Some(seen);
        let Some(found) = found else {
            return Look::Young;
        };
        // What was refused is tried again: its time may have come.
        match found.and_then(|news| self.subject.take(news, seen)) {
            Ok(()) => {
                self.told = None;
                self.subject.tell();
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
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use lubdub_metrics::{BuildInfo, Metrics, Names};
    use lubdub_proxy::tls::Certificates;

    use super::super::shown::Shown;
    use super::*;
    use crate::config::{CertificateFiles, CertificateSettings};

    /// A certificate and its key, as PEM.
    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["chat.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    /// Files of a certificate that is in use, in a directory that goes with this.
    struct Stage {
        directory: PathBuf,
        files: CertificateFiles,
        watched: Watched<Shown>,
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
            let watched = Watched::new(Shown::new(settings, expiry), Instant::now());
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
}
