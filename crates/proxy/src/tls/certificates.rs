//! The certificates of a listener: which of them a client is shown, and new ones in their places.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;

/// The certificates of a listener, in their order.
///
/// Whoever says hello is shown the one that is there at that moment. A handshake that is under way
/// and a connection that is open keep what they have.
#[derive(Debug)]
pub struct Certificates(RwLock<Arc<Shelf>>);

/// What there is at one moment.
#[derive(Debug)]
struct Shelf {
    certificates: Vec<Certificate>,
    /// For each name the place of the first certificate that has it, wildcards with their `*.`.
    by_name: HashMap<String, usize>,
}

// === impl Certificates ===

impl Certificates {
    /// These; the first is shown to whoever asks for a name that none has, or for none at all.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(certificates: Vec<Certificate>) -> Arc<Self> {
        assert!(!certificates.is_empty(), "a listener has a certificate");
        Arc::new(Self(RwLock::new(Arc::new(Shelf::new(certificates)))))
    }

    /// Puts `certificate` in the place of the one with this number, from 0 on. From now on it is
    /// shown, by its own names.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn replace(&self, place: usize, certificate: Certificate) {
        let mut shelf = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut certificates = shelf.certificates.clone();
        certificates[place] = certificate;
        *shelf = Arc::new(Shelf::new(certificates));
    }

    /// The one with this number.
    ///
    /// # Panics
    /// If there is no such place.
    #[must_use]
    pub fn get(&self, place: usize) -> Certificate {
        self.shelf().certificates[place].clone()
    }

    fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shelf = self.shelf();
        let place = shelf.choose(hello.server_name());
        Some(Arc::clone(shelf.certificates[place].key()))
    }
}

// === impl Shelf ===

impl Shelf {
    fn new(certificates: Vec<Certificate>) -> Self {
        let mut by_name = HashMap::new();
        for (place, certificate) in certificates.iter().enumerate() {
            for name in certificate.names() {
                by_name.entry(name.clone()).or_insert(place);
            }
        }
        Self {
            certificates,
            by_name,
        }
    }

    /// The place of the certificate for who asks for `name`: the one that has it, or else has it with
    /// a wildcard for its first label, or else the first.
    fn choose(&self, name: Option<&str>) -> usize {
        let Some(name) = name else { return 0 };
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        let found = self.by_name.get(name).or_else(wildcard);
        found.copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls_pki_types::PrivateKeyDer;

    use super::*;

    fn certificate(names: &[&str]) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
        let made = CertificateParams::new(names).unwrap().self_signed(&key);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Certificate::new(vec![made.unwrap().der().clone()], key).unwrap()
    }

    fn shelf(certificates: &[&[&str]]) -> Shelf {
        Shelf::new(
            certificates
                .iter()
                .map(|names| certificate(names))
                .collect(),
        )
    }

    #[test]
    fn an_exact_name_goes_before_a_wildcard_and_that_before_the_first() {
        let shelf = shelf(&[
            &["first.example"],
            &["*.chat.example"],
            &["eu.chat.example", "chat.example"],
        ]);
        for (name, place) in [
            (Some("first.example"), 0),
            (Some("us.chat.example"), 1),
            (Some("eu.chat.example"), 2),
            (Some("chat.example"), 2),
            // A wildcard stands for one label (RFC 9525 6.3).
            (Some("a.us.chat.example"), 0),
            (Some("other.example"), 0),
            (Some("localhost"), 0),
            (None, 0),
        ] {
            assert_eq!(shelf.choose(name), place, "{name:?}");
        }
    }

    #[test]
    fn case_and_a_dot_at_the_end_do_not_count() {
        let shelf = shelf(&[&["first.example"], &["Chat.Example", "*.Feed.example"]]);
        for name in ["CHAT.example", "chat.example.", "a.feed.EXAMPLE."] {
            assert_eq!(shelf.choose(Some(name)), 1, "{name}");
        }
    }

    #[test]
    fn of_two_with_the_same_name_the_first_is_shown() {
        let shelf = shelf(&[&["a.example"], &["b.example"], &["b.example", "c.example"]]);
        assert_eq!(shelf.choose(Some("b.example")), 1);
        assert_eq!(shelf.choose(Some("c.example")), 2);
    }

    #[test]
    fn addresses_are_no_names() {
        let shelf = shelf(&[&["a.example"], &["127.0.0.1"]]);
        assert!(shelf.certificates[1].names().is_empty());
        assert_eq!(shelf.choose(Some("127.0.0.1")), 0);
    }

    #[test]
    fn a_new_one_is_shown_by_its_own_names() {
        let certificates = Certificates::new(vec![
            certificate(&["first.example"]),
            certificate(&["old.example"]),
        ]);
        certificates.replace(1, certificate(&["new.example"]));
        let shelf = certificates.shelf();
        assert_eq!(shelf.choose(Some("new.example")), 1);
        assert_eq!(shelf.choose(Some("old.example")), 0);
        assert_eq!(certificates.get(1).names(), ["new.example"]);
    }
}
