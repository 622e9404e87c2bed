//! Rates of pairs: what can be said, and how what cannot is refused.

use std::num::{NonZeroU32, NonZeroU64};

use lubdub_proxy::settings::{Rate, Rates};

use super::{mistakes, with};

fn rates(settings: &[(&str, &str)]) -> Rates {
    let config = with(settings).unwrap();
    config.settings.routes[0].terms.rates
}

#[test]
fn there_is_none_unless_it_is_set() {
    assert!(rates(&[]).are_off());
    assert!(rates(&[("route.b.rate.to_client.bytes", "off")]).are_off());
}

#[test]
fn each_direction_has_its_own() {
    let rates = rates(&[
        ("route.b.rate.to_client.bytes", "1MiB/s"),
        ("route.b.rate.to_upstream.bytes", "1/s"),
        ("route.b.rate.to_upstream.messages", "50/s"),
    ]);
    let rate = |bytes, messages| Rate {
        bytes: NonZeroU64::new(bytes),
        messages: NonZeroU32::new(messages),
    };
    assert_eq!(rates.to_client, rate(1 << 20, 0));
    assert_eq!(rates.to_upstream, rate(1, 50));
}

#[test]
fn a_rate_that_is_none_is_named_with_key_value_and_origin() {
    for (key, value, wrong) in [
        ("to_client.bytes", "1MiB", "such as \"64KiB/s\""),
        ("to_client.bytes", "0/s", "above zero"),
        ("to_upstream.messages", "1KiB/s", "such as \"10/s\""),
        (
            "to_upstream.messages",
            "5000000000/s",
            "more than can be counted",
        ),
    ] {
        let key = format!("route.b.rate.{key}");
        let [mistake] = &mistakes(&[(&key, value)])[..] else {
            panic!("one mistake")
        };
        let place = format!("{key} = \"{value}\" (--");
        assert!(mistake.starts_with(&place), "{mistake}");
        assert!(mistake.contains(wrong), "{mistake}");
        assert!(mistake.ends_with("or \"off\""), "{mistake}");
    }
}

/// A rate is a route's own: there is none for all.
#[test]
fn a_rate_that_is_no_routes_is_an_unknown_key() {
    assert_eq!(mistakes(&[("rate.to_client.bytes", "1MiB/s")]).len(), 1);
}
