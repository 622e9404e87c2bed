//! `lubdub check`: a summary of a configuration without mistakes, and what will not do in it.

use lubdub_proxy::Address;
use lubdub_proxy::settings::Site;
use lubdub_proxy::tls::UpstreamTls;
use lubdub_proxy::unix::Permissions;

use crate::certificates::beginning;
use crate::config::{CertificateSettings, Config};
use crate::output;
use crate::plural::plural;

/// What becomes of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnWarning {
    /// They are told.
    Tell,
    /// They make the configuration a wrong one.
    Deny,
}

/// Tells of `config` in short, and warns of what will not do in it.
pub(crate) fn check(config: &Config, on_warning: OnWarning) -> anyhow::Result<()> {
    let warnings = &config.warnings;
    if !warnings.is_empty() {
        match on_warning {
            OnWarning::Tell => output::complain(warnings),
            OnWarning::Deny => return Err(warnings.clone().into()),
        }
    }
    Ok(output::print(&summary(config))?)
}

/// What is special about TLS with an upstream, behind its address.
fn of_tls(tls: &UpstreamTls) -> String {
    let verified = match tls.trust().is_blind() {
        true => "not verified".to_owned(),
        false => format!("verified as {}", tls.name().to_str()),
    };
    let shown = tls.certificate().map(|certificate| {
        let until = certificate.not_after();
        format!(", is shown a certificate until {until}")
    });
    format!(", {verified}{}", shown.unwrap_or_default())
}

/// What `config` says, in short.
fn summary(config: &Config) -> String {
    let settings = &config.settings;
    let counted = |count: usize, noun| format!("{count} {}", plural(count as u64, noun));
    let mut lines = vec!["ok".to_owned()];
    for listener in &settings.listeners {
        let address = match (&listener.address, &listener.tls) {
            (Address::Ip(address), Some(_)) => format!("wss://{address}"),
            (Address::Ip(address), None) => format!("ws://{address}"),
            (Address::Unix(path), Some(_)) => {
                format!(
                    "wss+unix:{}, {}",
                    path.display(),
                    permissions(listener.permissions)
                )
            }
            (path @ Address::Unix(_), None) => {
                format!("{path}, {}", permissions(listener.permissions))
            }
        };
        lines.push(format!("listen {}: {address}", listener.name));
        let of_listener = |each: &&CertificateSettings| each.listener == listener.name;
        for each in config.certificates.iter().filter(of_listener) {
            let certificate = each.certificates.get(each.place);
            let names = match certificate.names() {
                [] => "no host names".to_owned(),
                names => beginning(names),
            };
            lines.push(format!(
                "certificate {} of {}: {names}, until {}",
                each.name,
                each.listener,
                certificate.not_after()
            ));
        }
    }
    for each in &config.clients {
        let Some(authorities) = each.tls.authorities() else {
            continue;
        };
        let lists = match authorities.lists() {
            0 => "nothing revoked".to_owned(),
            lists => format!("lists of revoked ones: {lists}"),
        };
        let (listener, count) = (&each.listener, authorities.count());
        lines.push(format!(
            "certificates of clients of {listener}: from {count} authorities, {lists}"
        ));
    }
    for route in &settings.routes {
        let upstream = &route.upstream;
        let host = route.host.as_ref().map(ToString::to_string);
        let host = host.as_deref().unwrap_or("*");
        lines.push(format!(
            "route {}: {host}{} to {}",
            route.name, route.path_prefix, upstream.name
        ));
    }
    // Upstreams as the routes know them: one without a route is never asked.
    let mut upstreams: Vec<_> = settings
        .routes
        .iter()
        .map(|route| &route.upstream)
        .collect();
    upstreams.sort_by(|a, b| a.name.cmp(&b.name));
    upstreams.dedup_by(|a, b| a.name == b.name);
    for upstream in upstreams {
        let place = match (&upstream.site, &upstream.tls) {
            (Site::Named { .. }, Some(_)) => format!("wss://{}", upstream.authority()),
            (Site::Named { .. }, None) => format!("ws://{}", upstream.authority()),
            (Site::Unix(path), Some(_)) => format!("wss+unix:{}", path.display()),
            (Site::Unix(path), None) => format!("unix:{}", path.display()),
        };
        lines.push(format!(
            "upstream {}: {place}{}",
            upstream.name,
            upstream.tls.as_deref().map(of_tls).unwrap_or_default()
        ));
    }
    if let Some(admin) = &config.admin {
        let token = if admin.token.is_some() {
            "with a token"
        } else {
            "without a token"
        };
        let address = match &admin.address {
            Address::Ip(address) => format!("http://{address}"),
            path @ Address::Unix(_) => format!("{path}, {}", permissions(admin.permissions)),
        };
        lines.push(format!("admin: {address}, {token}"));
    }
    lines.push(format!(
        "up to {}, {}",
        counted(settings.limits.pairs, "pair"),
        counted(settings.workers.get(), "worker")
    ));
    for (flag, replaced) in config.replacements() {
        lines.push(format!("{flag} replaces {replaced}"));
    }
    lines.join("\n") + "\n"
}

/// Who may connect to a Unix socket.
fn permissions(Permissions { mode, group }: Permissions) -> String {
    match group {
        Some(group) => format!("mode {mode:04o}, group {group}"),
        None => format!("mode {mode:04o}"),
    }
}
