//! Who may ask what the pairs are doing: whoever is on this machine, or has the token. Who wants to
//! change something needs the token wherever there is one, on this machine too. Who may connect to a Unix socket
//! is for the file system to say: there an upgrade needs no token.
//!
//! A page in an operator's browser is on this machine, too. Its requests carry the name that it
//! was loaded from, so a name that is not known to be ours is refused (DNS rebinding). No browser connects to a
//! Unix socket, and there is no name for one: any is taken.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use http::StatusCode;
use http::header::{AUTHORIZATION, HOST, HeaderMap};
use http::request::Parts;
use http::uri::Authority;
use lubdub_proxy::Peer;

use crate::config::{AdminSettings, Token};

/// Who may ask.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access {
    token: Option<Token>,
    hosts: Vec<String>,
}

/// Who may ask now: a reload may change it.
#[derive(Debug)]
pub(crate) struct SharedAccess(ArcSwap<Access>);

/// What somebody may ask for because of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It is on this machine.
    Loopback,
    /// It may connect to the Unix socket.
    Socket,
    /// It has the token.
    Token,
}

/// What a change takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The token where one is set, and loopback where none is.
    LoopbackOrToken,
    /// The token, always, or the Unix socket.
    TokenOrSocket,
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("this is for loopback, or for who has the token (admin.token_file)")]
    Stranger,
    #[error("this needs the token (admin.token_file), on this machine too")]
    NoToken,
    #[error("Authorization must be there once")]
    Authorization,
    #[error("Host must be an IP address, localhost, or one of admin.hosts, and be there once")]
    Host,
}

impl SharedAccess {
    pub(crate) fn new(settings: &AdminSettings) -> Self {
        Self(ArcSwap::from_pointee(Access::new(settings)))
    }

    /// These may ask from now on. Where they are those of before, nobody notices.
    pub(crate) fn set(&self, settings: &AdminSettings) {
        let access = Access::new(settings);
        if **self.0.load() != access {
            self.0.store(Arc::new(access));
        }
    }

    pub(super) fn load_full(&self) -> Arc<Access> {
        self.0.load_full()
    }

    /// Whether nothing has changed since `access` was loaded.
    pub(super) fn is_still(&self, access: &Arc<Access>) -> bool {
        Arc::ptr_eq(&self.0.load(), access)
    }

    pub(super) fn load(&self) -> Guard<Arc<Access>> {
        self.0.load()
    }
}

impl Access {
    pub(crate) fn new(settings: &AdminSettings) -> Self {
        Self {
            token: settings.token.clone(),
            hosts: settings.hosts.clone(),
        }
    }

    /// Who wants what holds no data.
    pub(crate) fn check_visit(&self, peer: Peer, asked: &Parts) -> Result<(), Denied> {
        match peer {
            Peer::Unix => Ok(()),
            Peer::Ip(_) => self.check_host(asked),
        }
    }

    /// Who wants to know something.
    pub(crate) fn check(&self, peer: Peer, asked: &Parts) -> Result<Proof, Denied> {
        self.check_visit(peer, asked)?;
        if self.is_authorized(&asked.headers)? {
            Ok(Proof::Token)
        } else if peer == Peer::Unix {
            Ok(Proof::Socket)
        } else if peer.is_local() {
            Ok(Proof::Loopback)
        } else {
            Err(Denied::Stranger)
        }
    }

    /// Who wants to change something.
    pub(crate) fn check_change(
        &self,
        peer: Peer,
        asked: &Parts,
        needs: Needs,
    ) -> Result<Proof, Denied> {
        let proof = self.check(peer, asked)?;
        let is_enough = match (needs, proof) {
            (_, Proof::Token) | (Needs::TokenOrSocket, Proof::Socket) => true,
            (Needs::TokenOrSocket, Proof::Loopback) => false,
            (Needs::LoopbackOrToken, Proof::Loopback | Proof::Socket) => self.token.is_none(),
        };
        match is_enough {
            true => Ok(proof),
            false => Err(Denied::NoToken),
        }
    }

