//! What the requests of one connection share.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::HeaderValue;
use http::header::HeaderMap;
use lubdub_wire::Relayed;

use super::clock::Clock;
use super::proxied::Proxied;
use crate::address::Peer;
use crate::budget::Permit;
use crate::caller::{Caller, ClientAddress};
use crate::entrance::{Entrance, Place};
use crate::generation::General;
use crate::idle::Keeps;
use crate::pressure::Pressure;
use crate::settings::Trust;
use crate::shared::Shared;
use crate::upstream::{Carrier, LinkState, Turn, Upstream};
use crate::worker::{Load, Worker};

/// What the requests of one connection share.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    /// The address at which the client's connection has reached this machine.
    reached: OnceLock<SocketAddr>,
    /// What a PROXY header has said of it.
    proxied: OnceLock<Box<Proxied>>,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) worker: Arc<Worker>,
    pub(crate) clock: Arc<Clock>,
    /// Whether the client takes what it is sent.
    pub(crate) pressure: Arc<Pressure>,
    /// The connection to the upstream that the last answer came over is about to be kept.
    pub(crate) returning: Arc<AtomicBool>,
    /// Whose certificate the client has shown, if that is to be told.
    pub(crate) subject: OnceLock<HeaderValue>,
    state: Mutex<State>,
    _load: Load,
}

/// A connection to an upstream that is one client's.
#[derive(Debug)]
struct Own {
    upstream: Arc<Upstream>,
    /// A balancer's connection may bring requests of several.
    client: ClientAddress,
    carrier: Carrier,
}

#[derive(Debug, Default)]
struct State {
    /// Its place among those before the end of their first head.
    slot: Option<Permit>,
    place: Option<Place>,
    /// The client will send no more.
    has_ended: bool,
    /// Nothing moved for too long, and lubdub waits no longer.
    was_given_up: bool,
    /// The connection to the upstream that the exchange under way goes over, and its turn there: whoever
    /// goes on uploading behind an answer does so as long as this client is there.
    link: Option<(Arc<LinkState>, Turn)>,
    /// Connections to upstreams over which this client has logged in: nobody else may use them.
    own: Vec<Own>,
}

impl Connection {
    pub(crate) fn new(
        peer: Peer,
        entrance: Arc<Entrance>,
        shared: Arc<Shared>,
        worker: Arc<Worker>,
        slot: Option<Permit>,
        place: Place,
        load: Load,
    ) -> Self {
        Self {
            peer,
            reached: OnceLock::new(),
            proxied: OnceLock::new(),
            entrance,
            shared,
            worker,
            clock: Arc::new(Clock::new()),
            pressure: Arc::default(),
            returning: Arc::default(),
            subject: OnceLock::new(),
            state: Mutex::new(State {
                slot,
                place: Some(place),
                ..State::default()
            }),
            _load: load,
        }
    }

    /// Whoever is nearest of those that are known to stand between the client and here: the peer, or
    /// whom it connects for.
    pub(crate) fn nearest(&self) -> Peer {
        let said = self.proxied().and_then(|proxied| proxied.source);
        said.unwrap_or(self.peer)
    }

    /// What a PROXY header has said of the connection, if there was one.
    pub(crate) fn proxied(&self) -> Option<&Proxied> {
        self.proxied.get().map(|proxied| &**proxied)
    }

    /// What the log tells of that header beyond addresses.
    pub(crate) fn told(&self) -> Option<Box<str>> {
        self.proxied()?.told.clone()
    }

    /// Said once, before there are requests.
    pub(crate) fn set_proxied(&self, proxied: Proxied) {
        let _ = self.proxied.set(Box::new(proxied));
    }

    /// Said once, before there are requests.
    pub(crate) fn set_reached(&self, address: SocketAddr) {
        let _ = self.reached.set(address);
    }

    /// Whether the client's connection had TLS: here, or where a PROXY header tells of it.
    pub(crate) fn has_tls(&self) -> bool {
        let is_told = self.proxied().is_some_and(|proxied| proxied.is_tls);
        is_told || self.entrance.listener.tls.is_some()
    }

    /// Whether the peer is believed.
    pub(crate) fn is_peer_trusted(&self, general: &General) -> bool {
        self.trust(general).has(self.peer.ip())
    }

