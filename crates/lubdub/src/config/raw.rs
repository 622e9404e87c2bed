//! What was set, in the shape in which it is read; nothing has been understood yet.
//!
//! Every key is optional here, and every value is a [`Leaf`], so that what is wrong with it can be
//! said later together with everything else. Unknown keys are an error in every table. (Nothing is
//! flattened: `serde(flatten)` would undo that.)

use std::collections::BTreeMap;

use serde::Deserialize;

use super::leaf::Leaf;

/// Declares a table whose entries are all values.
macro_rules! values {
    ($(#[$doc:meta])* $name:ident { $($key:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name {
            $(pub $key: Option<Leaf>,)+
        }

        impl $name {
            /// What is set here, and `weaker` for the rest.
            fn over(&self, weaker: &Self) -> Self {
                Self { $($key: self.$key.as_ref().or(weaker.$key.as_ref()).cloned(),)+ }
            }
        }
    };
}

/// Declares a table of anything.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name {
            $(pub $key: $type,)+
        }
    };
}

table!(
    /// Everything.
    Raw {
        listen: BTreeMap<String, Listen>,
        upstream: BTreeMap<String, Upstream>,
        route: BTreeMap<String, Route>,
        keepalive: Keepalive,
        timeouts: Timeouts,
        limits: Limits,
        close: Close,
        drain: Drain,
        forwarded: Forwarded,
        admin: Admin,
        log: Log,
        handover: Handover,
        runtime: Runtime,
    }
);

table!(
    /// `listen.NAME`
    Listen {
        address: Option<Leaf>,
        mode: Option<Leaf>,
        group: Option<Leaf>,
        proxy_protocol: Option<Leaf>,
        trust: Option<Leaf>,
        tls: Option<Tls>,
    }
);

table!(
    /// `listen.NAME.tls`
    Tls {
        client_auth: Option<Leaf>,
        client_ca: Option<Leaf>,
        client_crl: Option<Leaf>,
        subject_header: Option<Leaf>,
        watch: Option<Leaf>,
        certificate: BTreeMap<String, Certificate>,
    }
);

table!(
    /// `listen.NAME.tls.certificate.NAME`
    Certificate { cert: Option<Leaf>, key: Option<Leaf> }
);

table!(
    /// `upstream.NAME`
    Upstream {
        url: Option<Leaf>,
        ca: Option<Leaf>,
        certificate: Option<Leaf>,
        key: Option<Leaf>,
        server_name: Option<Leaf>,
        insecure_skip_verify: Option<Leaf>,
        host: Option<Leaf>,
        proxy_protocol: Option<Leaf>,
        limits: UpstreamLimits,
        pool: Option<Leaf>,
        pool_age: Option<Leaf>,
        on_removed: Option<Leaf>,
    }
);

table!(
    /// `upstream.NAME.limits`
    UpstreamLimits { waiting: Option<Leaf>, requests: Option<Leaf> }
);

table!(
    /// `route.NAME`
    Route {
        host: Option<Leaf>,
        path_prefix: Option<Leaf>,
        strip_prefix: Option<Leaf>,
        origins: Option<Leaf>,
        origin_missing: Option<Leaf>,
        allow: Option<Leaf>,
        deny: Option<Leaf>,
        upstream: Option<Leaf>,
        on_removed: Option<Leaf>,
        boundary_wait: Option<Leaf>,
        keepalive: Keepalive,
        close: Close,
        timeouts: PairTimeouts,
        limits: RouteLimits,
        rate: Rates,
    }
);

table!(
    /// `route.NAME.limits`
    RouteLimits { pairs: Option<Leaf>, frame_bytes: Option<Leaf> }
);

table!(
    /// `route.NAME.rate`
    Rates { to_client: Rate, to_upstream: Rate }
);

table!(
    /// `route.NAME.rate.to_client` and `route.NAME.rate.to_upstream`
    Rate { bytes: Option<Leaf>, messages: Option<Leaf> }
);

table!(
    /// `keepalive`
    Keepalive { client: Side, upstream: Side }
);

values!(
    /// `keepalive.client` and `keepalive.upstream`
    Side { interval, timeout, mode, evidence, enforce, jitter, boundary_wait }
);

table!(
    /// `close`
    Close { to_client: ToClient, to_upstream: ToUpstream }
);