    /// There is one name, and it is known; so is that of a target that says where it is (RFC 9112 3.2.2).
    fn check_host(&self, asked: &Parts) -> Result<(), Denied> {
        let mut hosts = asked.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Denied::Host);
        };
        let target = asked.uri.authority().map(Authority::as_str);
        let is_known = |host: Option<&str>| host.is_some_and(|host| self.knows(host));
        match is_known(host.to_str().ok()) && (target.is_none() || is_known(target)) {
            true => Ok(()),
            false => Err(Denied::Host),
        }
    }

    /// What comes behind a proxy that reads another of two fields is nothing that either of them may be believed about.
    fn is_authorized(&self, headers: &HeaderMap) -> Result<bool, Denied> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let (presented, None) = (fields.next(), fields.next()) else {
            return Err(Denied::Authorization);
        };
        let Some(token) = &self.token else {
            return Ok(false);
        };
        Ok(presented
            .map(http::HeaderValue::as_bytes)
            .and_then(|value| value.split_at_checked("Bearer ".len()))
            .is_some_and(|(scheme, presented)| {
                scheme.eq_ignore_ascii_case(b"Bearer ") && token.matches(presented)
            }))
    }

    fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let literal = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        literal.unwrap_or(name).parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl Proof {
    /// As the log tells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Socket => "socket",
            Self::Token => "token",
        }
    }
}

impl Denied {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Stranger | Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Authorization => StatusCode::BAD_REQUEST,
            Self::Host => StatusCode::FORBIDDEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const HERE: &str = "127.0.0.1:5000";
    const AWAY: &str = "192.0.2.1:5000";

    fn access() -> Access {
        let token = Token::try_new("s3cret").ok();
        assert!(token.is_some());
        Access {
            token,
            hosts: vec!["admin.example".to_owned()],
        }
    }

