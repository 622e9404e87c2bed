//! Keeps the certificates that clients are shown, and those who vouch for clients, as new as their files.
//!
//! The files are looked at every `listen.NAME.tls.watch`, on a thread that serves nobody, and what they
//! hold is compared with what was read last: so it does not matter whether a file was written anew,
//! moved there, or is a symbolic link that leads elsewhere now. What cannot be used changes nothing.

mod watched;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;

use lubdub_metrics::{InvalidNames, Metrics};
use tokio::time::Instant;

use self::watched::{Watched, say};
use crate::config::{CertificateSettings, ClientSettings};

/// The thread that looks at the files; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    metrics: Arc<Metrics>,
    thread: Sender<Vec<Watched>>,
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
        let watched = certificates.into_iter().zip(expiries);
        let watched = watched.map(|(settings, expiry)| {
            say(
                &expiry,
                settings.certificates.get(settings.place).not_after(),
            );
            Watched::certificate(settings, expiry, now)
        });
        let clients = clients
            .into_iter()
            .map(|settings| Watched::clients(settings, now));
        // A thread that is no more has said why, by its panic.
        let _ = self.thread.send(watched.chain(clients).collect());
    }
}

fn names(certificates: &[CertificateSettings]) -> Vec<(&str, &str)> {
    let names = certificates.iter().map(|it| (&*it.listener, &*it.name));
    names.collect()
}

/// Looks at each file in its time, until nobody wants to know any more.
fn watch(orders: &Receiver<Vec<Watched>>) {
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        let next = watched.iter().filter_map(Watched::due).min();
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
