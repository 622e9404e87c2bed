//! What a scrape gets: the text parses, every series is there at 0 from the start, and what is
//! counted on a handle arrives under the right name and labels.

mod scrape;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lubdub_metrics::{
    BuildInfo, Cause, Connect, Diagnosis, InvalidNames, Metrics, NO_ROUTE, Names, OpcodeClass,
    Outcome, PROCESS, Pause, TABLE,
};

use scrape::{Scrape, labels};
use series::{combinations, samples};

const LISTENERS: [&str; 2] = ["public", "internal"];
const ROUTES: [&str; 2] = ["chat", "feed"];
const UPSTREAMS: [&str; 1] = ["backend"];
const CERTIFICATES: [&str; 2] = ["main", "old"];

fn metrics() -> Metrics {
    let metrics = with_names(&LISTENERS, &ROUTES).expect("the names differ");
    let certificates = LISTENERS.map(|listener| CERTIFICATES.map(|name| (listener, name)));
    let _ = metrics.set_certificates(&certificates.concat());
    metrics
}

fn with_names(listeners: &[&str], routes: &[&str]) -> Result<Metrics, InvalidNames> {
    let build = BuildInfo {
        version: "1.2.3",
        revision: "0123abc",
    };
    let names = Names {
        listeners,
        routes,
        upstreams: &UPSTREAMS,
    };
    Metrics::new(build, names)
}

#[test]
fn a_scrape_parses_and_has_each_declared_family_once() {
    let scrape = Scrape::of(&metrics());
    let declared: BTreeMap<_, _> = TABLE
        .iter()
        .chain(PROCESS)
        .map(|metric| (metric.name, (metric.kind.as_str(), metric.help)))
        .collect();
    let rendered: BTreeMap<_, _> = scrape
        .families
        .iter()
        .map(|(name, family)| (name.as_str(), (family.kind.as_str(), family.help.as_str())))
        .collect();
    assert_eq!(rendered, declared);
}