    fn asked(target: &str, fields: &[(HeaderName, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(target);
        for (name, value) in fields {
            request = request.header(name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn check(peer: &str, host: &str, authorization: &str) -> Result<Proof, Denied> {
        let asked = asked("/", &[(HOST, host), (AUTHORIZATION, authorization)]);
        access().check(peer.parse().unwrap(), &asked)
    }

    #[test]
    fn loopback_or_token() {
        assert_eq!(check(HERE, "localhost:9901", ""), Ok(Proof::Loopback));
        assert_eq!(check("[::1]:5000", "[::1]:9901", ""), Ok(Proof::Loopback));
        assert_eq!(check(AWAY, "192.0.2.9", ""), Err(Denied::Stranger));
        assert_eq!(
            check(AWAY, "192.0.2.9", "Bearer wrong"),
            Err(Denied::Stranger)
        );
        assert_eq!(check(AWAY, "192.0.2.9", "Bearer s3cret"), Ok(Proof::Token));
        assert_eq!(check(AWAY, "192.0.2.9", "bearer s3cret"), Ok(Proof::Token));
        assert_eq!(
            check(AWAY, "192.0.2.9", "Basic s3cret"),
            Err(Denied::Stranger)
        );
    }

    #[test]
    fn a_page_from_elsewhere_is_refused_even_on_loopback() {
        assert_eq!(check(HERE, "evil.example:9901", ""), Err(Denied::Host));
        assert_eq!(
            check(HERE, "evil.example", "Bearer s3cret"),
            Err(Denied::Host)
        );
        assert_eq!(check(HERE, "Admin.Example:9901", ""), Ok(Proof::Loopback));
    }

    /// What comes behind a proxy that reads another of them must not be taken for what that one has checked.
    #[test]
    fn a_name_is_there_once_and_the_target_has_none_other() {
        let check = |target: &str, hosts: &[&str]| {
            let fields: Vec<_> = hosts.iter().map(|host| (HOST, *host)).collect();
            access().check(HERE.parse().unwrap(), &asked(target, &fields))
        };
        let here = "http://localhost/api/v1/status";
        assert_eq!(check(here, &["localhost"]), Ok(Proof::Loopback));
        assert_eq!(check(here, &["evil.example"]), Err(Denied::Host));
        let elsewhere = "http://evil.example/api/v1/status";
        assert_eq!(check(elsewhere, &["localhost"]), Err(Denied::Host));
        assert_eq!(check("/", &[]), Err(Denied::Host));
        assert_eq!(check("/", &["localhost", "localhost"]), Err(Denied::Host));
    }

    /// So with tokens, of which one may be right.
    #[test]
    fn a_token_is_there_once() {
        let twice = |tokens: [&str; 2]| {
            let fields = tokens.map(|token| (AUTHORIZATION, token));
            let fields = [&[(HOST, "localhost")], &fields[..]].concat();
            asked("/", &fields)
        };
        let right = twice(["Bearer s3cret", "Bearer s3cret"]);
        let mixed = twice(["Bearer s3cret", "Basic eDp5"]);
        let open = Access {
            token: None,
            ..access()
        };
        for asked in [&right, &mixed] {
            for access in [&access(), &open] {
                for peer in [HERE.parse().unwrap(), AWAY.parse().unwrap(), Peer::Unix] {
                    let denied = Err(Denied::Authorization);
                    assert_eq!(access.check(peer, asked), denied);
                    let change = access.check_change(peer, asked, Needs::TokenOrSocket);
                    assert_eq!(change, denied);
                }
            }
        }
    }

    /// Who may connect is for the file system to say, and there is no name that could be wrong.
    #[test]
    fn whoever_may_connect_to_the_socket_may_have_lubdub_upgraded() {
        let whatever = asked("/", &[(HOST, "whatever")]);
        let open = Access {
            token: None,
            ..access()
        };
        assert_eq!(open.check(Peer::Unix, &whatever), Ok(Proof::Socket));
        let change = |access: &Access, needs| access.check_change(Peer::Unix, &whatever, needs);
        for access in [&access(), &open] {
            assert_eq!(change(access, Needs::TokenOrSocket), Ok(Proof::Socket));
        }
        assert_eq!(change(&open, Needs::LoopbackOrToken), Ok(Proof::Socket));
        let guarded = change(&access(), Needs::LoopbackOrToken);
        assert_eq!(guarded, Err(Denied::NoToken));
        let local = asked("/", &[(HOST, "localhost")]);
        let from_loopback = open.check_change(HERE.parse().unwrap(), &local, Needs::TokenOrSocket);
        assert_eq!(from_loopback, Err(Denied::NoToken));
    }

    #[test]
    fn a_change_needs_the_token_wherever_there_is_one() {
        let change = |access: &Access, peer: &str, authorization: &str| {
            let asked = asked("/", &[(HOST, "localhost"), (AUTHORIZATION, authorization)]);
            access.check_change(peer.parse().unwrap(), &asked, Needs::LoopbackOrToken)
        };
        let guarded = access();
        assert_eq!(change(&guarded, HERE, ""), Err(Denied::NoToken));
        assert_eq!(change(&guarded, HERE, "Bearer wrong"), Err(Denied::NoToken));
        assert_eq!(change(&guarded, HERE, "Bearer s3cret"), Ok(Proof::Token));
        assert_eq!(change(&guarded, AWAY, "Bearer s3cret"), Ok(Proof::Token));
        assert_eq!(change(&guarded, AWAY, ""), Err(Denied::Stranger));
        let open = Access {
            token: None,
            ..access()
        };
        assert_eq!(change(&open, HERE, ""), Ok(Proof::Loopback));
        assert_eq!(change(&open, AWAY, ""), Err(Denied::Stranger));
        assert_eq!(change(&open, AWAY, "Bearer s3cret"), Err(Denied::Stranger));
    }
}
