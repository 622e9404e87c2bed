//! A pair in the making of which the test has no interest: a client, an upstream, and lubdub
//! between them.

use lubdub_keepalive::Side;

use crate::peer::{Dial, Peer, Upstream};
use crate::proxy::{ProxyBox, RunningProxy};

/// A proxy with one pair.
#[derive(Debug)]
pub struct Rig {
    /// lubdub.
    pub proxy: RunningProxy,
    /// The client's end.
    pub client: Peer,
    /// The upstream's end.
    pub upstream: Peer,
}

impl Rig {
    /// The proxy, the peer of a side, and the other one.
    #[must_use]
    pub fn near_and_far(self, side: Side) -> (RunningProxy, Peer, Peer) {
        match side {
            Side::Client => (self.proxy, self.client, self.upstream),
            Side::Upstream => (self.proxy, self.upstream, self.client),
        }
    }

    /// Starts the proxy and opens a pair.
    pub async fn open(proxy: ProxyBox) -> Self {
        Self::open_with(proxy, &Upstream::listen(), |dial| dial).await
    }

    /// The same, with peers of a special kind.
    pub async fn open_with(
        proxy: ProxyBox,
        upstream: &Upstream,
        dial: impl FnOnce(Dial) -> Dial,
    ) -> Self {
        let proxy = proxy.start(upstream);
        let dial = dial(proxy.dial());
        let (client, upstream) = dial.pair(upstream).await;
        proxy.expect_pairs(1).await;
        Self {
            proxy,
            client,
            upstream,
        }
    }

    /// Both endpoints answer every ping, and the test does not see them.
    #[must_use]
    pub fn polite(mut self) -> Self {
        self.client.answer_pings();
        self.upstream.answer_pings();
        self
    }
}
