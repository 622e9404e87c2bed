//! The rules of `promtool check metrics` (promlint) and of
//! <https://prometheus.io/docs/practices/naming>, held against every declaration.

use std::collections::BTreeSet;

use lubdub_metrics::{Kind, Label, Metric, PROCESS, TABLE, Unit};

fn declared() -> impl Iterator<Item = &'static Metric> {
    TABLE.iter().chain(PROCESS)
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('_').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

#[test]
fn rows_are_those_of_the_design_in_its_order() {
    let names: Vec<_> = TABLE
        .iter()
        .map(|metric| metric.name.strip_prefix("lubdub_").unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "build_info",
            "pairs",
            "pairs_opened_total",
            "pair_duration_seconds",
            "pairs_closed_total",
            "handshakes_total",
            "handshake_duration_seconds",
            "http_requests_total",
            "http_request_duration_seconds",
            "upstream_connect_duration_seconds",
            "upstream_connects_total",
            "upstream_last_success_timestamp_seconds",
            "pings_sent_total",
            "pongs_received_total",
            "pongs_repaired_total",
            "lapses_total",
            "would_have_lapsed_total",
            "write_stalls_total",
            "ping_rtt_seconds",
            "ping_delay_seconds",
            "foreign_pings_total",
            "foreign_pongs_total",
            "bytes_total",
            "frames_total",
            "draining",
            "config_reloads_total",
            "config_last_reload_successful",
            "config_last_reload_success_timestamp_seconds",
            "tls_handshake_failures_total",
            "tls_handshake_failures_not_logged_total",
            "tls_certificate_expiry_timestamp_seconds",
            "connections",
            "connections_max",
            "pairs_max",
            "pairs_limit",
            "upstream_connections",
            "upstream_connections_max",
            "admin_watchers",
            "admin_watchers_max",
            "handshakes_in_flight",
            "handshakes_max",
            "upstream_waiting",
            "upstream_waiting_max",
            "upstream_requests",
            "upstream_requests_max",
            "accept_paused_seconds_total",
            "log_lines_dropped_total",
            "refusals_not_logged_total",
            "drain_remaining_pairs",
            "handover_pairs_total",
            "lingering_pairs",
        ]
    );
}

#[test]
fn names_are_snake_case_and_declared_once() {
    let mut seen = BTreeSet::new();
    for metric in declared() {
        assert!(is_snake_case(metric.name), "{}", metric.name);
        assert!(
            seen.insert(metric.name),
            "{} is declared twice",
            metric.name
        );
    }
}

#[test]
fn counters_and_nothing_else_end_in_total() {
    for metric in declared() {
        assert_eq!(
            metric.name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{}",
            metric.name
        );
    }
}

#[test]
fn no_name_ends_like_a_part_of_a_histogram() {
    for metric in declared() {
        for suffix in ["_count", "_sum", "_bucket"] {
            assert!(!metric.name.ends_with(suffix), "{}", metric.name);
        }
    }
}

#[test]
fn no_name_holds_its_type_or_one_of_its_labels() {
    for metric in declared() {
        let words: Vec<_> = metric.name.split('_').collect();
        for kind in ["counter", "gauge", "histogram", "summary", "untyped"] {
            assert!(!words.contains(&kind), "{}", metric.name);
        }
        for label in metric.labels {
            // "Waiting for the upstream" is what is counted, and not only the name of who it is; and it is
            // a certificate that expires.
            let is_the_subject = matches!(label, Label::Upstream | Label::Certificate);
            let is_held = words.contains(&label.as_str());
            assert!(!is_held || is_the_subject, "{}", metric.name);
        }
    }
}

#[test]
fn units_are_base_units_in_full_and_end_the_name() {
    for metric in declared() {
        let bare = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        for unit in [Unit::Seconds, Unit::Bytes] {
            assert_eq!(
                bare.ends_with(&format!("_{}", unit.as_str())),
                metric.unit == Some(unit),
                "{}",
                metric.name
            );
        }
        for word in metric.name.split('_') {
            let abbreviated = [
                "s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "m", "h",
            ];
            let not_base = [
                "milliseconds",
                "microseconds",
                "nanoseconds",
                "minutes",
                "hours",
                "days",
                "bits",
                "kilobytes",
                "megabytes",
                "percent",
            ];
            assert!(!abbreviated.contains(&word), "{}", metric.name);
            assert!(!not_base.contains(&word), "{}", metric.name);
        }
    }
}

#[test]
fn labels_are_snake_case_unreserved_and_given_once() {
    for metric in declared() {
        let mut seen = BTreeSet::new();
        for label in metric.labels {
            assert!(is_snake_case(label.as_str()), "{label}");
            assert!(!["le", "quantile", "job", "instance"].contains(&label.as_str()));
            assert!(seen.insert(label), "{} has {label} twice", metric.name);
        }
    }
}

#[test]
fn help_is_plain_text_of_one_line() {
    for metric in declared() {
        assert!(metric.help.ends_with('.'), "{}", metric.name);
        assert!(
            !metric.help.contains(['\n', '\\', '`', '|']),
            "{}",
            metric.name
        );
    }
}

#[test]
fn buckets_rise_and_are_finite() {
    for metric in declared() {
        let Kind::Histogram { buckets } = metric.kind else {
            continue;
        };
        assert!(!buckets.is_empty(), "{}", metric.name);
        assert!(buckets[0] > 0.0, "{}", metric.name);
        assert!(buckets.iter().all(|bound| bound.is_finite()));
        assert!(buckets.is_sorted_by(|a, b| a < b), "{}", metric.name);
    }
}
