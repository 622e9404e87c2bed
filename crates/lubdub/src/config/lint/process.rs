//! What the process cannot carry, what nobody uses, and who can look in.

use std::net::IpAddr;

use super::super::read;
use super::{Findings, Leaf, Origin, Subject, Unread, leaf};
use crate::plural::plural;

/// Where an address can be reached from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// This machine.
    Loopback,
    /// A private network, or whatever the machine is connected to.
    Network,
    /// The internet.
    Public,
}

pub(super) fn upstream_unused(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let routes = &subject.resolved.settings.routes;
    for (name, upstream) in &subject.raw.upstream {
        if !routes.iter().any(|route| *route.upstream.name == **name) {
            findings.warn(leaf(&upstream.url), "no route leads to this upstream");
        }
    }
}

pub(super) fn limit_unreachable(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let limits = &subject.resolved.settings.limits;
    let files = subject.machine.files;
    if let Some(set) = unreachable_handshakes(subject) {
        findings.warn(
            set,
            format!(
                "is never reached: there are at most {} connections of clients, those with pairs \
                 among them, and more wait (limits.connections = {}, and {files} file descriptors)",
                limits.connections,
                leaf(&subject.raw.limits.connections).value
            ),
        );
    }
    let waiters = subject.raw.upstream.values().flat_map(|upstream| {
        let limits = &upstream.limits;
        [&limits.waiting, &limits.requests]
    });
    for set in waiters.chain([&subject.raw.limits.pairs]) {
        let set = leaf(set);
        // "auto" is no more than there can be.
        if read::count_or_auto(&set.value).is_ok_and(|count| count > Some(limits.connections)) {
            findings.warn(
                set,
                format!(
                    "is never reached: each of them is a connection of a client, and \
                     limits.connections is {}",
                    limits.connections
                ),
            );
        }
    }

    let source = (
        &subject.raw.limits.pairs_per_source,
        limits.pairs_per_source,
    );
    // Routes are resolved in the order of their names.
    let routes = subject
        .raw
        .route
        .values()
        .zip(&subject.resolved.settings.routes);
    let routes = routes.map(|(set, meant)| (&set.limits.pairs, meant.pairs));
    for (set, meant) in routes.chain([source]) {
        if let Some(set) = set
            && meant > Some(limits.pairs)
        {
            findings.warn(
                set,
                format!(
                    "is never reached: there are at most {} {} at a time in all (limits.pairs = \
                     {}, and {files} file descriptors)",
                    limits.pairs,
                    plural(limits.pairs as u64, "pair"),
                    leaf(&subject.raw.limits.pairs).value
                ),
            );
        }
    }
}

pub(super) fn admin_open(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let Some(admin) = &subject.resolved.admin else {
        return;
    };
    if admin.address.ip().map(|ip| reach(ip.ip())) == Some(Reach::Network) {
        findings.warn(
            leaf(&subject.raw.admin.address),
            match admin.token {
                None => {
                    "/metrics is open to whoever can reach this address; /api answers only this \
                     machine, for there is no admin.token_file"
                }
                Some(_) => {
                    "/metrics is open to whoever can reach this address, with or without the \
                     token: that guards only /api, and is sent in clear text"
                }
            },
        );
    }
}

pub(super) fn admin_public(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let Some(admin) = &subject.resolved.admin else {
        return;
    };
    if admin.address.ip().map(|ip| reach(ip.ip())) == Some(Reach::Public) {
        findings.warn(
            leaf(&subject.raw.admin.address),
            match admin.token {
                None => {
                    "is an address of the internet: /metrics is open to everybody; /api answers \
                     only this machine, for there is no admin.token_file"
                }
                Some(_) => {
                    "is an address of the internet: /metrics is open to everybody, with or without \
                     the token: that guards only /api, and is sent in clear text"
                }
            },
        );
    }
}

pub(super) fn variable_unread(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for Unread { name, meant } in subject.unread {
        let reason = format!("nobody reads this variable; did you mean {meant}?");
        findings.warn_of_variable(name, reason);
    }
}

/// A bound of handshakes that is above what the file limit carries of connections.
fn unreachable_handshakes<'a>(subject: &'a Subject<'_>) -> Option<&'a Leaf> {
    let limits = &subject.resolved.settings.limits;
    let set = leaf(&subject.raw.limits.handshakes);
    // The default is for machines of every size.
    (limits.handshakes > limits.connections && set.origin != Origin::Default).then_some(set)
}

fn reach(address: IpAddr) -> Reach {
    let address = address.to_canonical();
    if address.is_loopback() {
        return Reach::Loopback;
    }
    let is_of_a_network = address.is_unspecified()
        || match address {
            IpAddr::V4(address) => {
                // 100.64.0.0/10 is the network behind a carrier's NAT (RFC 6598).
                let is_shared = matches!(address.octets(), [100, 64..=127, ..]);
                address.is_private() || address.is_link_local() || is_shared
            }
            IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
        };
    if is_of_a_network {
        Reach::Network
    } else {
        Reach::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_this_machine_of_a_network_or_of_the_internet() {
        for (address, expected) in [
            ("127.0.0.1", Reach::Loopback),
            ("127.9.9.9", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("0.0.0.0", Reach::Network),
            ("::", Reach::Network),
            ("10.0.0.1", Reach::Network),
            ("172.31.0.1", Reach::Network),
            ("192.168.0.1", Reach::Network),
            ("169.254.0.1", Reach::Network),
            ("100.64.0.1", Reach::Network),
            ("fd00::1", Reach::Network),
            ("fe80::1", Reach::Network),
            ("100.63.0.1", Reach::Public),
            ("172.32.0.1", Reach::Public),
            ("203.0.113.1", Reach::Public),
            ("2001:db8::1", Reach::Public),
        ] {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }
}
