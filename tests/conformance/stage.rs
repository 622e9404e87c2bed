//! Where a case is played: endpoints of the kit on both sides, and between them lubdub's program or,
//! as a control, another proxy.

use std::net::SocketAddr;
use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_testkit::LONG;
use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Dial, Peer, Upstream};

/// The variable with the address of the proxy to play against instead of lubdub. It has to connect
/// to the address that Host names.
pub(crate) const PROXY: &str = "LUBDUB_CONFORMANCE_PROXY";

/// A proxy that runs, and upstreams behind it.
#[derive(Debug)]
pub(crate) struct Stage {
    middle: Middle,
    upstreams: Upstreams,
}

/// What is between the endpoints.
#[derive(Debug)]
enum Middle {
    Lubdub(Box<Binary>),
    Other(SocketAddr),
}

/// Whether there are own pings while endpoints talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beats {
    /// lubdub's, as often as it was told.
    Expected,
    /// None: it is another proxy.
    Absent,
}

/// How lubdub is set; another proxy is as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Terms {
    settings: Vec<String>,
    buffers: Buffers,
}

/// What fits between an endpoint and the proxy while nobody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Buffers {
    /// What the kernel sees fit.
    #[default]
    Usual,
    /// Little.
    Tiny,
}

/// Where upstreams come from, and with which buffers.
struct Upstreams {
    listener: Upstream,
    buffers: Buffers,
}

/// The code with which the other side is told that this one was dropped.
pub(crate) fn told(dropped: Side) -> u16 {
    match dropped {
        Side::Client => 1001,
        Side::Upstream => 1011,
    }
}

// === impl Terms ===

impl Terms {
    /// No own pings within the time of a case.
    pub(crate) fn quiet() -> Self {
        Self::default()
    }

    /// Own pings to both sides every so often, which nobody has to answer.
    pub(crate) fn beating(interval: Duration) -> Self {
        let [client, upstream] = Side::BOTH;
        Self::quiet()
            .ping(client, interval, LONG)
            .ping(upstream, interval, LONG)
    }

    /// Own pings to `side`, without jitter.
    pub(crate) fn ping(self, side: Side, interval: Duration, timeout: Duration) -> Self {
        self.side(side, format!("interval={}ms", interval.as_millis()))
            .side(side, format!("timeout={}ms", timeout.as_millis()))
            .side(side, "jitter=0")
    }

    /// A setting of one side's heartbeat.
    pub(crate) fn side(self, side: Side, setting: impl AsRef<str>) -> Self {
        self.set(format!("keepalive.{side}.{}", setting.as_ref()))
    }

    /// Any setting, as `key=value`.
    pub(crate) fn set(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// With endpoints that have tiny buffers.
    pub(crate) fn tiny(self) -> Self {
        Self {
            buffers: Buffers::Tiny,
            ..self
        }
    }

    /// Starts.
    pub(crate) async fn raise(self) -> Stage {
        let listener = match self.buffers {
            Buffers::Usual => Upstream::listen(),
            Buffers::Tiny => Upstream::tiny(),
        };
        let middle = match std::env::var(PROXY) {
            Ok(address) => {
                let address = address.parse();
                Middle::Other(address.unwrap_or_else(|_| panic!("{PROXY} is no address")))
            }
            Err(_) => {
                let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
                Middle::Lubdub(Box::new(Binary::start(&listener, &settings).await))
            }
        };
        Stage {
            middle,
            upstreams: Upstreams {
                listener,
                buffers: self.buffers,
            },
        }
    }

    /// Starts, and opens one pair: this side's end first, then the other's.
    pub(crate) async fn pair(self, near: Side) -> (Stage, Peer, Peer) {
        let stage = self.raise().await;
        let (near, far) = stage.pair(near).await;
        (stage, near, far)
    }
}

// === impl Stage ===

impl Stage {
    /// A client that has connected and said nothing yet.
    pub(crate) async fn connect(&self) -> Peer {
        let dial = Dial::to(match &self.middle {
            Middle::Lubdub(binary) => binary.address(),
            Middle::Other(address) => *address,
        });
        match self.upstreams.buffers {
            Buffers::Usual => dial.connect().await,
            Buffers::Tiny => dial.tiny().connect().await,
        }
    }

    /// An upgrade that finds its way to the upstream of this case.
    pub(crate) fn upgrade(&self, target: &str) -> Request {
        let host = self.upstreams.listener.address().to_string();
        Request::upgrade(target).host(&host)
    }

    /// The next connection to the upstream.
    pub(crate) async fn accept(&self) -> Peer {
        self.upstreams.listener.accept().await
    }

    /// Opens a pair: this side's end first, then the other's.
    pub(crate) async fn pair(&self, near: Side) -> (Peer, Peer) {
        let mut client = self.connect().await;
        client.ask(&self.upgrade("/")).await;
        let upstream = self.upstreams.listener.accept_websocket().await;
        client.expect_switch().await;
        match near {
            Side::Client => (client, upstream),
            Side::Upstream => (upstream, client),
        }
    }

    /// Whether own pings are to be among what is heard: without any, a case about bytes would say
    /// little.
    pub(crate) fn beats(&self) -> Beats {
        match self.middle {
            Middle::Lubdub(_) => Beats::Expected,
            Middle::Other(_) => Beats::Absent,
        }
    }

    /// Checks that own pings were among what was heard, if it was lubdub that passed it on.
    pub(crate) fn check_beats(&self, pings: usize) {
        match self.beats() {
            Beats::Expected => assert!(pings > 0, "there was no own ping among all that"),
            Beats::Absent => assert_eq!(pings, 0, "this proxy pings too"),
        }
    }

    /// Checks that lubdub has dropped nobody for being silent.
    pub(crate) async fn expect_no_lapse(&self) {
        if let Middle::Lubdub(binary) = &self.middle {
            let lapses = binary.scrape().await.sum("lubdub_lapses_total", &[]);
            assert!(lapses < 0.5, "somebody was dropped for being silent");
        }
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.listener.address();
        write!(f, "Upstreams({address}, {:?})", self.buffers)
    }
}
