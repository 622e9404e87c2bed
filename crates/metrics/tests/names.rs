//! Names that come and go with the configuration: whose series are shown, and from where they go on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use lubdub_metrics::{BuildInfo, InvalidNames, Metrics, Names, NamesInUse, Outcome, Reload};

const BUILD: BuildInfo<'_> = BuildInfo {
    version: "1.2.3",
    revision: "0123abc",
};

fn names<'a>(
    listeners: &'a [&'a str],
    routes: &'a [&'a str],
    upstreams: &'a [&'a str],
) -> Names<'a> {
    Names {
        listeners,
        routes,
        upstreams,
    }
}

/// The lines of `lubdub_pairs_opened_total`.
fn opened(metrics: &Metrics) -> Vec<String> {
    let text = metrics.render();
    let lines = text.lines();
    let mut lines: Vec<_> = lines
        .filter_map(|line| line.strip_prefix("lubdub_pairs_opened_total"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_new_name_is_there_at_0_and_one_that_is_gone_is_left_out() {
    let metrics = Metrics::new(BUILD, names(&["in"], &["chat"], &["a"])).unwrap();
    let next = names(&["in", "out"], &["feed"], &["b"]);
    metrics.admit(next).unwrap();
    assert_eq!(
        opened(&metrics),
        [r#"{listener="in",route="chat"} 0"#],
        "not in effect yet"
    );
    metrics.set_present(next);
    assert_eq!(
        opened(&metrics),
        [
            r#"{listener="in",route="feed"} 0"#,
            r#"{listener="out",route="feed"} 0"#
        ]
    );
    let text = metrics.render();
    assert!(!text.contains(r#"upstream="a""#), "{text}");
    assert!(text.contains(r#"upstream="b""#), "{text}");
    // Requests that reach no route have no route's name.
    assert!(
        text.contains(r#"listener="out",route="none",outcome="no_route"} 0"#),
        "{text}"
    );
}

#[test]
fn a_name_that_returns_goes_on_from_its_values() {
    let old = names(&["in"], &["chat"], &["a"]);
    let metrics = Metrics::new(BUILD, old).unwrap();
    let chat = |metrics: &Metrics| metrics.listener("in").unwrap().route("chat").unwrap();
    drop(chat(&metrics).open());
    let other = names(&["in"], &["feed"], &["a"]);
    metrics.admit(other).unwrap();
    metrics.set_present(other);
    chat(&metrics).handshake(Outcome::Upgraded).increment(1);
    metrics.admit(old).unwrap();
    metrics.set_present(old);
    drop(chat(&metrics).open());
    assert_eq!(opened(&metrics), [r#"{listener="in",route="chat"} 2"#]);
}

#[test]
fn a_name_that_a_live_pair_has_is_shown_until_its_end() {
    let metrics = Metrics::new(BUILD, names(&["in"], &["chat"], &["a"])).unwrap();
    let live = Arc::new(Mutex::new(BTreeSet::from([Arc::from("chat")])));
    let of_pairs = Arc::clone(&live);
    metrics.ask_names_in_use(move || NamesInUse {
        routes: of_pairs.lock().unwrap().clone(),
        ..NamesInUse::default()
    });
    let next = names(&["in"], &["feed"], &["a"]);
    metrics.admit(next).unwrap();
    metrics.set_present(next);
    let both = [
        r#"{listener="in",route="chat"} 0"#,
        r#"{listener="in",route="feed"} 0"#,
    ];
    assert_eq!(opened(&metrics), both);
    live.lock().unwrap().clear();
    assert_eq!(opened(&metrics), both[1..]);
}

#[test]
fn a_certificate_that_is_gone_is_left_out() {
    let metrics = Metrics::new(BUILD, names(&["in", "out"], &[], &[])).unwrap();
    let shown = || {
        let text = metrics.render();
        let name = "lubdub_tls_certificate_expiry_timestamp_seconds{";
        text.lines().filter(|line| line.starts_with(name)).count()
    };
    let _ = metrics.set_certificates(&[("in", "a"), ("in", "b"), ("out", "a")]);
    assert_eq!(shown(), 3);
    let _ = metrics.set_certificates(&[("out", "a")]);
    assert_eq!(shown(), 1);
    let _ = metrics.set_certificates(&[("in", "b"), ("out", "a")]);
    assert_eq!(shown(), 2);
}

#[test]
fn names_have_an_end() {
    let metrics = Metrics::new(BUILD, names(&["in"], &["chat"], &["a"])).unwrap();
    let many: Vec<_> = (0..Names::MOST - 2).map(|n| format!("r{n}")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    let too_many = metrics.admit(names(&["in"], &many, &["a"]));
    assert_eq!(too_many, Err(InvalidNames::TooMany(Names::MOST + 1)));
    assert!(metrics.route("r0").is_none(), "nothing of it is registered");
    many.pop();
    metrics.admit(names(&["in"], &many, &["a"])).unwrap();
    // Those that are known already cost nothing.
    metrics.admit(names(&["in"], &["chat"], &["a"])).unwrap();
}

/// Each reload could bring certificates with other names, and their series stayed for good.
#[test]
fn names_of_certificates_have_an_end_too() {
    let metrics = Metrics::new(BUILD, names(&["in"], &["chat"], &["a"])).unwrap();
    let many: Vec<_> = (0..Names::MOST - 3).map(|n| format!("c{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| ("in", name.as_str())).collect();
    metrics.try_certificates(&many).unwrap();
    let _ = metrics.set_certificates(&many);
    let too_many = Err(InvalidNames::TooMany(Names::MOST + 1));
    assert_eq!(metrics.try_certificates(&[("out", "c0")]), too_many);
    assert_eq!(
        metrics.admit(names(&["in", "out"], &["chat"], &["a"])),
        too_many
    );
    metrics.try_certificates(&many).unwrap();
    metrics.admit(names(&["in"], &["chat"], &["a"])).unwrap();
}

#[test]
fn reloads_are_counted_and_the_last_one_is_told() {
    let metrics = Metrics::new(BUILD, names(&[], &[], &[])).unwrap();
    let has = |line: &str| {
        let text = metrics.render();
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    };
    has("lubdub_config_last_reload_successful 1");
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    metrics.reloaded(Reload::Applied, at(1_000_000_000));
    metrics.reloaded(Reload::Refused, at(1_000_000_001));
    has("lubdub_config_last_reload_successful 0");
    has("lubdub_config_last_reload_success_timestamp_seconds 1000000000");
    has(r#"lubdub_config_reloads_total{outcome="applied"} 1"#);
    has(r#"lubdub_config_reloads_total{outcome="refused"} 1"#);
    metrics.reloaded(Reload::Applied, at(1_000_000_002));
    has("lubdub_config_last_reload_successful 1");
}
