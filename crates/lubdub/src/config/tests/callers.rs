//! Who is believed about who is calling.

use lubdub_proxy::settings::{ProxyProtocol, ProxyVersion, Trust};

use super::*;

const HEADER: &str = "listen.a.proxy_protocol";
const TRUST: &str = "listen.a.trust";
const EVERYBODYS: &str = "forwarded.trust";

#[test]
fn a_listener_has_a_trust_of_its_own_or_that_of_all() {
    let listener = |more: &[(&str, &str)]| with(more).unwrap().settings.listeners[0].clone();
    let of_all = listener(&[(EVERYBODYS, "10.0.0.0/8")]);
    assert_eq!(
        (of_all.trust, of_all.proxy_protocol),
        (None, ProxyProtocol::Off)
    );
    let own = listener(&[(HEADER, "required"), (TRUST, "unix,192.0.2.1")]);
    let expected = Trust {
        networks: vec!["192.0.2.1/32".parse().unwrap()],
        unix: true,
    };
    assert_eq!(own.trust, Some(expected));
    assert_eq!(own.proxy_protocol, ProxyProtocol::Required);
    let nobody = listener(&[(EVERYBODYS, "10.0.0.0/8"), (TRUST, "")]);
    assert_eq!(nobody.trust, Some(Trust::default()));
}

#[test]
fn a_header_that_nobody_may_send_is_not_to_be_required() {
    let mistakes = |more: &[(&str, &str)]| with(more).unwrap_err().to_string();
    let wrong = mistakes(&[(HEADER, "required")]);
    assert!(
        wrong.contains("listen.a.proxy_protocol = \"required\" (--set): forwarded.trust is empty"),
        "{wrong}"
    );
    // Its own goes before that of all.
    let wrong = mistakes(&[(HEADER, "required"), (EVERYBODYS, "::1"), (TRUST, "")]);
    assert!(wrong.contains("listen.a.trust is empty"), "{wrong}");
    with(&[(HEADER, "required"), (EVERYBODYS, "::1")]).unwrap();
}

#[test]
fn what_is_wrong_is_named_with_its_origin() {
    let mistakes = |key: &str, value: &str| with(&[(key, value)]).unwrap_err().to_string();
    let wrong = mistakes(TRUST, "10.0.0.0/8, balancer");
    assert!(
        wrong.contains(
            "listen.a.trust = \"10.0.0.0/8, balancer\" (--set): must be a list of networks"
        ),
        "{wrong}"
    );
    for (key, value) in [
        (HEADER, "v2"),
        ("upstream.b.proxy_protocol", "required"),
        ("forwarded.request_id", "yes"),
        ("timeouts.proxy_header", "off"),
        ("timeouts.proxy_header", "0s"),
    ] {
        let wrong = mistakes(key, value);
        assert!(wrong.contains(&format!("{key} = \"{value}\"")), "{wrong}");
    }
}

#[test]
fn an_upstream_may_get_a_header() {
    let upstream = |value: &str| {
        let config = with(&[("upstream.b.proxy_protocol", value)]).unwrap();
        config.settings.routes[0].upstream.proxy_protocol
    };
    assert_eq!(upstream("off"), None);
    assert_eq!(upstream("v1"), Some(ProxyVersion::V1));
    assert_eq!(upstream("v2"), Some(ProxyVersion::V2));
}
