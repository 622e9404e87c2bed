//! Keeps the certificates that clients are shown, and those who vouch for clients, as new as their files.
//!
//! The files are looked at every `listen.NAME.tls.watch`, on a thread that serves nobody, and what they
//! hold is compared with what was read last: so it does not matter whether a file was written anew,
//! moved there, or is a symbolic link that leads elsewhere now. What cannot be used changes nothing.

mod authorities;
mod shown;
mod watched;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;

use lubdub_metrics::{InvalidNames, Metrics};
use tokio::time::Instant;

use self::authorities::ClientAuthorities;
use self::shown::Shown;
use self::watched::Watched;
use crate::config::{CertificateSettings, ClientSettings};

/// The thread that looks at the files; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    metrics: Arc<Metrics>,
    thread: Sender<Files>,
}

/// All files that are in use.
#[derive(Debug, Default)]
struct Files {
    certificates: Vec<Watched<Shown>>,
    authorities: Vec<Watched<ClientAuthorities>>,
}

/// So many names of a certificate are told.
const NAMES: usize = 3;

// === impl Watch ===

impl Watch {
    /// Begins to look at the files of those of `certificates` and `clients` that are to be watched, and
    /// says of all certificates when they expire.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(
        certificates: Vec<CertificateSettings>,
        clients: Vec<ClientSettings>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let (thread, orders) = mpsc::channel();
        let name = "lubdub-certs".to_owned();
        thread::Builder::new()
            .name(name)
            .spawn(move || watch(&orders))?;
        let watch = Self { metrics, thread };
        watch.follow(certificates, clients);
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

    /// The same for these, which are in use from now on in place of those before.
    pub(crate) fn follow(
        &self,
        certificates: Vec<CertificateSettings>,
        clients: Vec<ClientSettings>,
    ) {
        let expiries = self.metrics.set_certificates(&names(&certificates));
        let now = Instant::now();
        let shown = certificates.into_iter().zip(expiries);
        let shown = shown.map(|(settings, expiry)| Shown::new(settings, expiry));
        let authorities = clients.into_iter().map(ClientAuthorities::new);
        let files = Files {
            certificates: shown.map(|it| Watched::new(it, now)).collect(),
            authorities: authorities.map(|it| Watched::new(it, now)).collect(),
        };
        // A thread that is no more has said why, by its panic.
        let _ = self.thread.send(files);
    }
}

fn names(certificates: &[CertificateSettings]) -> Vec<(&str, &str)> {
    let names = certificates.iter().map(|it| (&*it.listener, &*it.name));
    names.collect()
}

/// Looks at each file in its time, until nobody wants to know any more.
fn watch(orders: &Receiver<Files>) {
    let mut files = Files::default();
    loop {
        let order = match files.due() {
            Some(next) => orders.recv_timeout(next.saturating_duration_since(Instant::now())),
            None => orders.recv().map_err(RecvTimeoutError::from),
        };
        match order {
            Ok(next) => {
                next.tell_what_is_new(&files);
                files = next;
            }
            Err(RecvTimeoutError::Timeout) => files.look(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

// === impl Files ===

impl Files {
    /// When to look next.
    fn due(&self) -> Option<Instant> {
        let certificates = self.certificates.iter().filter_map(Watched::due);
        let authorities = self.authorities.iter().filter_map(Watched::due);
        certificates.chain(authorities).min()
    }

    fn look(&mut self, now: Instant) {
        for each in &mut self.certificates {
            each.look_if_due(now);
        }
        for each in &mut self.authorities {
            each.look_if_due(now);
        }
    }

    fn tell_what_is_new(&self, before: &Self) {
        for each in &self.certificates {
            each.tell_if_new(&before.certificates);
        }
        for each in &self.authorities {
            each.tell_if_new(&before.authorities);
        }
    }
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
    use super::*;

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
