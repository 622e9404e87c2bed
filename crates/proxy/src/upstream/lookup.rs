//! The look-ups of an upstream's name: one at a time, shared by all who wait for it.
//!
//! They are made by the system's resolver, so that nsswitch.conf, /etc/hosts and changes of both hold
//! at once; it blocks a thread for as long as it likes. One look-up at a time bounds the threads by the
//! number of names, and a name server that does not answer delays nobody who waits for another name
//! (docs/adr/0014).

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::starvation::{is_starvation, is_starved};

/// What becomes of a name.
#[derive(Debug)]
pub(super) struct Lookup {
    host: Arc<str>,
    port: u16,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<watch::Receiver<Option<Found>>>,
    /// The addresses that were found last, and when.
    known: Option<(Instant, Arc<[SocketAddr]>)>,
}

/// What a look-up found.
type Found = Result<Arc<[SocketAddr]>, Unresolved>;

/// Why a name has no address.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unresolved {
    /// There was no file descriptor to ask with; there may be one by now.
    #[error("no file descriptor is left to look up the name with")]
    Starved,
    #[error("{0}")]
    Failed(Arc<io::Error>),
    /// The thread that asked is gone.
    #[error("the look-up ended without a result")]
    Lost,
}

impl Lookup {
    pub(super) fn new(host: &Arc<str>, port: u16) -> Arc<Self> {
        let known = host.parse::<IpAddr>().ok().map(|ip| {
            let addresses = Arc::from([SocketAddr::new(ip, port)]);
            (Instant::now(), addresses)
        });
        Arc::new(Self {
            host: Arc::clone(host),
            port,
            state: Mutex::new(State {
                running: None,
                known,
            }),
        })
    }

    /// The name.
    pub(super) fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// The addresses that the name has now. Who gives up waiting leaves the look-up to others.
    pub(super) async fn addresses(self: &Arc<Self>) -> Found {
        if self.is_literal() {
            return Ok(self.known().unwrap_or_default());
        }
        let mut result = self.join();
        let found = result.wait_for(Option::is_some).await;
        match found {
            Ok(found) => (*found).clone().unwrap_or(Err(Unresolved::Lost)),
            Err(_) => Err(Unresolved::Lost),
        }
    }

    /// The addresses that were found last, if any were. If that is longer ago than `age`, they are
    /// being looked up again meanwhile.
    pub(super) fn recent(self: &Arc<Self>, age: Duration) -> Option<Arc<[SocketAddr]>> {
        let known = self.state().known.clone();
        let is_old = known.as_ref().is_none_or(|(at, _)| at.elapsed() > age);
        if is_old && !self.is_literal() {
            let _ = self.join();
        }
        known.map(|(_, addresses)| addresses)
    }

    /// The result of the look-up that is running, or of a new one.
    fn join(self: &Arc<Self>) -> watch::Receiver<Option<Found>> {
        let mut state = self.state();
        if let Some(running) = &state.running
            && running.has_changed().is_ok()
        {
            return running.clone();
        }
        let (tell, result) = watch::channel(None);
        state.running = Some(result.clone());
        drop(state);
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let found = look_up(&this.host, this.port);
            let mut state = this.state();
            state.running = None;
            if let Ok(addresses) = &found {
                state.known = Some((Instant::now(), Arc::clone(addresses)));
            }
            drop(state);
            tell.send_replace(Some(found));
        });
        result
    }

    fn is_literal(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    fn known(&self) -> Option<Arc<[SocketAddr]>> {
        let state = self.state();
        state.known.as_ref().map(|(_, known)| Arc::clone(known))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the system's resolver.
fn look_up(host: &str, port: u16) -> Found {
    let was_starved = is_starved();
    match (host, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        // The resolver needs descriptors, too, and does not always say so.
        Err(error) if was_starved || is_starvation(&error) || is_starved() => {
            Err(Unresolved::Starved)
        }
        Err(error) => Err(Unresolved::Failed(Arc::new(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(lookup: &Lookup) -> bool {
        lookup.state().running.is_some()
    }

    #[tokio::test]
    async fn an_address_needs_no_looking_up() {
        let lookup = Lookup::new(&"::1".into(), 9);
        let expected = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9));
        assert_eq!(&*lookup.addresses().await.unwrap(), [expected]);
        assert_eq!(&*lookup.recent(Duration::ZERO).unwrap(), [expected]);
        assert!(!running(&lookup));
    }

    /// Each of a hundred upgrades a second to a name whose server does not answer had a thread.
    #[tokio::test]
    async fn all_who_wait_for_a_name_share_one_look_up() {
        let lookup = Lookup::new(&"localhost".into(), 9);
        let (tell, result) = watch::channel(None);
        lookup.state().running = Some(result);
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let lookup = Arc::clone(&lookup);
                tokio::spawn(async move { lookup.addresses().await })
            })
            .collect();
        let gives_up = tokio::time::timeout(Duration::from_millis(10), lookup.addresses());
        assert!(gives_up.await.is_err());
        assert_eq!(
            tell.receiver_count(),
            101,
            "all of them, and the look-up itself, wait for one result"
        );
        let found: Arc<[_]> = Arc::from([SocketAddr::from(([192, 0, 2, 1], 9))]);
        tell.send_replace(Some(Ok(Arc::clone(&found))));
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap().unwrap(), found);
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_anew_when_the_last_look_up_is_over() {
        let lookup = Lookup::new(&"localhost".into(), 9);
        let found = lookup.addresses().await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(!running(&lookup));
        let known = lookup.recent(Duration::from_secs(60)).unwrap();
        assert!(Arc::ptr_eq(&known, &found), "young enough");
        assert!(!running(&lookup));
        lookup.recent(Duration::ZERO);
        let again = lookup.addresses().await.unwrap();
        assert!(!Arc::ptr_eq(&again, &found));
    }

    /// A thread that was lost took the name with it.
    #[tokio::test]
    async fn a_look_up_that_is_lost_does_not_stand_in_the_way() {
        let lookup = Lookup::new(&"localhost".into(), 9);
        let (tell, result) = watch::channel::<Option<Found>>(None);
        lookup.state().running = Some(result);
        drop(tell);
        assert!(lookup.addresses().await.is_ok());
    }
}
