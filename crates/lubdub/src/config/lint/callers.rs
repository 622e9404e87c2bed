//! Who is believed about who is calling, and what is said of it to whom.

use lubdub_proxy::settings::{ProxyProtocol, Trust};

use super::super::read;
use super::{Findings, Origin, Subject, leaf};

/// Whether some network has all addresses of a family.
fn has_everybody(trust: &Trust) -> bool {
    trust
        .networks
        .iter()
        .any(|network| network.prefix_len() == 0)
}

pub(super) fn trust_everybody(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let of_listeners = subject.raw.listen.values().map(|listen| &listen.trust);
    for set in of_listeners.chain([&subject.raw.forwarded.trust]) {
        let Some(set) = set else {
            continue;
        };
        if read::trust(&set.value).is_ok_and(|trust| has_everybody(&trust)) {
            findings.warn(
                set,
                "everybody is believed about who the client is: whoever reaches the listener can \
                 have any address",
            );
        }
    }
}

pub(super) fn proxy_header_untrusted(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let settings = &subject.resolved.settings;
    // Listeners are resolved in the order of their names.
    for (set, meant) in subject.raw.listen.values().zip(&settings.listeners) {
        let trust = meant.trust.as_ref().unwrap_or(&settings.forwarded.trust);
        if meant.proxy_protocol == ProxyProtocol::Optional && trust.is_nobody() {
            findings.warn(
                leaf(&set.proxy_protocol),
                "nobody is trusted to send a PROXY header (neither listen.NAME.trust nor \
                 forwarded.trust names anybody): each is a 400",
            );
        }
    }
}

pub(super) fn pool_unused(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for upstream in subject.raw.upstream.values() {
        let pool = leaf(&upstream.pool);
        let is_meant = pool.origin != Origin::Default && read::switch(&pool.value) == Ok(true);
        let header = leaf(&upstream.proxy_protocol);
        if is_meant && read::text(&header.value) != Ok("off") {
            let reason = format!(
                "no connection is kept: each has a PROXY header for one client in front of it ({} = {})",
                header.key, header.value
            );
            findings.warn(pool, reason);
        }
    }
}