values!(
    /// `close.to_client`
    ToClient { reason, upstream_lapsed, upstream_stalled, drain, lifetime, data_idle, frame_too_big, limit }
);

values!(
    /// `close.to_upstream`
    ToUpstream { reason, client_lapsed, client_stalled, drain, lifetime, data_idle, frame_too_big, limit }
);

table!(
    /// `timeouts`
    Timeouts {
        first_byte: Option<Leaf>,
        request_head: Option<Leaf>,
        tls: Option<Leaf>,
        proxy_header: Option<Leaf>,
        connect: Option<Leaf>,
        answer: Option<Leaf>,
        http_idle: Option<Leaf>,
        write_stall: Option<Leaf>,
        close: Option<Leaf>,
        data_idle: Option<Leaf>,
        lifetime: Option<Leaf>,
    }
);

values!(
    /// `route.NAME.timeouts`
    PairTimeouts { connect, answer, http_idle, write_stall, close, data_idle, lifetime }
);

table!(
    /// `limits`
    Limits {
        pairs: Option<Leaf>,
        pairs_per_source: Option<Leaf>,
        handshake_rate: Option<Leaf>,
        handshakes: Option<Leaf>,
        connections: Option<Leaf>,
        head_bytes: Option<Leaf>,
        frame_bytes: Option<Leaf>,
    }
);

table!(
    /// `drain`
    Drain { delay: Option<Leaf>, spread: Option<Leaf>, timeout: Option<Leaf> }
);

table!(
    /// `forwarded`
    Forwarded {
        style: Option<Leaf>,
        trust: Option<Leaf>,
        via: Option<Leaf>,
        request_id: Option<Leaf>,
    }
);

table!(
    /// `admin`
    Admin {
        address: Option<Leaf>,
        mode: Option<Leaf>,
        group: Option<Leaf>,
        token_file: Option<Leaf>,
        hosts: Option<Leaf>,
    }
);

table!(
    /// `log`
    Log {
        format: Option<Leaf>,
        level: Option<Leaf>,
        request: Option<Leaf>,
        refusals: Option<Leaf>,
    }
);

table!(
    /// `handover`
    Handover {
        socket: Option<Leaf>,
        mode: Option<Leaf>,
        group: Option<Leaf>,
        linger: Option<Leaf>,
    }
);

table!(
    /// `runtime`
    Runtime {
        workers: Option<Leaf>,
        io_uring: Option<Leaf>,
    }
);

/// What a pair's terms are made of: the keys that can be set per route.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The heartbeats.
    pub keepalive: Keepalive,
    /// The close codes.
    pub close: Close,
    /// The waits.
    pub timeouts: PairTimeouts,
    /// The largest frame.
    pub frame_bytes: Option<Leaf>,
}

// === impl Raw ===

impl Raw {
    /// The terms of routes that set nothing of their own.
    pub(crate) fn terms(&self) -> Terms {
        let Timeouts {
            connect,
            answer,
            http_idle,
            write_stall,
            close,
            data_idle,
            lifetime,
            ..
        } = self.timeouts.clone();
        Terms {
            keepalive: self.keepalive.clone(),
            close: self.close.clone(),
            timeouts: PairTimeouts {
                connect,
                answer,
                http_idle,
                write_stall,
                close,
                data_idle,
                lifetime,
            },
            frame_bytes: self.limits.frame_bytes.clone(),
        }
    }
}

// === impl Route ===

impl Route {
    /// The terms of this route: what it sets itself, and `weaker` for the rest.
    pub(crate) fn terms(&self, weaker: &Terms) -> Terms {
        // The shorthand is weaker than the route's own word on a side.
        let both = Side {
            boundary_wait: self.boundary_wait.clone(),
            ..Side::default()
        };
        let side = |own: &Side, weaker: &Side| own.over(&both).over(weaker);
        Terms {
            keepalive: Keepalive {
                client: side(&self.keepalive.client, &weaker.keepalive.client),
                upstream: side(&self.keepalive.upstream, &weaker.keepalive.upstream),
            },
            close: Close {
                to_client: self.close.to_client.over(&weaker.close.to_client),
                to_upstream: self.close.to_upstream.over(&weaker.close.to_upstream),
            },
            timeouts: self.timeouts.over(&weaker.timeouts),
            frame_bytes: self
                .limits
                .frame_bytes
                .clone()
                .or_else(|| weaker.frame_bytes.clone()),
        }
    }
}
