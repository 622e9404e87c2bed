//! Tickets for sessions that clients resume (RFC 5077, RFC 8446 2.2), and the keys that seal them.
//!
//! A ticket is all that is known of a session, the client's certificate included, sealed with a key
//! that only this process has. Keys change by themselves: who steals one later reads little.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use tokio::time::Instant;

/// The keys of a listener's tickets: one seals, and the one before still opens.
pub(super) struct Tickets(Mutex<Keys>);

struct Keys {
    seals: Arc<dyn ProducesTickets>,
    opens: Option<Arc<dyn ProducesTickets>>,
    /// When the next one takes over.
    until: Instant,
}

// === impl Tickets ===

impl Tickets {
    /// So long a key seals, and as long again it opens.
    pub(super) const TURN: Duration = Duration::from_secs(6 * 60 * 60);

    /// New keys: no ticket that there is can be opened.
    pub(super) fn new() -> Result<Arc<Self>, rustls::Error> {
        Ok(Arc::new(Self(Mutex::new(Keys {
            seals: Ticketer::new()?,
            opens: None,
            until: Instant::now() + Self::TURN,
        }))))
    }

    /// The next key takes over at once.
    pub(super) fn rotate(&self) {
        self.keys().turn(Instant::now());
    }

    /// The keys that count now.
    fn of_now(&self) -> MutexGuard<'_, Keys> {
        let mut keys = self.keys();
        let now = Instant::now();
        if now >= keys.until {
            // Nobody came for a whole turn: what was sealed before that is too old as well.
            let is_stale = now >= keys.until + Self::TURN;
            if keys.turn(now) && is_stale {
                keys.opens = None;
            }
        }
        keys
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys {
    /// Whether there is a new key now. Without randomness the old one has to do.
    fn turn(&mut self, now: Instant) -> bool {
        let next = Ticketer::new();
        if let Ok(next) = next {
            self.opens = Some(std::mem::replace(&mut self.seals, next));
            self.until = now + Tickets::TURN;
            return true;
        }
        false
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        2 * Self::TURN.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let seals = Arc::clone(&self.of_now().seals);
        seals.encrypt(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (seals, opens) = {
            let keys = self.of_now();
            (Arc::clone(&keys.seals), keys.opens.clone())
        };
        let opened = seals.decrypt(ticket);
        opened.or_else(|| opens?.decrypt(ticket))
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ticket_can_be_opened_for_one_to_two_turns() {
        let tickets = Tickets::new().unwrap();
        let early = tickets.encrypt(b"early").unwrap();
        tokio::time::advance(Tickets::TURN - Duration::from_secs(1)).await;
        let late = tickets.encrypt(b"late").unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        let next = tickets.encrypt(b"next").unwrap();
        for (ticket, said) in [(&early, &b"early"[..]), (&late, b"late"), (&next, b"next")] {
            assert_eq!(tickets.decrypt(ticket).as_deref(), Some(said));
        }
        tokio::time::advance(Tickets::TURN).await;
        assert_eq!(tickets.decrypt(&early), None);
        assert_eq!(tickets.decrypt(&late), None);
        assert_eq!(tickets.decrypt(&next).as_deref(), Some(&b"next"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_for_two_turns_and_no_old_ticket_is_opened() {
        let tickets = Tickets::new().unwrap();
        let old = tickets.encrypt(b"old").unwrap();
        tokio::time::advance(2 * Tickets::TURN).await;
        assert_eq!(tickets.decrypt(&old), None);
    }

    #[test]
    fn other_keys_open_nothing() {
        let ticket = Tickets::new().unwrap().encrypt(b"a").unwrap();
        assert_eq!(Tickets::new().unwrap().decrypt(&ticket), None);
    }
}
