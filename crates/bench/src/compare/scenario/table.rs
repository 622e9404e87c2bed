//! What is measured, and the bars. Less is better everywhere.

use super::{Bar, FEW, LARGE, Load, MANY, Scenario};

/// All of them, in the order in which they are measured.
pub(in crate::compare) static SCENARIOS: [Scenario; 14] = [
    Scenario {
        id: "relay-125",
        title: "Relay, 125 B messages, 64 connections",
        about: "Every connection has one message under way and sends the next when its echo is back.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Peer("nginx", 1.0), Bar::Variant("floor-tokio", 1.06)],
        load: relay(FEW, 125),
    },
    Scenario {
        id: "relay-64-of-9000",
        title: "Relay, 125 B messages, 64 of 9,000 connections",
        about: "64 connections as before, and 8,936 that are open and silent.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Peer("nginx", 1.0)],
        load: Load::Relay {
            connections: FEW,
            idle: MANY - FEW,
            bytes: 125,
        },
    },
    Scenario {
        id: "heartbeat",
        title: "Heartbeat, 9,000 pairs at 2.7 s",
        about: "Both sides of every pair are pinged every 2.7 s, as often as 100,000 pairs at 30 s \
                would be. The peers have nothing like it.",
        unit: "us of CPU per ping with its pong",
        decimals: 2,
        tls: false,
        bars: &[
            Bar::Elsewhere {
                scenario: "relay-sparse",
                peer: "nginx",
                at_most: 0.5,
            },
            Bar::AllAlive,
        ],
        load: Load::Heartbeat,
    },
    Scenario {
        id: "relay-sparse",
        title: "Relay, 125 B messages, few of them on 9,000 connections",
        about: "3,333 echoes a second, each on another connection: as many messages as there are \
                pings in heartbeat, for comparison with it. A proxy that has little to do at a time \
                pays more for each thing than one that is busy.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[],
        load: Load::Sparse,
    },
    Scenario {
        id: "latency",
        title: "Latency at half the saturation rate",
        about: "125 B messages on 64 connections at half the rate that the slower of lubdub and \
                nginx reach on them. They are sent by a schedule that waits for no echo.",
        unit: "us, 99th percentile",
        decimals: 0,
        tls: false,
        bars: &[Bar::Peer("nginx", 1.0)],
        load: Load::Latency,
    },
    Scenario {
        id: "relay-1000",
        title: "Relay, 125 B messages, 1,000 connections",
        about: "As before, with more connections.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Peer("nginx", 0.97)],
        load: relay(1_000, 125),
    },
    Scenario {
        id: "relay-16k",
        title: "Relay, 16 KiB messages, 64 connections",
        about: "As before, with larger messages.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: false,
        bars: &[Bar::Best(0.9)],
        load: relay(FEW, LARGE),
    },
    Scenario {
        id: "bulk",
        title: "Bulk, 1 MiB messages, 4 connections",
        about: "Every connection has one message under way.",
        unit: "s of CPU per GiB relayed",
        decimals: 3,
        tls: false,
        bars: &[Bar::Best(1.0), Bar::Variant("haproxy", 0.75)],
        load: Load::Bulk,
    },
    Scenario {
        id: "churn",
        title: "Churn: connect, handshake, one echo, close",
        about: "32 sessions at a time, each followed by the next.",
        unit: "us of CPU per session",
        decimals: 1,
        tls: false,
        bars: &[Bar::Peer("haproxy", 1.0), Bar::Own("lubdub-2w", 1.05)],
        load: Load::Churn,
    },
    Scenario {
        id: "idle",
        title: "Memory of 9,000 idle pairs after a storm",
        about: "9,000 connects, 2,000 at a time, from 256 source addresses; one echo each; then \
                nothing.",
        unit: "KiB of private memory per pair",
        decimals: 2,
        tls: false,
        bars: &[Bar::Absolute(2.3)],
        load: Load::Idle { connections: MANY },
    },
    Scenario {
        id: "relay-wss",
        title: "Relay over TLS, 125 B messages, 64 connections",
        about: "As relay-125; clients speak TLS 1.3 to the proxy, and the proxy speaks plain \
                WebSocket to the backend.",
        unit: "us of CPU per message",
        decimals: 2,
        tls: true,
        bars: &[Bar::Peer("nginx", 1.0), Bar::Peer("haproxy", 1.0)],
        load: relay(FEW, 125),
    },
    Scenario {
        id: "bulk-wss",
        title: "Bulk over TLS, 1 MiB messages, 4 connections",
        about: "As bulk; clients speak TLS 1.3 (AES-128-GCM) to the proxy.",
        unit: "s of CPU per GiB relayed",
        decimals: 3,
        tls: true,
        bars: &[Bar::Peer("haproxy", 1.0)],
        load: Load::Bulk,
    },
    Scenario {
        id: "churn-wss",
        title: "Churn over TLS",
        about: "As churn, every session with a full TLS 1.3 handshake (ECDSA on P-256, X25519, \
                AES-128-GCM).",
        unit: "us of CPU per session",
        decimals: 1,
        tls: true,
        bars: &[Bar::Peer("nginx", 0.9), Bar::Peer("haproxy", 0.9)],
        load: Load::Churn,
    },
    Scenario {
        id: "idle-wss",
        title: "Memory of 2,000 idle pairs over TLS",
        about: "As idle, with fewer connections.",
        unit: "KiB of private memory per pair",
        decimals: 2,
        tls: true,
        bars: &[Bar::Peer("haproxy", 0.5), Bar::Absolute(8.0)],
        load: Load::Idle { connections: 2_000 },
    },
];

const fn relay(connections: usize, bytes: usize) -> Load {
    Load::Relay {
        connections,
        idle: 0,
        bytes,
    }
}