    /// The PROXY header that tells `upstream` of a client, if it is to get one.
    pub(crate) fn header_for(&self, upstream: &Upstream, caller: &Caller) -> Option<Vec<u8>> {
        let version = upstream.settings.proxy_protocol?;
        let destination = match self.proxied() {
            Some(proxied) => proxied.destination,
            None => self.reached.get().copied(),
        };
        let relayed = match (caller.client.socket(), destination) {
            (Some(source), Some(destination)) => Relayed::between(source, destination),
            (None, _) | (_, None) => Relayed::Unknown,
        };
        Some(relayed.to_header(version))
    }

    /// Whether whoever is nearest is believed when it says who the client is.
    pub(crate) fn is_trusted(&self, general: &General) -> bool {
        let is_anonymous = self.proxied().is_some_and(|proxied| proxied.is_anonymous);
        !is_anonymous && self.trust(general).has(self.nearest().ip())
    }

    /// Who is calling, before anybody has asked for anything.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            peer: self.peer,
            client: self.nearest().into(),
        }
    }

    /// Who is calling with a request of these header fields.
    pub(crate) fn caller_with(&self, general: &General, headers: &HeaderMap) -> Caller {
        if !self.is_trusted(general) {
            return self.caller();
        }
        let trust = self.trust(general);
        let style = general.forwarded.style;
        Caller {
            peer: self.peer,
            client: ClientAddress::behind(self.nearest(), headers, style, trust),
        }
    }

    fn trust<'a>(&'a self, general: &'a General) -> &'a Trust {
        let own = self.entrance.listener.trust.as_ref();
        own.unwrap_or(&general.forwarded.trust)
    }

    /// The first head is whole, or the connection keeps others waiting who have something to say.
    pub(crate) fn release_slot(&self) {
        self.state().slot = None;
    }

    /// The client's socket goes on as a leg of a pair, and takes its place with it.
    pub(crate) fn take_place(&self) -> Option<Place> {
        self.state().place.take()
    }

    /// The client said its end: the upstream is to learn of it, behind the request under way.
    pub(crate) fn on_end(&self) {
        let mut state = self.state();
        state.has_ended = true;
        if let Some((link, _)) = &state.link {
            link.end();
        }
    }

    /// Nothing moved for too long.
    pub(crate) fn give_up(&self) {
        self.state().was_given_up = true;
    }

    /// Whether it ends because nothing moved for too long.
    pub(crate) fn was_given_up(&self) -> bool {
        self.state().was_given_up
    }

    /// Whether the client has said its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    /// The exchange under way goes over this connection to the upstream.
    pub(crate) fn goes_over(&self, link: &Arc<LinkState>) {
        let mut state = self.state();
        if state.has_ended {
            link.end();
        }
        link.is_for(&self.clock);
        let turn = link.turn();
        state.link = Some((Arc::clone(link), turn));
    }

    /// Whether the upstream waits for more of the request's body, and would take it.
    pub(crate) fn owes_body(&self) -> bool {
        self.is_link(LinkState::wants_body)
    }

    /// Whether all of the request's body has gone to the upstream.
    pub(crate) fn has_uploaded(&self) -> bool {
        self.is_link(LinkState::is_uploaded)
    }

    /// Whether the upstream has said anything in answer.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_link(LinkState::is_answered)
    }

    /// Whether the exchange under way goes over a connection to the upstream that is so.
    fn is_link(&self, is_so: impl FnOnce(&LinkState) -> bool) -> bool {
        let state = self.state();
        let link = state.link.as_ref();
        link.is_some_and(|(link, turn)| turn.is_current() && is_so(link))
    }

    /// The exchange that begins goes over no connection to the upstream yet.
    pub(crate) fn goes_nowhere(&self) {
        self.state().link = None;
    }

    /// The connection to `upstream` over which this client has logged in, if it has.
    pub(crate) fn take_own(&self, upstream: &Arc<Upstream>, caller: &Caller) -> Option<Carrier> {
        let mut state = self.state();
        let position = state.own.iter().position(|own| {
            own.client == caller.client && own.upstream.shares_connections_with(upstream)
        })?;
        Some(state.own.swap_remove(position).carrier)
    }

    /// What goes with this connection when it ends.
    pub(crate) fn keeps(&self) -> Keeps {
        if self.state().own.is_empty() {
            Keeps::Nothing
        } else {
            Keeps::Upstreams
        }
    }

    /// This client has logged in over `carrier`, or is about to: it is nobody else's, and ends with
    /// this connection.
    pub(crate) fn keep_own(&self, upstream: &Arc<Upstream>, caller: &Caller, carrier: Carrier) {
        self.state().own.push(Own {
            upstream: Arc::clone(upstream),
            client: caller.client,
            carrier,
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
