//! Pairs in a registry, for unit tests.

use super::*;

/// A pair of this route whose client is there.
pub(crate) fn identity(route: &str, client: &str) -> Identity {
    let client = client.parse().expect("an address and a port");
    Identity {
        names: Arc::new(PairNames {
            listener: "public".into(),
            route: route.into(),
            upstream: "main".into(),
        }),
        caller: Caller::peer(crate::address::Peer::Ip(client)),
        upstream: Address::Ip(client),
        request: None,
        request_id: None,
        proxy_header: None,
    }
}

/// By tokio's clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