#[test]
fn every_series_exists_at_zero_from_the_start() {
    let scrape = Scrape::of(&metrics());
    let mut expected = BTreeSet::new();
    for metric in TABLE {
        for labels in combinations(metric) {
            expected.extend(samples(metric, &labels));
        }
    }

    let mut own = scrape.samples;
    own.retain(|(name, _), _| name.starts_with("lubdub_"));
    let build_info = own.remove(&(
        "lubdub_build_info".into(),
        labels(&[("version", "1.2.3"), ("revision", "0123abc")]),
    ));
    assert_eq!(build_info, Some(1.0));
    assert_eq!(own.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let successful = "lubdub_config_last_reload_successful".to_owned();
    assert_eq!(own.remove(&(successful, labels(&[]))), Some(1.0));
    assert!(own.values().all(|value| *value == 0.0));
}

#[test]
fn the_number_of_series_is_what_routes_and_listeners_cost() {
    let own = |listeners: &[&str], routes: &[&str]| {
        let scrape = Scrape::of(&with_names(listeners, routes).unwrap());
        let is_own = |name: &str| name.starts_with("lubdub_");
        scrape.samples.keys().filter(|(n, _)| is_own(n)).count()
    };
    // Of the upstream there are 13 series, whoever else is there.
    let (fixed, route, listener, both) = (61 + 13, 174, 43, 38);
    assert_eq!(own(&[], &[]), fixed);
    assert_eq!(own(&[], &["a"]), fixed + route);
    assert_eq!(own(&["p"], &[]), fixed + listener);
    assert_eq!(own(&["p"], &["a"]), fixed + route + listener + both);
    assert_eq!(
        own(&["p", "q"], &["a", "b"]),
        fixed + 2 * route + 2 * listener + 4 * both
    );
}

#[test]
fn what_the_log_leaves_out_arrives_under_its_names() {
    let metrics = metrics();
    metrics.log_lines_dropped().increment(7);
    let unlogged = metrics.refusals_not_logged();
    for (n, outcome) in (1..).zip(Outcome::ALL) {
        unlogged.get(outcome).increment(n);
    }
    let scrape = Scrape::of(&metrics);
    assert_eq!(scrape.get("lubdub_log_lines_dropped_total", &[]), 7.0);
    for (n, outcome) in (1_u32..).zip(Outcome::ALL) {
        let labels = &[("outcome", outcome.as_str())];
        let counted = scrape.get("lubdub_refusals_not_logged_total", labels);
        assert_eq!(counted, f64::from(n));
    }
}

#[test]
fn what_is_counted_on_a_pair_arrives_under_its_names() {
    let metrics = metrics();
    let pair = metrics.listener("public").unwrap().route("chat").unwrap();
    let on_both: &[_] = &[("listener", "public"), ("route", "chat")];

    let open = pair.open();
    let route = Arc::clone(&pair.route);
    route.handshake_duration.record(Duration::from_millis(3));
    route
        .upstream_connect_duration
        .record(Duration::from_millis(2));
    let scrape = Scrape::of(&metrics);
    assert_eq!(scrape.get("lubdub_pairs", on_both), 1.0);
    assert_eq!(scrape.get("lubdub_pairs_opened_total", on_both), 1.0);

    drop(open);
    pair.pair_duration.record(Duration::from_secs(61));
    let scrape = Scrape::of(&metrics);
    assert_eq!(scrape.get("lubdub_pairs", on_both), 0.0);
    assert_eq!(scrape.get("lubdub_pairs_opened_total", on_both), 1.0);
    assert_eq!(
        scrape.get("lubdub_pair_duration_seconds_sum", on_both),
        61.0
    );
    let route = &[("route", "chat")];
    let name = "lubdub_handshake_duration_seconds";
    assert_eq!(scrape.get(&format!("{name}_sum"), route), 0.003);
    let in_bucket = |le| scrape.get(&format!("{name}_bucket"), &[("route", "chat"), ("le", le)]);
    assert_eq!(in_bucket("0.0025"), 0.0);
    assert_eq!(in_bucket("0.005"), 1.0);
    assert_eq!(in_bucket("+Inf"), 1.0);
    let name = "lubdub_upstream_connect_duration_seconds_sum";
    assert_eq!(scrape.get(name, route), 0.002);
    assert_eq!(scrape.get(name, &[("route", "feed")]), 0.0);
}

#[test]
fn each_closed_label_leads_to_its_own_series() {
    let metrics = metrics();
    let listener = metrics.listener("internal").unwrap();
    let pair = listener.route("feed").unwrap();
    let route = metrics.route("feed").unwrap();
    // A different count for each, so that two swapped series would show.
    for (n, cause) in (1..).zip(Cause::ALL) {
        route.closed(cause).increment(n);
    }
    for (n, outcome) in (1..).zip(Outcome::ALL) {
        pair.handshake(outcome).increment(n);
        listener.unrouted(outcome).increment(100 + n);
    }
    for (n, diagnosis) in (1..).zip(Diagnosis::ALL) {
        route.client.lapses(diagnosis).increment(n);
        route.upstream.lapses(diagnosis).increment(100 + n);
    }
    for (n, class) in (1..).zip(OpcodeClass::ALL) {
        route.to_upstream.frames[class as usize].increment(n);
        route.to_client.frames[class as usize].increment(100 + n);
    }

    let scrape = Scrape::of(&metrics);
    let at = |n: usize| n as f64;
    for (n, cause) in (1..).zip(Cause::ALL) {
        let labels = [("route", "feed"), ("cause", cause.as_str())];
        assert_eq!(scrape.get("lubdub_pairs_closed_total", &labels), at(n));
    }
    for (n, outcome) in (1..).zip(Outcome::ALL) {
        for (route, count) in [("feed", n), (NO_ROUTE, 100 + n)] {
            let labels = [
                ("listener", "internal"),
                ("route", route),
                ("outcome", outcome.as_str()),
            ];
            assert_eq!(scrape.get("lubdub_handshakes_total", &labels), at(count));
        }
    }
    for (n, diagnosis) in (1..).zip(Diagnosis::ALL) {
        for (side, count) in [("client", n), ("upstream", 100 + n)] {
            let labels = [
                ("route", "feed"),
                ("side", side),
                ("diagnosis", diagnosis.as_str()),
            ];
            assert_eq!(scrape.get("lubdub_lapses_total", &labels), at(count));
        }
    }
    for (n, class) in (1..).zip(OpcodeClass::ALL) {
        for (direction, count) in [("to_upstream", n), ("to_client", 100 + n)] {
            let labels = [
                ("route", "feed"),
                ("direction", direction),
                ("opcode", class.as_str()),
            ];
            assert_eq!(scrape.get("lubdub_frames_total", &labels), at(count));
        }
    }
}

#[test]
fn each_count_of_a_side_and_of_a_direction_leads_to_its_own_series() {
    let metrics = metrics();
    let route = metrics.route("chat").unwrap();
    for (offset, side) in [(0, &route.client), (100, &route.upstream)] {
        side.pings_sent.increment(offset + 1);
        side.pongs_received.increment(offset + 2);
        side.pongs_repaired.increment(offset + 3);
        side.would_have_lapsed.increment(offset + 4);
        side.write_stalls.increment(offset + 5);
        side.ping_rtt.record(Duration::from_secs(offset + 6));
        side.ping_delay.record(Duration::from_secs(offset + 7));
    }
    for (offset, direction) in [(0, &route.to_upstream), (100, &route.to_client)] {
        direction.bytes.increment(offset + 1);
        direction.foreign_pings.increment(offset + 2);
        direction.foreign_pongs.increment(offset + 3);
    }

    let scrape = Scrape::of(&metrics);
    for (offset, side) in [(0.0, "client"), (100.0, "upstream")] {
        let get = |name: &str| {
            let name = format!("lubdub_{name}");
            scrape.get(&name, &[("route", "chat"), ("side", side)]) - offset
        };
        assert_eq!(get("pings_sent_total"), 1.0);
        assert_eq!(get("pongs_received_total"), 2.0);
        assert_eq!(get("pongs_repaired_total"), 3.0);
        assert_eq!(get("would_have_lapsed_total"), 4.0);
        assert_eq!(get("write_stalls_total"), 5.0);
        assert_eq!(get("ping_rtt_seconds_sum"), 6.0);
        assert_eq!(get("ping_delay_seconds_sum"), 7.0);
    }
    for (offset, direction) in [(0.0, "to_upstream"), (100.0, "to_client")] {
        let get = |name: &str| {
            let name = format!("lubdub_{name}");
            scrape.get(&name, &[("route", "chat"), ("direction", direction)]) - offset
        };
        assert_eq!(get("bytes_total"), 1.0);
        assert_eq!(get("foreign_pings_total"), 2.0);
        assert_eq!(get("foreign_pongs_total"), 3.0);
    }
}

#[test]
fn a_pair_that_panics_is_no_longer_open() {
    let metrics = metrics();
    let pair = metrics.listener("public").unwrap().route("chat").unwrap();
    let on_both: &[_] = &[("listener", "public"), ("route", "chat")];

    let survivor = pair.open();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _open = pair.open();
        assert_eq!(Scrape::of(&metrics).get("lubdub_pairs", on_both), 2.0);
        panic!("a fault in a pair's task");
    }));
    assert!(outcome.is_err());
    assert_eq!(Scrape::of(&metrics).get("lubdub_pairs", on_both), 1.0);
    drop(survivor);
    assert_eq!(Scrape::of(&metrics).get("lubdub_pairs", on_both), 0.0);
}

