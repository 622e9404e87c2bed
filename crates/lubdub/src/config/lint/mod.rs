//! What will not do in practice: the one table of what `lubdub check` warns of.
//!
//! A rule looks at a configuration that has no mistake. Each has a section of its name in
//! docs/topics/checks.md, and is silent about the defaults.

mod access;
mod callers;
mod certificates;
mod clients;
mod ends;
mod heartbeat;
mod process;

use lubdub_proxy::settings;

use super::ClientAuth;
use super::layers::Unread;
use super::leaf::Leaf;
use super::machine::Machine;
use super::origin::Origin;
use super::raw::{self, Raw};
use super::read;
use super::resolve::Resolved;
use super::warning::Warnings;

/// One kind of warning.
struct Rule {
    /// Its name.
    slug: &'static str,
    /// Looks for it.
    find: fn(&Subject<'_>, &mut Findings<'_>),
}

/// All of them, in the order in which they are explained.
static RULES: [Rule; 28] = [
    rule("interval-long", heartbeat::interval_long),
    rule("interval-short", heartbeat::interval_short),
    rule("interval-off", heartbeat::interval_off),
    rule("enforce-never", heartbeat::enforce_never),
    rule("lapse-slow", heartbeat::lapse_slow),
    rule("boundary-wait-long", heartbeat::boundary_wait_long),
    rule("write-stall-off", heartbeat::write_stall_off),
    rule("close-1014", ends::bad_gateway),
    rule("close-1000", ends::normal),
    rule("drain-short", ends::drain_short),
    rule("trust-everybody", callers::trust_everybody),
    rule("proxy-header-untrusted", callers::proxy_header_untrusted),
    rule("pool-unused", callers::pool_unused),
    rule("upstream-unused", process::upstream_unused),
    rule("limit-unreachable", process::limit_unreachable),
    rule("strip-nothing", access::strip_nothing),
    rule("origin-plain", access::origin_plain),
    rule("allow-denied", access::allow_denied),
    rule("certificate-expiry", certificates::certificate_expiry),
    rule("certificate-unused", certificates::certificate_unused),
    rule("client-auth-off", clients::client_auth_off),
    rule("client-ca-weak", clients::client_ca_weak),
    rule("client-crl-missing", clients::client_crl_missing),
    rule("client-crl-old", clients::client_crl_old),
    rule("upstream-unverified", certificates::upstream_unverified),
    rule("admin-open", process::admin_open),
    rule("admin-public", process::admin_public),
    rule("variable-unread", process::variable_unread),
];

/// What rules look at: what was set, and what it means.
struct Subject<'a> {
    raw: &'a Raw,
    resolved: &'a Resolved,
    machine: &'a Machine,
    unread: &'a [Unread],
    /// The terms of every route.
    terms: Vec<Terms<'a>>,
}

/// The terms of a route.
struct Terms<'a> {
    set: raw::Terms,
    meant: &'a settings::Terms,
}

/// What a rule has found.
struct Findings<'a> {
    slug: &'static str,
    warnings: &'a mut Warnings,
}

/// Everything that an operator should know about a configuration that `raw` was resolved to.
pub(super) fn find(
    raw: &Raw,
    resolved: &Resolved,
    unread: &[Unread],
    machine: &Machine,
) -> Warnings {
    let base = raw.terms();
    // Routes are resolved in the order of their names.
    let routes = raw.route.values().zip(&resolved.settings.routes);
    let terms = routes
        .map(|(set, meant)| Terms {
            set: set.terms(&base),
            meant: &meant.terms,
        })
        .collect();
    let subject = Subject {
        raw,
        resolved,
        machine,
        unread,
        terms,
    };
    let mut warnings = Warnings::default();
    for Rule { slug, find } in &RULES {
        find(
            &subject,
            &mut Findings {
                slug,
                warnings: &mut warnings,
            },
        );
    }
    warnings
}

const fn rule(slug: &'static str, find: fn(&Subject<'_>, &mut Findings<'_>)) -> Rule {
    Rule { slug, find }
}

/// A value that is there because it has a default.
fn leaf(leaf: &Option<Leaf>) -> &Leaf {
    leaf.as_ref()
        .expect("what was resolved has a value for every key with a default")
}

/// Of values that do not go together, the first that somebody has set.
fn blamed<const N: usize>(leaves: [&Option<Leaf>; N]) -> &Leaf {
    let leaves = leaves.map(leaf);
    leaves
        .into_iter()
        .find(|leaf| leaf.origin != Origin::Default)
        .unwrap_or(leaves[0])
}

// === impl Findings ===

impl Findings<'_> {
    /// Warns of `leaf`.
    fn warn(&mut self, leaf: &Leaf, reason: impl Into<String>) {
        self.warnings.push(self.slug, leaf, reason.into());
    }

    /// Warns of a variable.
    fn warn_of_variable(&mut self, name: &str, reason: String) {
        self.warnings.push_variable(self.slug, name, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_warning_is_explained_and_nothing_else_is() {
        let known: Vec<_> = RULES.iter().map(|rule| rule.slug).collect();
        assert_eq!(super::super::warnings(), known);
    }
}
