//! Who may come in, and who only seems to.

use ipnet::IpNet;
use lubdub_proxy::settings;

use super::super::{raw, read};
use super::{Findings, Leaf, Subject, leaf};

pub(super) fn strip_nothing(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (set, meant) in routes(subject) {
        if meant.strip_prefix && meant.path_prefix == "/" {
            findings.warn(
                leaf(&set.strip_prefix),
                "there is nothing to strip: path_prefix is \"/\"",
            );
        }
    }
}

pub(super) fn origin_plain(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (set, meant) in routes(subject) {
        let mut origins = meant.access.origins.iter();
        if let Some(plain) = origins.find(|origin| origin.is_in_clear_text()) {
            findings.warn(
                leaf(&set.origins),
                format!(
                    "whoever is between a browser and {plain} can change that page, and come in by it"
                ),
            );
        }
    }
}

pub(super) fn allow_denied(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    for (set, meant) in routes(subject) {
        let allowed = networks(leaf(&set.allow));
        let mut denied = allowed.iter().filter(|it| meant.access.deny.cover(it));
        if let Some(network) = denied.next() {
            findings.warn(
                leaf(&set.allow),
                format!(
                    "nobody from {network} comes in: all of it is in deny = {}, which goes before allow",
                    leaf(&set.deny).value
                ),
            );
        }
    }
}

/// Routes are resolved in the order of their names.
fn routes<'a>(
    subject: &'a Subject<'_>,
) -> impl Iterator<Item = (&'a raw::Route, &'a settings::Route)> {
    let meant = subject.resolved.settings.routes.iter();
    (subject.raw.route.values()).zip(meant.map(|route| &**route))
}

fn networks(leaf: &Leaf) -> Vec<IpNet> {
    read::networks(&leaf.value).unwrap_or_default()
}