#[test]
fn draining_is_said_and_unsaid() {
    let metrics = metrics();
    for (draining, value) in [(true, 1.0), (false, 0.0)] {
        metrics.set_draining(draining);
        assert_eq!(Scrape::of(&metrics).get("lubdub_draining", &[]), value);
    }
}

#[test]
fn a_certificate_has_its_expiry_by_listener_and_name() {
    let metrics = metrics();
    let certificates = [("public", "main"), ("public", "old"), ("internal", "main")];
    let expiries = metrics.set_certificates(&certificates);
    let dates = [1_900_000_000.0, 4_102_444_800.0, 1.0];
    for (expiry, date) in expiries.iter().zip(dates) {
        expiry.set(date);
    }
    let scrape = Scrape::of(&metrics);
    for ((listener, certificate), date) in certificates.into_iter().zip(dates) {
        let labels = [("listener", listener), ("certificate", certificate)];
        let name = "lubdub_tls_certificate_expiry_timestamp_seconds";
        assert_eq!(scrape.get(name, &labels), date);
    }
}

#[test]
fn an_observation_survives_upkeep_and_is_counted_once() {
    let metrics = metrics();
    let rtt = &metrics.route("chat").unwrap().upstream.ping_rtt;
    rtt.record(Duration::from_millis(20));
    metrics.upkeep();
    rtt.record(Duration::from_millis(20));
    for _ in 0..2 {
        metrics.upkeep();
        let scrape = Scrape::of(&metrics);
        let count = scrape.get(
            "lubdub_ping_rtt_seconds_count",
            &[("route", "chat"), ("side", "upstream")],
        );
        assert_eq!(count, 2.0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_read_for_each_scrape() {
    let metrics = metrics();
    let open = |metrics: &Metrics| Scrape::of(metrics).get("process_resident_memory_bytes", &[]);
    assert!(open(&metrics) > 0.0);

    // Two instances in one process each have their own.
    let other = with_names(&[], &[]).unwrap();
    assert!(open(&other) > 0.0);

    let before = open(&metrics);
    let ballast = std::hint::black_box(vec![1_u8; 64 << 20]);
    let with_ballast = open(&metrics);
    assert!(
        with_ballast > before + f64::from(32 << 20),
        "{before} {with_ballast}"
    );
    drop(ballast);
}

#[test]
fn handles_are_looked_up_by_the_configured_names() {
    let metrics = metrics();
    let listener = metrics.listener("internal").unwrap();
    assert_eq!(listener.name(), "internal");
    let feed = metrics.route("feed").unwrap();
    assert!(Arc::ptr_eq(&listener.route("feed").unwrap().route, &feed));

    assert!(metrics.listener("chat").is_none());
    assert!(metrics.route("public").is_none());
    assert!(metrics.route(NO_ROUTE).is_none());
    assert!(listener.route(NO_ROUTE).is_none());
    assert_eq!(metrics.upstream("backend").unwrap().name(), "backend");
    assert!(metrics.upstream("chat").is_none());
}

/// What is kept as a plain number elsewhere is written down when somebody looks.
#[test]
fn samplers_are_asked_before_each_rendering() {
    let metrics = metrics();
    let proxy = Arc::clone(metrics.proxy());
    let asked = std::sync::atomic::AtomicU32::new(0);
    metrics.before_rendering(move || {
        let times = 1 + asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        proxy.handshakes.used.set(times);
        proxy.accept_paused(Pause::Files).absolute(7);
    });
    let seen = || Scrape::of(&metrics).get("lubdub_handshakes_in_flight", &[]);
    assert_eq!((seen(), seen()), (1.0, 2.0));
    let paused = "lubdub_accept_paused_seconds_total";
    let scrape = Scrape::of(&metrics);
    assert_eq!(scrape.get(paused, &[("reason", "files")]), 7.0);
    assert_eq!(scrape.get(paused, &[("reason", "handshakes")]), 0.0);
}

/// Each is read as a number and scraped as a series, and both say the same.
#[test]
fn what_is_known_of_an_upstream_is_read_and_scraped() {
    let metrics = metrics();
    let backend = metrics.upstream("backend").unwrap();
    assert_eq!(backend.last_success(), None);
    backend.connect(Connect::Connected);
    backend.connect(Connect::LookupFailed);
    backend.connect(Connect::LookupFailed);
    let moment = UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    backend.succeeded(moment);
    // Told late, or by a clock that was set back.
    backend.succeeded(moment - Duration::from_secs(1));

    assert_eq!(backend.connects(Connect::LookupFailed), 2);
    assert_eq!(backend.last_success(), Some(moment));
    let scrape = Scrape::of(&metrics);
    for (outcome, expected) in [("connected", 1.0), ("lookup_failed", 2.0), ("failed", 0.0)] {
        let labels = [("upstream", "backend"), ("outcome", outcome)];
        let connects = scrape.get("lubdub_upstream_connects_total", &labels);
        assert_eq!(connects, expected, "{outcome}");
    }
    let last = "lubdub_upstream_last_success_timestamp_seconds";
    let last = scrape.get(last, &[("upstream", "backend")]);
    assert_eq!(last, 1_700_000_000.25);
}

#[test]
fn names_that_would_share_series_are_refused() {
    let refusal = |listeners: &[&str], routes: &[&str]| with_names(listeners, routes).unwrap_err();
    assert_eq!(
        refusal(&["a", "b", "a"], &[]),
        InvalidNames::DuplicateListener("a".into())
    );
    assert_eq!(
        refusal(&[], &["a", "b", "b"]),
        InvalidNames::DuplicateRoute("b".into())
    );
    assert_eq!(refusal(&[], &["none"]), InvalidNames::ReservedRoute);
    // A listener may have the name of a route, and "none" is no special name for it.
    assert!(with_names(&["a", "none"], &["a"]).is_ok());
}

#[test]
fn metrics_are_shared_between_threads() {
    fn assert_shared<T: Send + Sync + 'static>() {}
    assert_shared::<Metrics>();
    assert_shared::<lubdub_metrics::PairMetrics>();
    assert_shared::<lubdub_metrics::OpenPair>();

    let metrics = Arc::new(metrics());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let metrics = Arc::clone(&metrics);
            std::thread::spawn(move || {
                let pair = metrics.listener("public").unwrap().route("chat").unwrap();
                for _ in 0..1000 {
                    let _open = pair.open();
                    pair.route.closed(Cause::ClientClosed).increment(1);
                }
                metrics.upkeep();
                metrics.render()
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let scrape = Scrape::of(&metrics);
    let on_both = &[("listener", "public"), ("route", "chat")];
    assert_eq!(scrape.get("lubdub_pairs_opened_total", on_both), 4000.0);
    assert_eq!(scrape.get("lubdub_pairs", on_both), 0.0);
    let closed = &[("route", "chat"), ("cause", "client_closed")];
    assert_eq!(scrape.get("lubdub_pairs_closed_total", closed), 4000.0);
}
